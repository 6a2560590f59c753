#include "worker/shim/message.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "worker/platform/seqpacket.h"

namespace puma::shim {
namespace {

void TakeControl(msghdr& message, Incoming& in) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials;
      std::memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
      in.sender = credentials.pid;
    }
    if (part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
      in.fds.emplace_back(fd);
    }
  }
}

// What is wrong with a message, or "".
const char* Fault(const Incoming& in, size_t bytes, int flags) {
  if ((flags & MSG_TRUNC) != 0) return "longer than 16 KiB";
  if (bytes < sizeof(Header)) return "shorter than a header";
  if (in.header.magic != kMagic) return "wrong magic";
  if (in.header.version != kVersion) return "wrong version";
  if (in.header.length != bytes) return "wrong length";
  if ((flags & MSG_CTRUNC) != 0 || in.header.fd_count != in.fds.size()) return "wrong number of descriptors";
  return "";
}

}  // namespace

Incoming Receive(int socket) {
  static std::byte buffer[kMaxPacketBytes];  // the shim has one thread
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds) + CMSG_SPACE(sizeof(ucred))];
  iovec part{buffer, sizeof(buffer)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t n;
  do n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  Incoming in;
  if (n <= 0) {
    in.kind = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Incoming::Kind::kNothing : Incoming::Kind::kClosed;
    return in;
  }
  TakeControl(message, in);
  const auto bytes = static_cast<size_t>(n);
  std::memcpy(&in.header, buffer, std::min(bytes, sizeof(Header)));
  in.fault = Fault(in, bytes, message.msg_flags);
  in.kind = *in.fault == '\0' ? Incoming::Kind::kMessage : Incoming::Kind::kBad;
  if (in.kind == Incoming::Kind::kBad) {
    in.fds.clear();
  } else {
    in.body.assign(buffer + sizeof(Header), buffer + bytes);
  }
  return in;
}

namespace internal {
Outgoing Compose(Type type, std::span<const std::byte> body, std::vector<SharedFd> fds, std::span<const std::byte> rest,
                 uint64_t reply_to) {
  Header header;
  header.type = type;
  header.length = static_cast<uint32_t>(sizeof(Header) + body.size() + rest.size());
  header.fd_count = static_cast<uint32_t>(fds.size());
  header.reply_to = reply_to;
  Outgoing out{std::vector<std::byte>(header.length), std::move(fds)};
  std::memcpy(out.bytes.data(), &header, sizeof(header));
  std::memcpy(out.bytes.data() + sizeof(header), body.data(), body.size());
  if (!rest.empty()) std::memcpy(out.bytes.data() + sizeof(header) + body.size(), rest.data(), rest.size());
  return out;
}
}  // namespace internal

Peer::Peer(UniqueFd socket, size_t limit) : socket_(std::move(socket)), limit_(limit) {
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

bool Peer::Send(Outgoing message) {
  if (!open()) return true;
  if (queue_.size() >= limit_) return false;
  ++sequence_;
  std::memcpy(message.bytes.data() + offsetof(Header, sequence), &sequence_, sizeof(sequence_));
  queue_.push_back(std::move(message));
  if (queue_.size() == 1) Flush();
  return true;
}

bool Peer::Flush() {
  while (!queue_.empty()) {
    const Outgoing& message = queue_.front();
    std::vector<int> fds;
    for (const SharedFd& fd : message.fds) fds.push_back(fd->get());
    const int error = SendPacket(socket_.get(), message.bytes, fds);
    crowded_ = error == ENOBUFS || error == ENOMEM || error == ETOOMANYREFS;
    if (error == EAGAIN || crowded_) return false;
    if (error == EPIPE || error == ECONNRESET) {  // nobody will read; the peer's death is learned elsewhere
      queue_.clear();
      return true;
    }
    queue_.pop_front();
  }
  return true;
}

void Peer::Close() {
  queue_.clear();
  socket_.reset();
}

}  // namespace puma::shim
