#ifndef PUMA_SERVER_TELEMETRY_LOG_LINE_JSON_H_
#define PUMA_SERVER_TELEMETRY_LOG_LINE_JSON_H_
// A record as one line of the log file. README.md has the fields.
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/telemetry/log_store.h"

namespace puma::server {

// Writes lines. Thread-compatible: it remembers the last second's text.
class LogLineWriter {
 public:
  // Appends the line with its end to `out`. Strings are valid UTF-8.
  void Append(const LogLine& line, std::string& out);

 private:
  void AppendTime(int64_t unix_ns, std::string& out);
  int64_t second_ = std::numeric_limits<int64_t>::min();
  std::string second_text_;
};

// Reads lines. Thread-compatible: records of the same origin share their source.
class LogLineReader {
 public:
  // Nothing: not a line of ours, or a torn one.
  std::optional<LogLine> Read(const std::string& text);

 private:
  std::map<std::string, std::shared_ptr<const v1::LogSource>> sources_;
};

bool IsUtf8(const std::string& text);
// `text` with each byte that is not part of valid UTF-8 replaced by U+FFFD.
std::string ToUtf8(const std::string& text);

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_LOG_LINE_JSON_H_
