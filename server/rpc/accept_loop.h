#ifndef PUMA_SERVER_RPC_ACCEPT_LOOP_H_
#define PUMA_SERVER_RPC_ACCEPT_LOOP_H_
// Takes connections itself and hands them to gRPC, since gRPC 1.51 stops listening for good once a process has run out of descriptors
// (CVE-2023-4785), counts nobody's connections, and does not say which user is at the other end of a Unix socket.
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/platform/unique_fd.h"

namespace puma::server {

// Thread-compatible: made and destroyed by one thread.
class AcceptLoop {
 public:
  struct Listener {
    UniqueFd socket;   // listens; non-blocking
    bool tls = false;  // its clients must begin with a hello that offers TLS 1.3
    // Takes a connection over. `uid` is the user's at the other end of a Unix socket.
    std::function<void(UniqueFd connection, std::optional<uid_t> uid)> hand_over;
  };
  struct Options {
    size_t connections = 1024;                        // at a time, in all
    size_t connections_of_one = 256;                  // of one user, or of one address
    absl::Duration hello_timeout = absl::Seconds(3);  // until a client's hello must be there
    absl::Duration tick = absl::Seconds(1);
    std::function<void()> on_tick;                       // on the loop's thread, now and then
    std::function<void(const std::string&)> on_refused;  // at most once per tick: what was refused since, in words
  };
  static absl::StatusOr<std::unique_ptr<AcceptLoop>> Start(std::vector<Listener> listeners, Options options);
  // Accepts no more. Connections that were handed over live on.
  ~AcceptLoop();
  AcceptLoop(const AcceptLoop&) = delete;
  AcceptLoop& operator=(const AcceptLoop&) = delete;

 private:
  struct Connection {
    UniqueFd socket;            // of a waiting one the only descriptor, else a second one: it tells when both ends are done
    std::string who;            // "uid 1000", "192.0.2.1"
    Listener* waits = nullptr;  // for its hello
    absl::Time deadline = absl::InfiniteFuture();
  };
  AcceptLoop(std::vector<Listener> listeners, Options options) : listeners_(std::move(listeners)), options_(std::move(options)) {}
  absl::Status Prepare();
  void Run();
  void Accept(Listener& listener);
  void Admit(Listener& listener, UniqueFd socket);
  bool Watch(UniqueFd socket, const std::string& who, Listener* waits);
  void LookAtHello(int fd);
  void Forget(int fd);
  void Refuse(const std::string& who, const std::string& why);
  void Tick(absl::Time now);

  std::vector<Listener> listeners_;
  const Options options_;
  UniqueFd epoll_, quit_;
  UniqueFd spare_;  // closed for a moment to take, and drop, a connection when there is no descriptor left
  std::map<int, Connection> connections_;
  std::map<std::string, size_t> counts_;   // by who
  std::map<std::string, size_t> refused_;  // in this tick, by reason
  std::thread thread_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_ACCEPT_LOOP_H_
