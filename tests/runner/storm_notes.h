#ifndef PUMA_TESTS_RUNNER_STORM_NOTES_H_
#define PUMA_TESTS_RUNNER_STORM_NOTES_H_
// What the keeper of a storm and its tasks (storm_task.cc) say to each other over a SOCK_SEQPACKET at descriptor 3 of the task: the part of
// the shim's protocol that hands segments over.
#include <cstdint>
#include <cstring>
#include <span>

#include "worker/platform/seqpacket.h"

namespace puma::testing {

inline constexpr int kTaskSocket = 3;

enum class Say : uint32_t {
  kStart,       // keeper: descriptors: the start spec, the ledger
  kPage,        // task: my page
  kLane,        // task: a lane of mine
  kAttachPage,  // keeper to a publisher: this page gates the lane from now on
  kAttachLane   // keeper to a consumer: read this lane
};
struct Note {
  Say say{};
  uint32_t slot = 0, epoch = 0;
  uint64_t lane = 0, publisher = 0, subscription = 0, seed = 0;
};

inline bool Tell(int socket, const Note& note, std::span<const int> fds = {}) {
  return SendPacket(socket, std::as_bytes(std::span(&note, 1)), fds) == 0;
}
// False: the other end is gone.
inline bool Hear(const Packet& packet, Note& note) {
  if (packet.error != 0 || packet.bytes.size() != sizeof note) return false;
  memcpy(&note, packet.bytes.data(), sizeof note);
  return true;
}

// Publisher 1 sends plain structs, publisher 2 vectors of changing length; each word says who, in which run, which message.
struct Plain {
  uint64_t words[8];
};
inline constexpr uint64_t kPlainPublisher = 1, kVariedPublisher = 2;
inline uint64_t WordOf(uint64_t lane, uint64_t number) { return lane << 40 ^ number * 0x9e3779b97f4a7c15; }

}  // namespace puma::testing
#endif  // PUMA_TESTS_RUNNER_STORM_NOTES_H_
