#ifndef PUMA_WORKER_PROCESS_SHIM_LINK_H_
#define PUMA_WORKER_PROCESS_SHIM_LINK_H_
// The worker's end of its socket to the shim: whole messages, checked.
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/platform/mutex.h"
#include "worker/platform/seqpacket.h"
#include "worker/platform/unique_fd.h"
#include "worker/shim/protocol.h"

namespace puma::process {

struct ShimMessage {
  shim::Type type{};
  std::vector<std::byte> body;  // without the header
  std::vector<UniqueFd> fds;

  // The body's fixed part; nothing if it is too short. The rest is `tail` bytes on.
  template <class T>
  std::optional<T> As() const {
    T value;
    if (body.size() < sizeof(T)) return std::nullopt;
    std::memcpy(&value, body.data(), sizeof(T));
    return value;
  }
  template <class T>
  std::string_view TextAfter(uint32_t length) const {
    if (body.size() < sizeof(T) || body.size() - sizeof(T) < length) return {};
    return {reinterpret_cast<const char*>(body.data()) + sizeof(T), length};
  }
  UniqueFd TakeFd() { return fds.empty() ? UniqueFd() : std::move(fds[0]); }
};

// Sending is thread-safe; one thread receives.
class ShimLink {
 public:
  explicit ShimLink(UniqueFd socket) : socket_(std::move(socket)) {}
  int fd() const { return socket_.get(); }

  // UNAVAILABLE: the shim is gone. DATA_LOSS: no message of ours.
  absl::StatusOr<ShimMessage> Receive();

  template <class T>
  absl::Status Send(shim::Type type, const T& body, std::string_view text = {}, int fd = -1) {
    return SendBytes(type, std::as_bytes(std::span(&body, 1)), text, fd);
  }
  absl::Status SendFailed(const shim::RunId& id, uint32_t slot, const absl::Status& status);

 private:
  absl::Status SendBytes(shim::Type type, std::span<const std::byte> body, std::string_view text, int fd) PUMA_EXCLUDES(mutex_);
  const UniqueFd socket_;
  Mutex mutex_;
  uint64_t sequence_ PUMA_GUARDED_BY(mutex_) = 0;
};

}  // namespace puma::process
#endif  // PUMA_WORKER_PROCESS_SHIM_LINK_H_
