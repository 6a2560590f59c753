#ifndef PUMA_TESTS_BUFFER_LITMUS_H_
#define PUMA_TESTS_BUFFER_LITMUS_H_
// What litmus_test.cc and the two programs that it starts (litmus_peer.cc) share: one mapping, at descriptor 3 of the peers.
#include <cstddef>
#include <cstdint>

#include "worker/buffer/layout.h"
#include "worker/buffer/ring.h"

namespace puma::testing {

inline constexpr int kLitmusFd = 3;
inline constexpr size_t kLitmusLines = 32, kLitmusBytes = 64 * kLitmusLines;  // of a message: many lines that lie in the other core
inline constexpr size_t kRingAt = 4096;

struct Litmus {
  uint64_t rounds = 0;          // to go
  alignas(kLine) Word32 sleep;  // the sleeper's word, and its position
  alignas(kLine) Word64 position;
  alignas(kLine) Word64 opened;   // 1: the ring is there
  alignas(kLine) Word64 ready;    // the round for which the sleeper holds the lines
  alignas(kLine) Word64 over;     // 2 * round - 1: the sleeper has looked; 2 * round: the publisher has judged
  alignas(kLine) Word64 seen;     // the tail of the sleeper's last look
  alignas(kLine) Word64 lost;     // rounds in which neither saw the other
  Word64 registered, asymmetric;  // of the publisher, when it had its ring
};
static_assert(sizeof(Litmus) <= kRingAt);

inline RingOptions LitmusRing(WakeMode mode) {
  return {.layout = RingLayout::kFixedStride, .capacity = 1, .stride = kLitmusBytes, .wake_mode = mode};
}

}  // namespace puma::testing
#endif  // PUMA_TESTS_BUFFER_LITMUS_H_
