#ifndef PUMA_SERVER_JOURNAL_SQLITE_H_
#define PUMA_SERVER_JOURNAL_SQLITE_H_
// One connection to one SQLite file, as statuses. Only this room knows SQLite.
#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace puma::server {

struct Blob {
  std::string_view bytes;
};

// A row that a query hands out; valid during the call.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  uint64_t Unsigned(int column) const { return static_cast<uint64_t>(Int(column)); }
  std::string Bytes(int column) const;  // of a text or a blob

 private:
  sqlite3_stmt* const statement_;
};

// Thread-compatible.
class Sqlite {
 public:
  static absl::StatusOr<std::unique_ptr<Sqlite>> Open(const std::string& path);
  // Leaves the write-ahead log as it is: whoever opens the file next recovers from what is really in it.
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  // Prepared once per text, which must live as long as the connection (a literal).
  template <class... Args>
  absl::Status Run(const char* sql, const Args&... args) {
    return Query(
        sql, [](const Row&) {}, args...);
  }
  template <class... Args>
  absl::Status Query(const char* sql, const std::function<void(const Row&)>& row, const Args&... args) {
    absl::StatusOr<sqlite3_stmt*> statement = Prepare(sql);
    if (!statement.ok()) return statement.status();
    int index = 0;
    (Bind(*statement, ++index, args), ...);
    return Drive(*statement, sql, row);
  }
  // The first column of the first row; `otherwise` when there is none.
  template <class... Args>
  absl::StatusOr<int64_t> Number(const char* sql, int64_t otherwise, const Args&... args) {
    int64_t number = otherwise;
    absl::Status status = Query(
        sql, [&](const Row& r) { number = r.Int(0); }, args...);
    if (!status.ok()) return status;
    return number;
  }
  // Several statements without arguments.
  absl::Status Script(const std::string& sql);

 private:
  Sqlite(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  absl::StatusOr<sqlite3_stmt*> Prepare(const char* sql);
  absl::Status Drive(sqlite3_stmt* statement, const char* sql, const std::function<void(const Row&)>& row);
  absl::Status Failure(int code, const std::string& what) const;
  static void Bind(sqlite3_stmt* s, int i, int64_t v) { sqlite3_bind_int64(s, i, v); }
  static void Bind(sqlite3_stmt* s, int i, uint64_t v) { sqlite3_bind_int64(s, i, static_cast<int64_t>(v)); }
  static void Bind(sqlite3_stmt* s, int i, int v) { sqlite3_bind_int64(s, i, v); }
  static void Bind(sqlite3_stmt* s, int i, uint32_t v) { sqlite3_bind_int64(s, i, v); }
  static void Bind(sqlite3_stmt* s, int i, bool v) { sqlite3_bind_int64(s, i, v ? 1 : 0); }
  static void Bind(sqlite3_stmt* s, int i, const std::string& v) {
    sqlite3_bind_text64(s, i, v.data(), v.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  static void Bind(sqlite3_stmt* s, int i, const char* v) { sqlite3_bind_text(s, i, v, -1, SQLITE_STATIC); }
  static void Bind(sqlite3_stmt* s, int i, Blob v);

  sqlite3* const db_;
  const std::string path_;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_JOURNAL_SQLITE_H_
