#include "worker/process/shim_link.h"

#include <poll.h>

#include <cerrno>

#include "worker/platform/system.h"

namespace puma::process {

absl::StatusOr<ShimMessage> ShimLink::Receive() {
  Packet packet = ReceivePacket(socket_.get());
  while (packet.error == EINTR || packet.error == EAGAIN) {
    pollfd polled = {socket_.get(), POLLIN, 0};
    poll(&polled, 1, 1000);
    packet = ReceivePacket(socket_.get());
  }
  if (packet.error == 0 && packet.bytes.empty()) return absl::UnavailableError("the shim has closed the connection");
  if (packet.error != 0) return ErrnoStatus(packet.error, "a message of the shim");
  shim::Header header;
  if (packet.bytes.size() < sizeof(header)) return absl::DataLossError("a message without a header");
  std::memcpy(&header, packet.bytes.data(), sizeof(header));
  if (header.magic != shim::kMagic || header.version != shim::kVersion || header.length != packet.bytes.size() ||
      header.fd_count != packet.fds.size()) {
    return absl::DataLossError("a message that is none of this version");
  }
  ShimMessage message;
  message.type = header.type;
  message.body.assign(packet.bytes.begin() + sizeof(header), packet.bytes.end());
  message.fds = std::move(packet.fds);
  return message;
}

absl::Status ShimLink::SendBytes(shim::Type type, std::span<const std::byte> body, std::string_view text, int fd) {
  text = text.substr(0, kMaxPacketBytes - sizeof(shim::Header) - body.size());
  shim::Header header;
  header.type = type;
  header.length = static_cast<uint32_t>(sizeof(header) + body.size() + text.size());
  header.fd_count = fd >= 0 ? 1 : 0;
  std::vector<std::byte> bytes(header.length);
  std::memcpy(bytes.data() + sizeof(header), body.data(), body.size());
  if (!text.empty()) std::memcpy(bytes.data() + sizeof(header) + body.size(), text.data(), text.size());
  MutexLock lock(mutex_);
  header.sequence = ++sequence_;
  std::memcpy(bytes.data(), &header, sizeof(header));
  while (true) {
    const int error = SendPacket(socket_.get(), bytes, {&fd, fd >= 0 ? size_t{1} : size_t{0}});
    if (error == 0) return absl::OkStatus();
    if (error != EAGAIN && error != EINTR) return ErrnoStatus(error, "a message to the shim");
    pollfd polled = {socket_.get(), POLLOUT, 0};
    poll(&polled, 1, 1000);
  }
}

absl::Status ShimLink::SendFailed(const shim::RunId& id, uint32_t slot, const absl::Status& status) {
  const std::string text = status.ToString();
  shim::WorkerFailed failed{};
  failed.id = id;
  failed.slot = slot;
  failed.length = static_cast<uint32_t>(std::min(text.size(), kMaxPacketBytes - sizeof(shim::Header) - sizeof(failed)));
  return Send(shim::Type::kWorkerFailed, failed, std::string_view(text).substr(0, failed.length));
}

}  // namespace puma::process
