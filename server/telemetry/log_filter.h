#ifndef PUMA_SERVER_TELEMETRY_LOG_FILTER_H_
#define PUMA_SERVER_TELEMETRY_LOG_FILTER_H_
// Which records a viewer wants.
#include <cstdint>
#include <string>

#include "server/telemetry/log_store.h"

namespace puma::server {

// A value. A parent that is no resource name matches nothing.
class LogFilter {
 public:
  explicit LogFilter(const v1::TailLogsRequest& request);
  explicit LogFilter(const v1::QueryLogsRequest& request);
  bool Matches(const LogLine& line) const;

 private:
  void SetParent(const std::string& parent);
  bool MatchesSource(const v1::LogSource& source) const;
  bool everything_ = false, nothing_ = false;
  std::string pipeline_, task_;  // task "detector" stands for its replicas "detector.0", ..., too
  int32_t min_severity_;
  int64_t since_unix_ns_, until_unix_ns_;
  std::string contains_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_LOG_FILTER_H_
