#ifndef PUMA_WORKER_BUFFER_RING_PUBLISH_H_
#define PUMA_WORKER_BUFFER_RING_PUBLISH_H_
// RingWriter's path of one message, included by ring.h. Inline, and sparing with stores, private ones too: what they cost while a line
// comes from the reader's core stands in README.md, "Speed".
#include <algorithm>

#include "worker/buffer/ring.h"
#include "worker/buffer/ring_words.h"
#include "worker/buffer/stop_point.h"

namespace puma {

inline uint64_t RingWriter::NeedOf(size_t bytes) const {
  return constants_.layout == RingLayout::kDescriptors ? internal::PayloadNeed(bytes) : 0;
}

inline std::byte* RingWriter::ReserveOrNull(size_t bytes) {
  const uint64_t need = NeedOf(bytes);
  if (bytes > constants_.max_message || completed_ || !Fits(need)) [[unlikely]] {
    if (!ReserveSlowly(bytes)) return nullptr;
  }
  reserved_ = bytes + 1;
  return payload_ + (constants_.layout == RingLayout::kDescriptors ? head_ : (tail_ & (constants_.slots - 1)) * constants_.stride);
}

inline absl::StatusOr<std::span<std::byte>> RingWriter::TryReserve(size_t bytes) {
  std::byte* const at = ReserveOrNull(bytes);
  if (at == nullptr) [[unlikely]]
    return Refusal(bytes);
  return absl::StatusOr<std::span<std::byte>>(absl::in_place, at, bytes);
}

inline void RingWriter::Describe(uint64_t number, uint64_t offset, size_t bytes, MessageKind kind, uint16_t flags,
                                 const Annotation* annotation) {
  PUMA_STOP_POINT("payload | descriptor");
  const uint64_t slot = number & (constants_.slots - 1);
  if (constants_.layout == RingLayout::kDescriptors) {
    internal::StoreWords(descriptors_[slot], {.offset = offset, .length = static_cast<uint32_t>(bytes), .kind = kind, .flags = flags});
  }
  if (annotations_ != nullptr) {
    Annotation value = annotation != nullptr ? *annotation : Annotation{};
    value.flags |= flags;
    internal::StoreWords(annotations_[slot], value);
  }
}

inline void RingWriter::Stage(size_t bytes, MessageKind kind, uint16_t flags, const Annotation* annotation) {
  if (reserved_ == 0) return;
  bytes = std::min<size_t>(bytes, reserved_ - 1);
  Describe(tail_, head_, bytes, kind, flags, annotation);  // P1
  if (constants_.layout == RingLayout::kDescriptors) head_ += internal::PayloadNeed(bytes);
  reserved_ = 0;
  ++tail_;
}

inline void RingWriter::Commit(size_t bytes, MessageKind kind, uint16_t flags, const Annotation* annotation) {
  Stage(bytes, kind, flags, annotation);
  Flush();
}

inline void RingWriter::Flush() {
  // Also the beginning of a look at the gates' words, which the last store here ends. It stands before P3's barrier and the look
  // at the version behind it; GatesChanged does the two in the other order, with its barrier between: either we see its version, or it
  // sees us in here.
  if (shown_.load(std::memory_order_relaxed) == tail_) return;
  shown_.store(tail_, std::memory_order_relaxed);
  PUMA_STOP_POINT("descriptor | tail");
  // P2. Pairs with the reader's tail.load(acquire) (R1, S3): the message is written before its number counts.
  header_->tail.store(tail_, std::memory_order_release);
  PUMA_STOP_POINT("tail | look at sleepers");
  internal::BarrierOfTheBusy(busy_mode_);  // P3: the tail before the sleep words; the sleeper has S2 between its two
  if (gates_version_.load(std::memory_order_acquire) != watched_version_) [[unlikely]]
    WatchAgain();
  bool asleep = false;
  for (const Sleeper& sleeper : sleepers_) {  // P4
    const uint32_t generation = sleeper.sleep->load(std::memory_order_relaxed);
    asleep |= (generation & 1) != 0 && generation != sleeper.woken;
  }
  const bool wake = asleep && MustWake();
  PUMA_STOP_POINT("look at sleepers | wake");
  if (wake) WakeTail();                             // P5
  looked_.store(tail_, std::memory_order_release);  // pairs with the acquire in GatesChanged: our looks are over
  PUMA_STOP_POINT("published");
}

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_RING_PUBLISH_H_
