#ifndef PUMA_WORKER_BUFFER_RING_LOOK_H_
#define PUMA_WORKER_BUFFER_RING_LOOK_H_
// RingReader's path of one message, included by ring.h. Inline: an item that its caller takes apart at once is never in memory.
#include "worker/buffer/ring.h"
#include "worker/buffer/ring_words.h"

namespace puma {

// R1, S3. Pairs with P2's store(release): a message whose number is below is complete.
inline uint64_t RingReader::tail() const { return header_->tail.load(std::memory_order_acquire); }

// Copies the descriptor once, then checks the copy. The item's bytes lie within the payload ring, whatever the publisher does. Returns what
// is wrong, or null.
inline const char* RingReader::Find(uint64_t number, RingItem& item) const {
  const uint64_t slot = number & (constants_.slots - 1);
  item.number = number;
  item.flags = 0;
  item.bytes = {};
  item.annotation = annotations_ != nullptr ? &annotations_[slot] : nullptr;
  // The completion is the last number there is. (Written before the tail that covers it: P2.)
  const bool closes =
      header_->closed.load(std::memory_order_acquire) != 0 && header_->close_number.load(std::memory_order_relaxed) == number;
  if (constants_.layout == RingLayout::kFixedStride) {
    item.kind = closes ? MessageKind::kComplete : MessageKind::kValue;
    if (closes) return nullptr;
    if (item.annotation != nullptr) item.flags = static_cast<uint16_t>(item.annotation->flags);
    item.bytes = {payload_ + slot * constants_.stride, constants_.max_message};
    return nullptr;
  }
  const Descriptor copy = internal::LoadWords(descriptors_[slot]);
  item.kind = copy.kind;
  if (copy.kind == MessageKind::kNone) return "a descriptor without a kind";
  if ((copy.kind == MessageKind::kComplete) != closes) return "a completion that the header does not know, or the reverse";
  if (closes) return nullptr;
  if (copy.length > constants_.max_message) return "longer than max_message";
  if (copy.offset % kPayloadAlignment != 0) return "its offset is not aligned";
  if (copy.offset > constants_.payload_bytes || copy.length > constants_.payload_bytes - copy.offset) {
    return "it ends beyond the payload ring";
  }
  item.flags = copy.flags;
  item.bytes = {payload_ + copy.offset, copy.length};
  return nullptr;
}

// Is `number` published? Looks at the tail only when the private copy of it says no.
inline bool RingReader::SeeMore(uint64_t number) {
  if (!internal::Before(number, seen_tail_)) {
    const uint64_t tail = this->tail();
    if (!internal::Before(number, tail) || internal::Before(tail, seen_tail_)) return false;
    seen_tail_ = tail;
    largest_backlog_ = tail - number > largest_backlog_ ? tail - number : largest_backlog_;
  }
  return seen_tail_ - number <= constants_.slots;
}

inline bool RingReader::LookInto(uint64_t number, RingItem& item) { return SeeMore(number) && Find(number, item) == nullptr; }

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_RING_LOOK_H_
