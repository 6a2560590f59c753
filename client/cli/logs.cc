#include "client/cli/logs.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

constexpr int kHistoryBeforeFollowing = 10;

absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now) {
  absl::Duration ago;
  if (absl::ParseDuration(text, &ago) && ago >= absl::ZeroDuration()) return now - ago;
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, absl::LocalTimeZone(), &time, &error)) return time;
  if (absl::ParseTime("%Y-%m-%d %H:%M:%S", text, absl::LocalTimeZone(), &time, &error)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("--since \"", Escape(text), "\": write 5m, 30s, 2024-05-01T12:00:00Z or \"2024-05-01 12:00:00\""));
}

absl::StatusOr<std::string> ParentOfLogs(const LogsArguments& arguments) {
  if (arguments.task.empty()) return arguments.name.empty() ? std::string() : TaskOrPipelineName(arguments.name);
  if (arguments.name.empty()) return TaskName(arguments.task);
  const auto pipeline = PipelineName(arguments.name);
  if (!pipeline.ok()) return pipeline.status();
  return TaskName(absl::StrCat(ShortName(*pipeline), "/", arguments.task));
}

absl::StatusOr<v1::LogLevel> ParseLevel(const std::string& text) {
  v1::LogLevel level;
  if (v1::LogLevel_Parse(absl::StrCat("LOG_LEVEL_", absl::AsciiStrToUpper(text)), &level) && level != v1::LOG_LEVEL_UNSPECIFIED)
    return level;
  return absl::InvalidArgumentError(absl::StrCat("\"", Escape(text), "\" is none of trace, debug, info, warn, error"));
}

struct Severity {
  const char* name;
  Table::Colour colour;
};

Severity SeverityOf(const v1::LogRecord& record) {
  if (record.stream() == v1::LOG_STREAM_STDOUT) return {"OUT", Table::Colour::kNone};
  if (record.stream() == v1::LOG_STREAM_STDERR) return {"ERR", Table::Colour::kNone};
  if (record.severity() >= 17) return {"ERROR", Table::Colour::kRed};
  if (record.severity() >= 13) return {"WARN", Table::Colour::kYellow};
  if (record.severity() >= 9) return {"INFO", Table::Colour::kNone};
  if (record.severity() >= 5) return {"DEBUG", Table::Colour::kDim};
  return {"TRACE", Table::Colour::kDim};
}

std::string SourceName(const v1::LogSource& source) {
  if (source.pipeline().empty()) return "host";
  if (source.task().empty()) return absl::StrCat(Escape(source.pipeline()), "/group");
  return absl::StrCat(Escape(source.pipeline()), "/", Escape(source.task()), "[", source.run(), "]");
}

const v1::LogSource& SourceOf(const v1::TailLogsResponse& batch, const v1::LogRecord& record) {
  const int index = static_cast<int>(record.source());
  return index < batch.sources_size() ? batch.sources(index) : v1::LogSource::default_instance();
}

// What is missing before these records.
void SayGap(const Output& output, const v1::TailLogsResponse& batch) {
  if (!batch.has_gap()) return;
  output.Words(absl::StrCat("-- ", batch.gap().count(),
                            " records are missing: ", batch.gap().reason().empty() ? "read too slowly" : Escape(batch.gap().reason())));
}

// The API's message, one record a line.
void PrintJson(const Output& output, const v1::LogSource& source, const v1::LogRecord& record) {
  v1::TailLogsResponse line;
  *line.add_sources() = source;
  *line.add_records() = record;
  line.mutable_records(0)->set_source(0);
  output.JsonLine(line);
}

void SayDropped(const Output& output, const v1::LogSource& source, const v1::LogRecord& record) {
  if (record.dropped_before() > 0)
    output.Words(absl::StrCat("-- ", SourceName(source), " dropped ", record.dropped_before(), " records here: its log ring was full"));
}

void PrintBatch(const Output& output, const v1::TailLogsResponse& batch) {
  SayGap(output, batch);
  for (const v1::LogRecord& record : batch.records()) {
    const v1::LogSource& source = SourceOf(batch, record);
    if (output.json()) {
      PrintJson(output, source, record);
      continue;
    }
    SayDropped(output, source, record);
    output.Data(LogText(source, record, output.wide(), output.colours(), absl::LocalTimeZone()));
  }
}

}  // namespace

