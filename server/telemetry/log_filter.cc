#include "server/telemetry/log_filter.h"

#include <limits>
#include <vector>

#include "absl/strings/str_split.h"
#include "server/telemetry/severity.h"

namespace puma::server {
namespace {
int64_t UnixNanos(const google::protobuf::Timestamp& time) { return time.seconds() * 1'000'000'000 + time.nanos(); }
}  // namespace

LogFilter::LogFilter(const v1::TailLogsRequest& request)
    : min_severity_(SeverityOfLogLevel(request.min_level())),
      since_unix_ns_(request.has_since() ? UnixNanos(request.since()) : std::numeric_limits<int64_t>::min()),
      until_unix_ns_(std::numeric_limits<int64_t>::max()),
      contains_(request.contains()) {
  SetParent(request.parent());
}

LogFilter::LogFilter(const v1::QueryLogsRequest& request)
    : min_severity_(SeverityOfLogLevel(request.min_level())),
      since_unix_ns_(request.has_since() ? UnixNanos(request.since()) : std::numeric_limits<int64_t>::min()),
      until_unix_ns_(request.has_until() ? UnixNanos(request.until()) : std::numeric_limits<int64_t>::max()),
      contains_(request.contains()) {
  SetParent(request.parent());
}

void LogFilter::SetParent(const std::string& parent) {
  const std::vector<std::string> parts = absl::StrSplit(parent, '/');
  const bool names_task = parts.size() == 4 && parts[2] == "tasks" && !parts[3].empty();
  everything_ = parent.empty();
  nothing_ = !everything_ && (parts[0] != "pipelines" || (parts.size() != 2 && !names_task) || parts[1].empty());
  if (everything_ || nothing_) return;
  pipeline_ = parts[1];
  if (names_task) task_ = parts[3];
}

bool LogFilter::MatchesSource(const v1::LogSource& source) const {
  if (everything_) return true;
  if (nothing_ || source.pipeline() != pipeline_) return false;
  if (task_.empty() || source.task() == task_) return true;
  return source.task().size() > task_.size() && source.task()[task_.size()] == '.' && source.task().compare(0, task_.size(), task_) == 0;
}

bool LogFilter::Matches(const LogLine& line) const {
  const v1::LogRecord& record = line.record;
  return record.severity() >= min_severity_ && record.time_unix_nanos() >= since_unix_ns_ && record.time_unix_nanos() < until_unix_ns_ &&
         MatchesSource(*line.source) && (contains_.empty() || record.message().find(contains_) != std::string::npos);
}

}  // namespace puma::server
