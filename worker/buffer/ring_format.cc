#include "worker/buffer/ring_format.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

namespace puma::internal {
namespace {

absl::Status Invalid(const char* what) { return absl::InvalidArgumentError(what); }

// What is wrong with the numbers of a ring, or null. The same rules for our own options and for foreign headers.
const char* Fault(const RingConstants& c) {
  if (c.lane_id == 0) return "ring: the lane id is 0";
  if (c.capacity < 1 || c.capacity > kMaxCapacity) return "ring: the capacity is not in 1 .. 2^20";
  if (!std::has_single_bit(c.slots) || c.slots <= c.capacity || c.slots > 2 * kMaxCapacity) {
    return "ring: slots is not a power of two above the capacity";
  }
  if (c.wake_mode != WakeMode::kFenced && c.wake_mode != WakeMode::kAsymmetric) return "ring: unknown wake mode";
  if (c.lossy > 1 || c.annotated > 1) return "ring: a flag is neither 0 nor 1";
  if (c.payload_bytes > kMaxRingBytes || c.stride > kMaxRingBytes || c.max_message > kMaxRingBytes) return "ring: larger than 2^40 bytes";
  if (c.layout == RingLayout::kFixedStride) {
    if (c.stride == 0 || c.stride % 8 != 0) return "ring: the stride is not a positive multiple of 8";
    if (c.max_message == 0 || c.max_message > c.stride) return "ring: the message is not within 1 .. stride bytes";
    if (c.stride > kMaxRingBytes / c.slots || c.payload_bytes != c.slots * c.stride) return "ring: the payload is not slots x stride";
    return nullptr;
  }
  if (c.layout != RingLayout::kDescriptors) return "ring: unknown layout";
  if (c.stride != 0) return "ring: a descriptor ring has no stride";
  if (c.payload_bytes % kPayloadAlignment != 0) return "ring: the payload ring's size is not a multiple of its alignment";
  if (c.payload_bytes < 2 * PayloadNeed(c.max_message)) return "ring: the payload ring holds less than two of the largest message";
  return nullptr;
}

}  // namespace

RingPlaces PlacesOf(const RingConstants& c) {
  RingPlaces places;
  places.descriptors = sizeof(RingHeader);
  const size_t descriptor_bytes = c.layout == RingLayout::kDescriptors ? c.slots * sizeof(Descriptor) : 0;
  places.annotations = RoundUp(places.descriptors + descriptor_bytes, kLine);
  places.payload = RoundUp(places.annotations + (c.annotated ? c.slots * sizeof(Annotation) : 0), kLine);
  places.end = RoundUp(places.payload + c.payload_bytes, kLine);
  return places;
}

absl::StatusOr<RingConstants> MakeConstants(const RingOptions& options) {
  RingConstants c{};
  if (options.capacity < 1 || options.capacity > kMaxCapacity) return Invalid("ring: the capacity is not in 1 .. 2^20");
  if (std::max({options.stride, options.payload_bytes, options.max_message}) > kMaxRingBytes)
    return Invalid("ring: larger than 2^40 bytes");
  c.magic = kRingMagic;
  c.version = kLayoutVersion;
  c.layout = options.layout;
  c.lane_id = options.lane_id;
  c.base = options.base;
  c.capacity = options.capacity;
  c.slots = std::bit_ceil(options.capacity + 1);
  c.epoch = options.epoch;
  c.wake_mode = options.wake_mode;
  c.lossy = options.lossy;
  c.annotated = options.annotated;
  if (options.layout == RingLayout::kFixedStride) {
    c.max_message = options.max_message != 0 ? options.max_message : options.stride;
    c.stride = RoundUp(options.stride, 8);
    c.payload_bytes = c.slots * c.stride;
  } else {
    if (options.payload_bytes < 2 * options.max_message) return Invalid("ring: payload_bytes holds less than two of the largest message");
    c.max_message = options.max_message;
    c.payload_bytes = std::max(RoundUp(options.payload_bytes, kPayloadAlignment), 2 * PayloadNeed(options.max_message));
  }
  if (const char* fault = Fault(c)) return Invalid(fault);
  return c;
}

absl::Status CheckConstants(const RingConstants& c, size_t memory_bytes) {
  if (c.magic != kRingMagic) return absl::DataLossError("ring: no ring (wrong magic)");
  if (c.version != kLayoutVersion) return absl::DataLossError("ring: a layout version that this build does not know");
  if (const char* fault = Fault(c)) return absl::DataLossError(fault);
  if (PlacesOf(c).end > memory_bytes) return absl::DataLossError("ring: larger than its memory");
  return absl::OkStatus();
}

bool BarrierOfTheSleeper(WakeMode mode) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (mode == WakeMode::kFenced) return true;
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

}  // namespace puma::internal
