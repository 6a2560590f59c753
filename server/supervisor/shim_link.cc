#include "server/supervisor/shim_link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

namespace puma::server {
namespace {
constexpr int kMessagesPerTurn = 256;  // then other descriptors have their turn
}

ShimLink::ShimLink(EventLoop& loop, UniqueFd socket, std::function<void(ShimMessage)> on_message,
                   std::function<void(const std::string&)> on_closed)
    : loop_(loop), socket_(std::move(socket)), on_message_(std::move(on_message)), on_closed_(std::move(on_closed)) {
  fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  fcntl(socket_.get(), F_SETFD, FD_CLOEXEC);
  loop_.Watch(socket_.get(), [this] { Ready(); });
}

ShimLink::~ShimLink() { loop_.Unwatch(socket_.get()); }

uint64_t ShimLink::SendBytes(shim::Type type, std::span<const std::byte> fixed, std::span<const std::byte> rest, std::span<const int> fds) {
  shim::Header header;
  header.type = type;
  header.length = static_cast<uint32_t>(sizeof(header) + fixed.size() + rest.size());
  header.fd_count = static_cast<uint32_t>(fds.size());
  header.sequence = ++sequence_;
  Queued message;
  message.bytes.resize(header.length);
  std::memcpy(message.bytes.data(), &header, sizeof(header));
  std::memcpy(message.bytes.data() + sizeof(header), fixed.data(), fixed.size());
  if (!rest.empty()) std::memcpy(message.bytes.data() + sizeof(header) + fixed.size(), rest.data(), rest.size());
  if (queue_.empty()) {
    const int error = SendPacket(socket_.get(), message.bytes, fds);
    if (error == 0) return sequence_;
    if (error != EAGAIN && error != EWOULDBLOCK) return sequence_;  // the reading side will see that the shim is gone
    loop_.WatchWritable(socket_.get(), true);
  }
  for (int fd : fds) message.fds.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  queue_.push_back(std::move(message));
  return sequence_;
}

void ShimLink::Flush() {
  while (!queue_.empty()) {
    std::vector<int> fds;
    for (const UniqueFd& fd : queue_.front().fds) fds.push_back(fd.get());
    const int error = SendPacket(socket_.get(), queue_.front().bytes, fds);
    if (error == EAGAIN || error == EWOULDBLOCK) return;
    queue_.pop_front();
  }
  loop_.WatchWritable(socket_.get(), false);
}

void ShimLink::Ready() {
  if (!queue_.empty()) Flush();
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    Packet packet = ReceivePacket(socket_.get());
    if (packet.error == EAGAIN || packet.error == EWOULDBLOCK) return;
    if (packet.error == EMSGSIZE) continue;
    if (packet.error != 0 || packet.bytes.empty()) {
      loop_.Unwatch(socket_.get());
      on_closed_(packet.error == 0 ? "the shim has closed its socket" : std::string("receiving from the shim: ") + strerror(packet.error));
      return;
    }
    ShimMessage message;
    if (packet.bytes.size() < sizeof(message.header)) continue;
    std::memcpy(&message.header, packet.bytes.data(), sizeof(message.header));
    if (message.header.magic != shim::kMagic || message.header.length != packet.bytes.size() ||
        message.header.fd_count != packet.fds.size())
      continue;
    message.body.assign(packet.bytes.begin() + sizeof(message.header), packet.bytes.end());
    message.fds = std::move(packet.fds);
    on_message_(std::move(message));
  }
}

}  // namespace puma::server
