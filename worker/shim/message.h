#ifndef PUMA_WORKER_SHIM_MESSAGE_H_
#define PUMA_WORKER_SHIM_MESSAGE_H_
// Messages of protocol.h on their way in and out, with the descriptors that travel along. Nothing here blocks.
#include <sys/types.h>

#include <cstddef>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/platform/unique_fd.h"
#include "worker/shim/protocol.h"

namespace puma::shim {

// Descriptors are shared between the table and messages that wait to be sent.
using SharedFd = std::shared_ptr<const UniqueFd>;
inline SharedFd Share(UniqueFd fd) { return std::make_shared<const UniqueFd>(std::move(fd)); }

struct Incoming {
  enum class Kind { kMessage, kNothing, kClosed, kBad };
  Kind kind = Kind::kNothing;
  Header header;
  std::vector<std::byte> body;  // after the header
  std::vector<UniqueFd> fds;
  pid_t sender = 0;        // 0: the socket does not say (SO_PASSCRED)
  const char* fault = "";  // kBad: magic, version, length or number of descriptors is wrong; `header` as far as it came
};
Incoming Receive(int socket);

// Splits a message's body into its struct and what follows. False: too short, or not as many descriptors as expected.
template <class T>
bool Split(const Incoming& message, size_t fd_count, T& out, std::span<const std::byte>& rest) {
  if (message.body.size() < sizeof(T) || message.fds.size() != fd_count) return false;
  std::memcpy(&out, message.body.data(), sizeof(T));
  rest = std::span(message.body).subspan(sizeof(T));
  return true;
}

struct Outgoing {
  std::vector<std::byte> bytes;
  std::vector<SharedFd> fds;
};

namespace internal {
Outgoing Compose(Type type, std::span<const std::byte> body, std::vector<SharedFd> fds, std::span<const std::byte> rest, uint64_t reply_to);
}
template <class T>
Outgoing Compose(Type type, const T& body, std::vector<SharedFd> fds = {}, std::span<const std::byte> rest = {}, uint64_t reply_to = 0) {
  return internal::Compose(type, std::as_bytes(std::span(&body, 1)), std::move(fds), rest, reply_to);
}
inline std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

// One peer's socket and what it has not taken yet. Bounded: who does not read is not waited for.
class Peer {
 public:
  Peer() = default;
  Peer(UniqueFd socket, size_t limit);  // makes the socket non-blocking
  int socket() const { return socket_.get(); }
  bool open() const { return socket_.valid(); }
  size_t waiting() const { return queue_.size(); }
  // Sends, or queues what does not fit now. False: the queue is full; the message is gone.
  bool Send(Outgoing message);
  // Sends what waits. False: try again when the socket is writable, or, if crowded, soon: too many descriptors are in flight.
  bool Flush();
  bool crowded() const { return crowded_; }
  // Drops the queue and the socket.
  void Close();

 private:
  UniqueFd socket_;
  size_t limit_ = 0;
  uint64_t sequence_ = 0;
  bool crowded_ = false;
  std::deque<Outgoing> queue_;
};

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_MESSAGE_H_
