#ifndef PUMA_SERVER_RPC_UNIX_SOCKET_H_
#define PUMA_SERVER_RPC_UNIX_SOCKET_H_
// The place of a Unix socket on disk.
#include <string>

#include "absl/status/status.h"

namespace puma::server {

// Makes room for a socket at `path`: makes its directory (mode 0750) if that is missing, and removes a socket that no one listens on.
// ALREADY_EXISTS: a living host listens there, or something that is not a socket is in the way. FAILED_PRECONDITION: the directory is open
// to others. INVALID_ARGUMENT: the path is not absolute, or longer than a socket's may be (107 bytes). PERMISSION_DENIED.
absl::Status PrepareUnixSocket(const std::string& path);

// Reading and writing for owner and group only.
absl::Status RestrictUnixSocket(const std::string& path);

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_UNIX_SOCKET_H_
