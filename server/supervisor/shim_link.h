#ifndef PUMA_SERVER_SUPERVISOR_SHIM_LINK_H_
#define PUMA_SERVER_SUPERVISOR_SHIM_LINK_H_
// The host's end of the socket to the shim: fixed structs out, checked structs in.
#include <cstddef>
#include <cstring>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/supervisor/event_loop.h"
#include "worker/platform/seqpacket.h"
#include "worker/shim/protocol.h"

namespace puma::server {

// A message from the shim, its header checked.
struct ShimMessage {
  shim::Header header;
  std::vector<std::byte> body;
  std::vector<UniqueFd> fds;
  // The body's fixed part; zeros where the sender's was shorter.
  template <class T>
  T As() const {
    T value{};
    std::memcpy(static_cast<void*>(&value), body.data(), std::min(body.size(), sizeof(T)));
    return value;
  }
  // What follows the fixed part, at most `length` bytes of it.
  template <class T>
  std::string Text(size_t length) const {
    if (body.size() <= sizeof(T)) return "";
    return std::string(reinterpret_cast<const char*>(body.data()) + sizeof(T), std::min(length, body.size() - sizeof(T)));
  }
};

// Only the loop's thread uses it.
class ShimLink {
 public:
  // `on_message` gets each message; `on_closed` is called once when the shim is gone.
  ShimLink(EventLoop& loop, UniqueFd socket, std::function<void(ShimMessage)> on_message,
           std::function<void(const std::string&)> on_closed);
  ~ShimLink();

  // Queued when the socket is full; never blocks. The descriptors are duplicated if they must wait.
  template <class T>
  uint64_t Send(shim::Type type, const T& fixed, std::span<const std::byte> rest = {}, std::span<const int> fds = {}) {
    return SendBytes(type, std::as_bytes(std::span(&fixed, 1)), rest, fds);
  }

 private:
  struct Queued {
    std::vector<std::byte> bytes;
    std::vector<UniqueFd> fds;
  };
  uint64_t SendBytes(shim::Type type, std::span<const std::byte> fixed, std::span<const std::byte> rest, std::span<const int> fds);
  void Ready();
  void Flush();
  EventLoop& loop_;
  UniqueFd socket_;
  std::function<void(ShimMessage)> on_message_;
  std::function<void(const std::string&)> on_closed_;
  uint64_t sequence_ = 0;
  std::deque<Queued> queue_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_SHIM_LINK_H_
