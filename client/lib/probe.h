#ifndef PUMA_CLIENT_LIB_PROBE_H_
#define PUMA_CLIENT_LIB_PROBE_H_
// Whether a host can be reached at all, said in words that help.
#include <string>

#include "absl/status/status.h"

namespace puma::client {

// For "unix:/path": UNAVAILABLE (nobody listens, start a host), PERMISSION_DENIED, INVALID_ARGUMENT (not a path). For others OK: gRPC finds
// out.
absl::Status ProbeHost(const std::string& target);
// True: the socket is there, and nobody listens; a host that was killed and is being started again looks like this.
bool MayComeBack(const std::string& target);
// What to say of a host that can't be reached.
std::string NoHost(const std::string& target);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_PROBE_H_
