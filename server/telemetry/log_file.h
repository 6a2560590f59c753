#ifndef PUMA_SERVER_TELEMETRY_LOG_FILE_H_
#define PUMA_SERVER_TELEMETRY_LOG_FILE_H_
// The rotating file: log.jsonl, log.1.jsonl, ... The only door to spdlog, which throws; here that becomes a status.
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace spdlog::sinks {
class sink;
}

namespace puma::server {

// Thread-compatible.
class LogFile {
 public:
  LogFile(std::string path, size_t file_bytes, int file_count);
  ~LogFile();

  // Appends whole lines and hands them to the kernel. After an error the file is opened anew with the next call, and goes on in a new line.
  absl::Status Write(const std::string& lines);

  // The last lines of the file and of the one rotated before it, oldest first, at most `bytes`. Torn lines may be among them.
  static std::vector<std::string> Tail(const std::string& path, size_t bytes);

 private:
  absl::Status Open();
  const std::string path_;
  const size_t file_bytes_;
  const int file_count_;
  std::shared_ptr<spdlog::sinks::sink> sink_;  // null: to be opened
  bool torn_ = false;                          // the file may end within a line
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_LOG_FILE_H_
