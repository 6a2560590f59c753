#ifndef PUMA_WORKER_BUFFER_RING_FORMAT_H_
#define PUMA_WORKER_BUFFER_RING_FORMAT_H_
// What both ends of a ring compute from its constants, and the barrier of who goes to sleep. Private to the room.
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/layout.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/ring_words.h"

namespace puma::internal {

inline constexpr uint64_t kMaxCapacity = uint64_t{1} << 20;
inline constexpr uint64_t kMaxRingBytes = uint64_t{1} << 40;  // keeps every sum and product below far from overflow

struct RingPlaces {
  size_t descriptors = 0, annotations = 0, payload = 0, end = 0;  // offsets from the header
};
RingPlaces PlacesOf(const RingConstants& constants);

// INVALID_ARGUMENT: the options contradict each other.
absl::StatusOr<RingConstants> MakeConstants(const RingOptions& options);
// DATA_LOSS: a ring with such a header in so many bytes can't be.
absl::Status CheckConstants(const RingConstants& constants, size_t memory_bytes);

// The barrier between "I am about to sleep" and the last look (S2, F2). False: this process can't issue it; it may sleep only briefly.
bool BarrierOfTheSleeper(WakeMode mode);

}  // namespace puma::internal
#endif  // PUMA_WORKER_BUFFER_RING_FORMAT_H_
