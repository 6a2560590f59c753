#ifndef PUMA_SERVER_RPC_API_SERVER_H_
#define PUMA_SERVER_RPC_API_SERVER_H_
// The host's door to its clients: puma.v1, health and reflection, over gRPC.
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/supervisor/engine.h"
#include "server/telemetry/feeds.h"

namespace puma::server {

// Thread-safe. Engine and feeds outlive it; the engine may answer replies even later.
class ApiServer {
 public:
  struct Options {
    std::string address = "unix:/run/puma/puma.sock";  // or "127.0.0.1:port", "[::1]:port"; port 0: any free one
    // Whoever can reach an address of this machine is then an administrator of the host. Only for addresses of the loopback device.
    bool allow_insecure_loopback = false;
    size_t streams_per_connection = 64;  // below HTTP/2's 100, so that the one too many gets an answer
    size_t streams = 4096;               // in all
  };
  // Listens when it returns. ALREADY_EXISTS: a living host has this socket, or another program the port. FAILED_PRECONDITION: the socket's
  // directory is open to others. INVALID_ARGUMENT, PERMISSION_DENIED: the address can't be served, the message says why.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(const Options& options, Engine* engine, const Feeds& feeds);

  // Shuts down.
  virtual ~ApiServer() = default;

  // Where it listens, with the port that it got.
  virtual const std::string& address() const = 0;

  // Ends all streams with UNAVAILABLE, lets unary calls end for at most `patience`, then cancels them. Idempotent; blocks.
  virtual void Shutdown(absl::Duration patience = absl::Seconds(1)) = 0;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_API_SERVER_H_