absl::StatusOr<v1::TailLogsRequest> LogRequest(const LogsArguments& arguments, absl::Time now) {
  v1::TailLogsRequest request;
  const auto parent = ParentOfLogs(arguments);
  if (!parent.ok()) return parent.status();
  request.set_parent(*parent);
  request.set_contains(arguments.grep);
  request.set_follow(arguments.follow);
  request.set_history(arguments.history.value_or(arguments.follow && arguments.since.empty() ? kHistoryBeforeFollowing : -1));
  if (!arguments.level.empty()) {
    const auto level = ParseLevel(arguments.level);
    if (!level.ok()) return absl::InvalidArgumentError(absl::StrCat("--level ", level.status().message()));
    request.set_min_level(*level);
  }
  if (!arguments.since.empty()) {
    const auto since = ParseSince(arguments.since, now);
    if (!since.ok()) return since.status();
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(*since));
    request.mutable_since()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(*since - absl::FromUnixSeconds(absl::ToUnixSeconds(*since)))));
  }
  return request;
}

std::string LogText(const v1::LogSource& source, const v1::LogRecord& record, bool wide, bool colours, absl::TimeZone zone) {
  const Severity severity = SeverityOf(record);
  const absl::Time time = absl::FromUnixNanos(record.time_unix_nanos());
  std::string text = absl::FormatTime(wide ? "%Y-%m-%d %H:%M:%E6S" : "%H:%M:%E3S", time, zone);
  const std::string level = absl::StrFormat("%-5s", severity.name);
  absl::StrAppend(&text, " ", colours ? Coloured(level, severity.colour) : level, " ", SourceName(source));
  if (wide) {
    absl::StrAppend(&text, " pid ", source.pid(), " tid ", record.tid());
    if (!source.logger().empty()) absl::StrAppend(&text, " ", Escape(source.logger()));
    if (!source.file().empty()) absl::StrAppend(&text, " ", Escape(source.file()), ":", source.line());
  }
  return absl::StrCat(text, " ", EscapeLines(record.message(), "    | "), "\n");
}

void PrintRun(const Output& output, const v1::TailLogsResponse& batch) {
  SayGap(output, batch);
  for (const v1::LogRecord& record : batch.records()) {
    const v1::LogSource& source = SourceOf(batch, record);
    if (output.json()) {
      PrintJson(output, source, record);
    } else if (record.stream() == v1::LOG_STREAM_STDOUT) {
      output.Data(absl::StrCat(output.terminal() ? EscapeLines(record.message(), "") : record.message(), "\n"));
    } else if (record.stream() == v1::LOG_STREAM_STDERR) {
      output.Words(EscapeLines(record.message(), ""));
    } else {
      SayDropped(output, source, record);
      std::string line = LogText(source, record, output.wide(), false, absl::LocalTimeZone());
      line.pop_back();
      output.Words(line);
    }
  }
}

ExitCode SetLogLevel(Session& session, const std::string& typed, const std::string& level) {
  const Output& output = session.output;
  v1::SetLogLevelRequest request;
  const auto name = TaskOrPipelineName(typed);
  if (!name.ok()) return output.Error(name.status()), kUsage;
  request.set_name(*name);
  if (level != "spec") {
    const auto parsed = ParseLevel(level);
    if (!parsed.ok()) return output.Error(parsed.status()), kUsage;
    request.set_level(*parsed);
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto set = (*host)->SetLogLevel(request);
  if (!set.ok()) return output.Error(set.status());
  if (output.json()) {
    output.Json(*set);
    return kDone;
  }
  for (const std::string& task : set->tasks())
    output.Words(absl::StrCat(Escape(ShortName(task)), ": ", level == "spec" ? "the level of its spec" : level));
  return kDone;
}

ExitCode Logs(Session& session, const LogsArguments& arguments) {
  const Output& output = session.output;
  const auto request = LogRequest(arguments, absl::Now());
  if (!request.ok()) return output.Error(request.status()), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto tail = (*host)->TailLogs(*request);
  for (;;) {
    const auto batch = tail->Next();
    if (!batch.ok()) return output.Error(batch.status());
    if (!batch->has_value()) return kDone;
    PrintBatch(output, **batch);
    if (!output.Flush()) return kDone;  // as for `| head`
  }
}

}  // namespace puma::client
