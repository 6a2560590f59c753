#ifndef PUMA_SERVER_TELEMETRY_LOG_STORE_H_
#define PUMA_SERVER_TELEMETRY_LOG_STORE_H_
// The aggregated log: written to a file through spdlog, and kept in memory, newest first to be forgotten, for the viewers.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "puma/v1/services.pb.h"

namespace puma::server {

struct LogLine {
  std::shared_ptr<const v1::LogSource> source;
  uint64_t worker_key = 0;  // with worker_run and sequence: the record's identity
  uint64_t worker_run = 0;
  v1::LogRecord record;  // its `source` index is not set
};

// Thread-safe.
class LogStore {
 public:
  struct Options {
    std::string file;  // JSON Lines; rotating
    size_t file_bytes = 64 << 20;
    int file_count = 4;
    size_t memory_bytes = 32 << 20;
    size_t history_bytes = 4 << 20;  // of the files that are there, read at the start
    bool echo_to_stderr = false;     // the host's own records and warnings, for who started the host by hand
  };
  // Reads the end of the file that is there: its records are history again, and known, so that none is written twice.
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(Options options);
  virtual ~LogStore() = default;

  // Takes records: in order within a worker's run; records at or below the last known sequence of it are skipped. Written when Flush
  // returns.
  virtual void Append(std::vector<LogLine> lines) = 0;
  virtual absl::Status Flush() = 0;
  // The host's own record. Level is puma::Level's number. Any thread.
  virtual void Own(int level, const std::string& text, const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                   const char* function = __builtin_FUNCTION()) = 0;

  // A viewer's side: positions count records of this host process.
  struct Position {
    uint64_t next = 0;
  };
  // Where a viewer begins who wants `history` matching records (-1: all).
  virtual Position Begin(const v1::TailLogsRequest& request) const = 0;
  // Fills `batch` (about 64 KiB at most) with matching records and moves on. False: nothing new. Overtaken: the batch has a Gap.
  virtual bool Take(const v1::TailLogsRequest& request, Position& position, v1::TailLogsResponse& batch) const = 0;
  // A page of at most so many matching records, and about 1 MiB. OUT_OF_RANGE, INVALID_ARGUMENT: the page token.
  virtual absl::StatusOr<v1::QueryLogsResponse> Query(const v1::QueryLogsRequest& request, size_t at_most) const = 0;
  virtual std::shared_ptr<void> Subscribe(std::function<void()> f) = 0;  // called (must not block) after each Append
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_LOG_STORE_H_
