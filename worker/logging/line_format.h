#ifndef PUMA_WORKER_LOGGING_LINE_FORMAT_H_
#define PUMA_WORKER_LOGGING_LINE_FORMAT_H_
// A record as one line of text.
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/logging/record_sink.h"

namespace puma::logging {

inline constexpr std::string_view kDefaultFormat = "{time} {level} {process} {logger} {thread} {file}:{function}:{line} {message}";

// Thread-compatible, and thread-safe once made.
class LineFormat {
 public:
  enum class Field { kText, kTime, kLevel, kProcess, kLogger, kThread, kFile, kPath, kFunction, kLine, kMessage };
  // The fields' names, in the order of Field, from kTime on.
  static const std::vector<std::string>& FieldNames();
  // Text with {fields}; "{{" and "}}" are braces. INVALID_ARGUMENT.
  static absl::StatusOr<LineFormat> Parse(std::string_view pattern);
  // Adds the line with its end. Whatever the record holds, it is one line of printable text.
  void Append(const Record& record, fmt::memory_buffer& out) const;

 private:
  struct Piece {
    Field field;
    std::string text;
  };
  std::vector<Piece> pieces_;
};

// Local time with milliseconds: "2026-11-23 14:05:09.123".
void AppendTime(int64_t unix_ns, fmt::memory_buffer& out);
// With control characters, and those that change the direction of text, as escapes: "a\n" becomes "a\\n". Bytes that are no UTF-8: \xff.
void AppendEscaped(std::string_view text, fmt::memory_buffer& out);

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_LINE_FORMAT_H_
