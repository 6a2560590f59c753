#include "server/telemetry/severity.h"

#include <algorithm>

namespace puma::server {
namespace {
constexpr const char* kNames[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};
}  // namespace

int32_t SeverityOfLevel(int level) { return std::clamp(level, 0, 4) * 4 + 1; }

int32_t SeverityOfLogLevel(v1::LogLevel level) {
  return level == v1::LOG_LEVEL_UNSPECIFIED ? 0 : SeverityOfLevel(static_cast<int>(level) - 1);
}

int LevelOfSeverity(int32_t severity) { return std::clamp((severity - 1) / 4, 0, 4); }

const char* SeverityName(int32_t severity) { return kNames[LevelOfSeverity(severity)]; }

int32_t SeverityOfName(const std::string& name) {
  for (int level = 0; level < 5; ++level) {
    if (name == kNames[level]) return SeverityOfLevel(level);
  }
  return SeverityOfLevel(2);
}

}  // namespace puma::server
