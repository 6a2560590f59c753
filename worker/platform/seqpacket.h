#ifndef PUMA_WORKER_PLATFORM_SEQPACKET_H_
#define PUMA_WORKER_PLATFORM_SEQPACKET_H_
// Messages with descriptors over a SOCK_SEQPACKET pair. No allocation beyond the caller's buffer: the shim uses it too.
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "worker/platform/unique_fd.h"

namespace puma {

inline constexpr size_t kMaxPacketBytes = 16384;
inline constexpr size_t kMaxPacketFds = 64;

// Sends one packet. 0, or errno: EAGAIN when the socket is non-blocking and full, EPIPE when the peer is gone.
int SendPacket(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

struct Packet {
  std::vector<std::byte> bytes;  // empty with error 0: the peer has closed
  std::vector<UniqueFd> fds;     // CLOEXEC
  int error = 0;                 // errno; EAGAIN: nothing there; EMSGSIZE: cut (its descriptors are closed)
};
// Receives one packet; blocks unless the socket is non-blocking.
Packet ReceivePacket(int socket);

// Both ends CLOEXEC.
std::pair<UniqueFd, UniqueFd> SeqpacketPair();

}  // namespace puma
#endif  // PUMA_WORKER_PLATFORM_SEQPACKET_H_
