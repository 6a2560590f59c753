#include "worker/platform/seqpacket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace puma {
namespace {

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMaxPacketFds);

// Takes ownership of every descriptor that came with the message, also of a cut one.
void TakeFds(msghdr& message, std::vector<UniqueFd>& fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

int SendPacket(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (bytes.empty()) return EINVAL;  // a packet without bytes would look like the end
  if (bytes.size() > kMaxPacketBytes || fds.size() > kMaxPacketFds) return EMSGSIZE;
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[kControlBytes] = {};
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

Packet ReceivePacket(int socket) {
  Packet packet;
  std::array<std::byte, kMaxPacketBytes> buffer;
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length;
  // A peer that closed with packets unread resets the connection, which is said once and before what it has sent: that is still there.
  do length = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (length < 0 && (errno == EINTR || errno == ECONNRESET));
  if (length < 0) {
    packet.error = errno;
    return packet;
  }
  TakeFds(message, packet.fds);
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {  // CTRUNC also says that this process had no free descriptors
    packet.fds.clear();
    packet.error = EMSGSIZE;
    return packet;
  }
  packet.bytes.assign(buffer.begin(), buffer.begin() + length);
  return packet;
}

std::pair<UniqueFd, UniqueFd> SeqpacketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return {};
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace puma
