#ifndef PUMA_WORKER_BUFFER_RING_BATCH_H_
#define PUMA_WORKER_BUFFER_RING_BATCH_H_
// Messages that are published together: one store of the tail and one look at sleepers for all.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "worker/buffer/ring.h"

namespace puma {

// Lives in one function of the publisher, which uses the ring through nothing else meanwhile. The ring's counters are copies here that the
// compiler keeps in registers: a message stores its bytes and its descriptor, and nothing besides (ring_publish.h says why that counts).
// The destructor publishes what was added.
class RingBatch {
 public:
  explicit RingBatch(RingWriter& ring) : ring_(ring) { Take(); }
  ~RingBatch() { Publish(); }
  RingBatch(const RingBatch&) = delete;
  RingBatch& operator=(const RingBatch&) = delete;

  // Room for one message, to be filled and then added. Null: full (what was added before is published then, so that readers can make
  // room), completed, or more than max_message.
  std::byte* ReserveOrNull(size_t bytes) {
    const RingConstants& ring = ring_.constants_;
    const uint64_t need = ring_.NeedOf(bytes);
    if (tail_ == limit_ || need > end_ - head_ || bytes > ring.max_message || ring_.completed_) [[unlikely]] {
      Give();
      const bool found = ring_.ReserveSlowly(bytes);
      Take();
      if (!found) return nullptr;
    }
    reserved_ = bytes;
    return ring_.payload_ + (ring.layout == RingLayout::kDescriptors ? head_ : (tail_ & (ring.slots - 1)) * ring.stride);
  }
  // Adds the message that was reserved last, at most once (its first `bytes`, if fewer were needed).
  void Add(size_t bytes, MessageKind kind = MessageKind::kValue, uint16_t flags = 0, const Annotation* annotation = nullptr) {
    ring_.Describe(tail_, head_, std::min(bytes, reserved_), kind, flags, annotation);
    if (ring_.constants_.layout == RingLayout::kDescriptors) head_ += internal::PayloadNeed(std::min(bytes, reserved_));
    ++tail_;
  }
  void Publish() {
    Give();
    ring_.Flush();
    Take();
  }

 private:
  void Take() {
    tail_ = ring_.tail_;
    head_ = ring_.head_;
    end_ = ring_.free_end_;
    limit_ = ring_.min_ + ring_.constants_.capacity;
  }
  void Give() {
    ring_.reserved_ = 0;
    ring_.tail_ = tail_;
    ring_.head_ = head_;
  }

  RingWriter& ring_;
  uint64_t tail_ = 0, head_ = 0, end_ = 0;
  uint64_t limit_ = 0;  // the tail of a full ring
  size_t reserved_ = 0;
};

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_RING_BATCH_H_
