#ifndef PUMA_WORKER_BUFFER_RING_FORMAT_H_
#define PUMA_WORKER_BUFFER_RING_FORMAT_H_
// What both ends of a ring compute from its constants, and the barriers of the sleep protocol. Private to the room.
#include <bit>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/layout.h"
#include "worker/buffer/ring.h"

namespace puma::internal {

inline constexpr uint64_t kMaxCapacity = uint64_t{1} << 20;
inline constexpr uint64_t kMaxRingBytes = uint64_t{1} << 40;  // keeps every sum and product below far from overflow

// Positions, tails and floors are numbers that wrap: which of two is earlier is a question of their difference.
inline bool Before(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b) < 0; }
inline constexpr uint64_t RoundUp(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// The low half of a number: what the kernel compares.
static_assert(std::endian::native == std::endian::little, "the futex word is the half at the number's address");
inline const Word32* LowHalf(const Word64* word) { return reinterpret_cast<const Word32*>(word); }
inline uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }

// Bytes of the payload ring that a message takes. Never 0, so that "head equals oldest" means full.
inline uint64_t PayloadNeed(uint64_t bytes) { return RoundUp(bytes == 0 ? 1 : bytes, kPayloadAlignment); }

struct RingPlaces {
  size_t descriptors = 0, annotations = 0, payload = 0, end = 0;  // offsets from the header
};
RingPlaces PlacesOf(const RingConstants& constants);

// INVALID_ARGUMENT: the options contradict each other.
absl::StatusOr<RingConstants> MakeConstants(const RingOptions& options);
// DATA_LOSS: a ring with such a header in so many bytes can't be.
absl::Status CheckConstants(const RingConstants& constants, size_t memory_bytes);

// The barrier between "I stored what you wait for" and "do you sleep?" (P3, R4).
inline void BarrierOfTheBusy(WakeMode mode) {
  if (mode == WakeMode::kFenced) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  } else {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the other side's membarrier does the rest
  }
}
// The barrier between "I am about to sleep" and the last look (S2, F2). False: this process can't issue it; it may sleep only briefly.
bool BarrierOfTheSleeper(WakeMode mode);

}  // namespace puma::internal
#endif  // PUMA_WORKER_BUFFER_RING_FORMAT_H_
