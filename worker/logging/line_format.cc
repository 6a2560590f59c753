#include "worker/logging/line_format.h"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace puma::logging {
namespace {

void AppendText(std::string_view text, fmt::memory_buffer& out) { out.append(text.data(), text.data() + text.size()); }

// The length of the UTF-8 sequence at the beginning of `text`; 0: none. `code` is its character.
size_t Decode(std::string_view text, uint32_t& code) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  const size_t length = first < 0x80                    ? 1
                        : first >= 0xc2 && first < 0xe0 ? 2
                        : (first & 0xf0) == 0xe0        ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (length == 0 || length > text.size()) return 0;
  code = length == 1 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
}

bool Printable(uint32_t code) {
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
  const bool direction =
      code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return !direction && code != 0x2028 && code != 0x2029 && code != 0xfeff;
}

void AppendEscape(uint32_t code, fmt::memory_buffer& out) {
  auto to = fmt::appender(out);
  if (code == '\n') {
    AppendText("\\n", out);
  } else if (code == '\t') {
    AppendText("\\t", out);
  } else if (code == '\r') {
    AppendText("\\r", out);
  } else if (code < 0x80) {
    fmt::format_to(to, "\\x{:02x}", code);
  } else {
    fmt::format_to(to, "\\u{:04x}", code);
  }
}

std::string_view BaseName(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

void AppendOrDash(std::string_view text, fmt::memory_buffer& out) { AppendEscaped(text.empty() ? "-" : text, out); }

void AppendLevel(Level level, fmt::memory_buffer& out) {
  static constexpr std::string_view kNames[] = {"TRACE", "DEBUG", "INFO ", "WARN ", "ERROR", "OFF  "};
  AppendText(kNames[std::min(static_cast<size_t>(level), size_t{5})], out);
}

}  // namespace

const std::vector<std::string>& LineFormat::FieldNames() {
  static const auto* const names =
      new std::vector<std::string>{"time", "level", "process", "logger", "thread", "file", "path", "function", "line", "message"};
  return *names;
}

absl::StatusOr<LineFormat> LineFormat::Parse(std::string_view pattern) {
  LineFormat format;
  std::string text;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if ((c != '{' && c != '}') || pattern.substr(i, 2) == std::string(2, c)) {
      text += c;
      i += c == '{' || c == '}';
      continue;
    }
    const size_t end = pattern.find('}', i);
    if (c == '}' || end == std::string_view::npos)
      return absl::InvalidArgumentError(fmt::format("'{}' without its partner; a brace itself is written twice", c));
    const std::string_view name = pattern.substr(i + 1, end - i - 1);
    const auto at = std::find(FieldNames().begin(), FieldNames().end(), name);
    if (at == FieldNames().end()) {
      return absl::InvalidArgumentError(fmt::format("there is no field {{{}}}; there are: {{{}}}", name, fmt::join(FieldNames(), "}, {")));
    }
    if (!text.empty()) format.pieces_.push_back({Field::kText, std::exchange(text, {})});
    format.pieces_.push_back({static_cast<Field>(at - FieldNames().begin() + 1), {}});
    i = end;
  }
  if (!text.empty()) format.pieces_.push_back({Field::kText, text});
  return format;
}

void LineFormat::Append(const Record& record, fmt::memory_buffer& out) const {
  for (const Piece& piece : pieces_) {
    switch (piece.field) {
      case Field::kText:
        AppendEscaped(piece.text, out);
        break;
      case Field::kTime:
        AppendTime(record.time_unix_ns, out);
        break;
      case Field::kLevel:
        AppendLevel(record.level, out);
        break;
      case Field::kProcess:
        AppendOrDash(record.process.empty() ? ProcessName() : record.process, out);
        break;
      case Field::kLogger:
        AppendOrDash(record.logger, out);
        break;
      case Field::kThread:
        fmt::format_to(fmt::appender(out), "{}", record.thread);
        break;
      case Field::kFile:
        AppendOrDash(BaseName(record.where.file), out);
        break;
      case Field::kPath:
        AppendOrDash(record.where.file, out);
        break;
      case Field::kFunction:
        AppendOrDash(record.where.function, out);
        break;
      case Field::kLine:
        fmt::format_to(fmt::appender(out), "{}", record.where.line);
        break;
      case Field::kMessage:
        AppendEscaped(record.text, out);
        break;
    }
  }
  out.push_back('\n');
}

void AppendTime(int64_t unix_ns, fmt::memory_buffer& out) {
  // The second is the same for many lines, and taking it apart is the dearest part of one.
  struct Second {
    int64_t second = -1;
    char text[32];
    size_t length = 0;
  };
  static thread_local Second last;
  int64_t ms = unix_ns / 1'000'000 - (unix_ns % 1'000'000 < 0);
  int64_t second = ms / 1000 - (ms % 1000 < 0);
  if (last.second != second) {
    tm parts;
    const time_t time = second;
    localtime_r(&time, &parts);
    last.length = strftime(last.text, sizeof(last.text), "%Y-%m-%d %H:%M:%S", &parts);
    last.second = second;
  }
  AppendText({last.text, last.length}, out);
  fmt::format_to(fmt::appender(out), ".{:03}", ms - second * 1000);
}

void AppendEscaped(std::string_view text, fmt::memory_buffer& out) {
  while (!text.empty()) {
    size_t plain = 0;  // most text is ASCII that can be printed
    while (plain < text.size() && text[plain] >= 0x20 && text[plain] < 0x7f) ++plain;
    AppendText(text.substr(0, plain), out);
    text.remove_prefix(plain);
    if (text.empty()) return;
    uint32_t code = 0;
    const size_t length = Decode(text, code);
    if (length == 0) {
      fmt::format_to(fmt::appender(out), "\\x{:02x}", static_cast<uint8_t>(text[0]));
    } else if (Printable(code)) {
      AppendText(text.substr(0, length), out);
    } else {
      AppendEscape(code, out);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

}  // namespace puma::logging
