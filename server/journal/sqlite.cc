#include "server/journal/sqlite.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace puma::server {
namespace {

absl::StatusCode CodeOf(int code) {
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

std::string Row::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

absl::StatusOr<std::unique_ptr<Sqlite>> Sqlite::Open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  if (db == nullptr) return absl::ResourceExhaustedError("journal: no memory for SQLite");
  std::unique_ptr<Sqlite> connection(new Sqlite(db, path));
  if (code != SQLITE_OK) return connection->Failure(code, "open");
  sqlite3_extended_result_codes(db, 1);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return connection;
}

Sqlite::~Sqlite() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(db_);
}

absl::Status Sqlite::Script(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Failure(code, sql.substr(0, 60));
}

absl::StatusOr<sqlite3_stmt*> Sqlite::Prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement != nullptr) return statement;
  const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Failure(code, sql);
  return statement;
}

absl::Status Sqlite::Drive(sqlite3_stmt* statement, const char* sql, const std::function<void(const Row&)>& row) {
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) row(Row(statement));
  absl::Status status = code == SQLITE_DONE ? absl::OkStatus() : Failure(code, sql);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

absl::Status Sqlite::Failure(int code, const std::string& what) const {
  return absl::Status(CodeOf(code),
                      absl::StrCat("journal ", path_, ": ", sqlite3_errmsg(db_), " (SQLite code ", code, ", at: ", what, ")"));
}

// A null pointer would bind NULL.
void Sqlite::Bind(sqlite3_stmt* s, int i, Blob v) {
  sqlite3_bind_blob64(s, i, v.bytes.empty() ? "" : v.bytes.data(), v.bytes.size(), SQLITE_STATIC);
}

}  // namespace puma::server
