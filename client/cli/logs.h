#ifndef PUMA_CLIENT_CLI_LOGS_H_
#define PUMA_CLIENT_CLI_LOGS_H_
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "puma/v1/services.pb.h"

namespace puma::client {

// INVALID_ARGUMENT: a name, a level or a time is wrong.
absl::StatusOr<v1::TailLogsRequest> LogRequest(const LogsArguments& arguments, absl::Time now);

// A record as one line (and more, indented, when the text has more): `14:03:07.123 WARN  edges/loader[1] the text`.
std::string LogText(const v1::LogSource& source, const v1::LogRecord& record, bool wide, bool colours, absl::TimeZone zone);

// What `run` prints of a batch: what was written to standard output, and to standard error the rest. JSON: records, one a line.
void PrintRun(const Output& output, const v1::TailLogsResponse& batch);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_LOGS_H_
