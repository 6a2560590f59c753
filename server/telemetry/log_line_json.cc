#include "server/telemetry/log_line_json.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/telemetry/severity.h"

namespace puma::server {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

void AppendString(const std::string& text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          char escaped[8];
          std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned char>(c));
          out += escaped;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void AppendField(const char* name, const std::string& value, std::string& out) {
  absl::StrAppend(&out, ",\"", name, "\":");
  AppendString(value, out);
}

template <class Number>
void AppendNumber(const char* name, Number value, std::string& out) {
  absl::StrAppend(&out, ",\"", name, "\":", value);
}

const char* StreamName(v1::LogStream stream) {
  switch (stream) {
    case v1::LOG_STREAM_STDOUT:
      return "stdout";
    case v1::LOG_STREAM_STDERR:
      return "stderr";
    default:
      return "log";
  }
}

v1::LogStream StreamOf(const std::string& name) {
  if (name == "stdout") return v1::LOG_STREAM_STDOUT;
  return name == "stderr" ? v1::LOG_STREAM_STDERR : v1::LOG_STREAM_LOG;
}

std::string Text(const nlohmann::json& json, const char* name) {
  const auto it = json.find(name);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

template <class Number>
Number NumberOf(const nlohmann::json& json, const char* name) {
  const auto it = json.find(name);
  return it != json.end() && it->is_number_integer() ? it->get<Number>() : Number();
}

// The length of the valid UTF-8 sequence at `at`; 0: none.
size_t Utf8Length(const std::string& s, size_t at) {
  const auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > s.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second > 0x9f;
  const bool beyond = first == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

bool IsUtf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string ToUtf8(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++at;
    } else {
      out.append(text, at, length);
      at += length;
    }
  }
  return out;
}

void LogLineWriter::AppendTime(int64_t unix_ns, std::string& out) {
  const int64_t second = unix_ns / kSecond - (unix_ns % kSecond < 0 ? 1 : 0);
  if (second != second_) {
    second_ = second;
    second_text_ = absl::FormatTime("%Y-%m-%dT%H:%M:%S", absl::FromUnixSeconds(second), absl::UTCTimeZone());
  }
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%09dZ", static_cast<int>(unix_ns - second * kSecond));
  absl::StrAppend(&out, "\"", second_text_, fraction, "\"");
}

void LogLineWriter::Append(const LogLine& line, std::string& out) {
  const v1::LogSource& source = *line.source;
  const v1::LogRecord& record = line.record;
  out += "{\"time\":";
  AppendTime(record.time_unix_nanos(), out);
  absl::StrAppend(&out, ",\"level\":\"", SeverityName(record.severity()), "\"");
  AppendField("pipeline", source.pipeline(), out);
  AppendField("task", source.task(), out);
  AppendNumber("run", source.run(), out);
  AppendNumber("pid", source.pid(), out);
  AppendNumber("tid", record.tid(), out);
  AppendField("logger", source.logger(), out);
  AppendField("file", source.file(), out);
  AppendNumber("line", source.line(), out);
  AppendField("function", source.function(), out);
  AppendField("message", record.message(), out);
  absl::StrAppend(&out, ",\"stream\":\"", StreamName(record.stream()), "\"");
  AppendNumber("worker", line.worker_key, out);
  AppendNumber("worker_run", line.worker_run, out);
  AppendNumber("seq", record.sequence(), out);
  if (record.dropped_before() != 0) AppendNumber("dropped_before", record.dropped_before(), out);
  out += "}\n";
}

std::optional<LogLine> LogLineReader::Read(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, Text(json, "time"), &time, &error)) return std::nullopt;
  LogLine line;
  v1::LogSource source;
  source.set_pipeline(Text(json, "pipeline"));
  source.set_task(Text(json, "task"));
  source.set_run(NumberOf<int64_t>(json, "run"));
  source.set_pid(NumberOf<int64_t>(json, "pid"));
  source.set_logger(Text(json, "logger"));
  source.set_file(Text(json, "file"));
  source.set_line(NumberOf<int32_t>(json, "line"));
  source.set_function(Text(json, "function"));
  auto& shared = sources_[source.SerializeAsString()];
  if (shared == nullptr) shared = std::make_shared<const v1::LogSource>(source);
  line.source = shared;
  line.worker_key = NumberOf<uint64_t>(json, "worker");
  line.worker_run = NumberOf<uint64_t>(json, "worker_run");
  line.record.set_time_unix_nanos(absl::ToUnixNanos(time));
  line.record.set_severity(SeverityOfName(Text(json, "level")));
  line.record.set_message(Text(json, "message"));
  line.record.set_tid(NumberOf<int64_t>(json, "tid"));
  line.record.set_stream(StreamOf(Text(json, "stream")));
  line.record.set_sequence(NumberOf<uint64_t>(json, "seq"));
  line.record.set_dropped_before(NumberOf<uint64_t>(json, "dropped_before"));
  return line;
}

}  // namespace puma::server
