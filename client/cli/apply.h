#ifndef PUMA_CLIENT_CLI_APPLY_H_
#define PUMA_CLIENT_CLI_APPLY_H_
#include "client/cli/output.h"
#include "client/lib/spec_file.h"

namespace puma::client {

// Says what the host found wrong with a spec, as if it had been found here: with file, line and column where the host names a field.
ExitCode Refused(const Output& output, const SpecFile& file, const absl::Status& status);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_APPLY_H_
