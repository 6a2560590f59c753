#ifndef PUMA_SERVER_RPC_LISTENING_H_
#define PUMA_SERVER_RPC_LISTENING_H_
// The sockets that the host listens on.
#include <string>

#include "absl/status/statusor.h"
#include "worker/platform/unique_fd.h"

namespace puma::server {

struct Listening {
  UniqueFd socket;      // non-blocking
  std::string address;  // with the port that it got
};

// A Unix socket at `path`, for reading and writing by owner and group. Makes its directory (mode 0750) if that is missing, and replaces a
// socket that no one listens on. ALREADY_EXISTS: a living host listens there, or something that is not a socket is in the way.
// FAILED_PRECONDITION: the directory is open to others. INVALID_ARGUMENT: the path is not absolute, or longer than a socket's may be (107
// bytes). PERMISSION_DENIED.
absl::StatusOr<Listening> ListenUnix(const std::string& path);

// `address` is "127.0.0.1:port", "[::1]:port", "0.0.0.0:port", "localhost:port" ...; port 0: any free one. INVALID_ARGUMENT: it is no
// address, or, with `loopback_only`, one that other machines reach. ALREADY_EXISTS: the port is taken.
absl::StatusOr<Listening> ListenTcp(const std::string& address, bool loopback_only);

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_LISTENING_H_
