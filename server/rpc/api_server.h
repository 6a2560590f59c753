#ifndef PUMA_SERVER_RPC_API_SERVER_H_
#define PUMA_SERVER_RPC_API_SERVER_H_
// The host's door to its clients: puma.v1, health and reflection, over gRPC.
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/tls_files.h"
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
    // A second address, for clients on other machines: TLS 1.3, and who has no certificate that comes from the clients' authorities is
    // not heard. Certificates can be changed while it serves.
    struct Tls {
      std::string address;  // "0.0.0.0:7443"; port 0: any free one
      TlsPaths files;
      std::string directory;  // for copies of them, private; see tls_files.h
    };
    std::optional<Tls> tls;
    size_t connections = 1024;           // at a time; at most an eighth of the descriptors that the process may have
    size_t connections_of_one = 256;     // of one user, or of one address
    size_t streams_per_connection = 64;  // below HTTP/2's 100, so that the one too many gets an answer
    size_t streams = 4096;               // in all
  };
  // Listens when it returns. ALREADY_EXISTS: a living host has this socket, or another program the port. FAILED_PRECONDITION: the socket's
  // directory is open to others. INVALID_ARGUMENT, PERMISSION_DENIED: the address can't be served, the message says why. TLS: as
  // TlsFiles::Open. `access` is asked about each call, and refreshed every second; it outlives the server.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(const Options& options, Engine* engine, const Feeds& feeds,
                                                          AccessControl* access);

  // Shuts down.
  virtual ~ApiServer() = default;

  // Where it listens, with the port that it got.
  virtual const std::string& address() const = 0;
  virtual const std::string& tls_address() const = 0;  // "": it has none

  // Ends all streams with UNAVAILABLE, lets unary calls end for at most `patience`, then cancels them. Idempotent; blocks.
  virtual void Shutdown(absl::Duration patience = absl::Seconds(1)) = 0;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_API_SERVER_H_
