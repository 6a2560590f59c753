#ifndef PUMA_TESTS_BUFFER_STORM_MESSAGES_H_
#define PUMA_TESTS_BUFFER_STORM_MESSAGES_H_
// What the driver of a storm and its peers (storm_peer.cc) say to each other, over a SOCK_SEQPACKET at descriptor 3 of the peer.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>

#include "worker/buffer/task_page.h"
#include "worker/platform/seqpacket.h"

namespace puma::testing {

inline constexpr int kPeerSocket = 3;
inline constexpr uint64_t kMaxWords = 40;  // of a message of a storm

enum class Say : uint32_t {
  kPublish,     // driver: be a publisher
  kConsume,     // driver: be a consumer; with its record
  kLane,        // publisher: my lane
  kPage,        // consumer: my page
  kAttachPage,  // driver to a publisher: gate on this page's slot
  kAttachLane,  // driver to a consumer: read this lane through your slot
  kEnded,       // driver to a consumer: the lane's publisher is dead
  kLeft,        // consumer: nothing is left in the lane
  kFinish       // driver to a publisher: complete
};

struct Words {
  Say say{};
  uint32_t run = 0;
  uint64_t lane = 0, base = 0, seed = 0;
  uint32_t fixed = 0, asymmetric = 0, slot = 0, subscription = 0;
  uint32_t uid = 0;        // to run as; 0: as it is
  char die_at[40] = {};    // a stop point; "": nowhere
  uint64_t die_after = 0;  // how often it is passed before
  uint32_t states = 0;
  ReadState state[64];
};

// The consumer's memory beyond its death. One word per fact: a kill leaves each of them true.
struct Record {
  std::atomic<uint64_t> expected;    // number of the next new message
  std::atomic<uint64_t> duplicates;  // of the message just before
  std::atomic<uint64_t> disorder;    // neither of the two: lost, or out of order
  std::atomic<uint64_t> foreign;     // other bytes than were published
  std::atomic<uint64_t> completed;
};

inline bool Tell(int socket, const Words& words, std::span<const int> fds = {}) {
  return SendPacket(socket, std::as_bytes(std::span(&words, 1)), fds) == 0;
}
// False: the other end is gone.
inline bool Hear(const Packet& packet, Words& words) {
  if (packet.error != 0 || packet.bytes.size() != sizeof words) return false;
  memcpy(&words, packet.bytes.data(), sizeof words);
  return true;
}

}  // namespace puma::testing
#endif  // PUMA_TESTS_BUFFER_STORM_MESSAGES_H_
