#ifndef PUMA_SERVER_TELEMETRY_SEVERITY_H_
#define PUMA_SERVER_TELEMETRY_SEVERITY_H_
// One scale in three forms: puma::Level's numbers (trace 0 ... error 4), v1.LogLevel (1 ... 5), OpenTelemetry's severity numbers (1, 5, 9,
// 13, 17).
#include <cstdint>
#include <string>

#include "puma/v1/spec.pb.h"

namespace puma::server {

// OpenTelemetry's number of a puma::Level number; out of range: the nearest.
int32_t SeverityOfLevel(int level);
// The lowest severity of a v1.LogLevel; 0 (all) for UNSPECIFIED.
int32_t SeverityOfLogLevel(v1::LogLevel level);
// puma::Level's number of a severity: 1-4 trace, 5-8 debug, 9-12 info, 13-16 warn, above error.
int LevelOfSeverity(int32_t severity);
// "TRACE", "DEBUG", "INFO", "WARN", "ERROR".
const char* SeverityName(int32_t severity);
// The number of such a name; 9 (INFO) for any other.
int32_t SeverityOfName(const std::string& name);

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_SEVERITY_H_
