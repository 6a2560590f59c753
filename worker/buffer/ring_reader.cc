#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/ring_format.h"
#include "worker/buffer/stop_point.h"
#include "worker/platform/system.h"

namespace puma {

using internal::Before;
using internal::LoadWord;
using internal::LoadWords;

namespace {

// `length` bytes from an 8-aligned place whose last word is readable to its end (payload rings are multiples of 8).
void CopyWords(const std::byte* from, size_t length, std::string& to) {
  to.resize(length);
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    const uint64_t word = LoadWord(from + at);
    memcpy(to.data() + at, &word, 8);
  }
  if (at < length) {
    const uint64_t word = LoadWord(from + at);
    memcpy(to.data() + at, &word, length - at);
  }
}

// Kept out of the way of those that find nothing wrong.
[[gnu::cold, gnu::noinline]] absl::Status Corrupt(const RingConstants& ring, uint64_t number, const char* what) {
  return absl::DataLossError(absl::StrCat("ring ", ring.lane_id, ", epoch ", ring.epoch, ", message ", number, ": ", what));
}

}  // namespace

absl::StatusOr<RingReader> RingReader::Open(std::span<const std::byte> memory) {
  if (memory.size() < sizeof(RingHeader)) return absl::DataLossError("ring: less memory than a header");
  if (reinterpret_cast<uintptr_t>(memory.data()) % kLine != 0)
    return absl::InvalidArgumentError("ring: its memory is not aligned to a line");
  RingReader reader;
  reader.header_ = reinterpret_cast<const RingHeader*>(memory.data());
  memcpy(&reader.constants_, &reader.header_->constants, sizeof reader.constants_);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // from here on the compiler too has only the copy
  if (absl::Status status = internal::CheckConstants(reader.constants_, memory.size()); !status.ok()) return status;
  const internal::RingPlaces places = internal::PlacesOf(reader.constants_);
  reader.descriptors_ = reinterpret_cast<const Descriptor*>(memory.data() + places.descriptors);
  if (reader.constants_.annotated) reader.annotations_ = reinterpret_cast<const Annotation*>(memory.data() + places.annotations);
  reader.payload_ = memory.data() + places.payload;
  reader.seen_tail_ = reader.tail();
  return reader;
}

const Word32* RingReader::tail_word() const { return internal::LowHalf(&header_->tail); }
// Pairs with P0's store(release): the tail that is read afterwards is not before it.
uint64_t RingReader::released() const { return header_->released.load(std::memory_order_acquire); }

absl::Status RingReader::SeeTail(uint64_t number) {
  const uint64_t tail = this->tail();
  if (Before(tail, seen_tail_) || Before(tail, number)) return Corrupt(constants_, number, "the tail ran backwards");
  seen_tail_ = tail;
  largest_backlog_ = std::max(largest_backlog_, tail - number);
  return absl::OkStatus();
}

RingStatistics RingReader::Statistics(int64_t now_ns) const {
  constexpr uint64_t kMost = uint64_t{1} << 53;  // a count that every language's numbers hold
  const uint64_t now = static_cast<uint64_t>(std::max<int64_t>(now_ns, 0));
  RingStatistics found;
  found.dropped = std::min(header_->dropped.load(std::memory_order_relaxed), kMost);
  found.blocked_times = std::min(header_->blocked_times.load(std::memory_order_relaxed), kMost);
  uint64_t blocked = std::min(header_->blocked_ns.load(std::memory_order_relaxed), now);
  const uint64_t since = header_->blocked_since.load(std::memory_order_relaxed);
  if (since != 0 && since <= now) {
    found.blocked_since_ns = static_cast<int64_t>(since);
    blocked = std::min(blocked + (now - since), now);
  }
  found.blocked_ns = static_cast<int64_t>(blocked);
  return found;
}

uint64_t RingReader::BytesHeld(uint64_t from, uint64_t to) const {
  if (!Before(from, to)) return 0;
  const uint64_t messages = std::min(to - from, constants_.slots);
  if (constants_.layout == RingLayout::kFixedStride) return messages * constants_.stride;
  const Descriptor first = LoadWords(descriptors_[from & (constants_.slots - 1)]);
  const Descriptor last = LoadWords(descriptors_[(to - 1) & (constants_.slots - 1)]);
  const uint64_t begin = std::min(first.offset, constants_.payload_bytes);
  const uint64_t end = std::min(last.offset, constants_.payload_bytes) + internal::PayloadNeed(last.length);
  const uint64_t bytes = begin < end ? end - begin : constants_.payload_bytes - begin + end;
  return std::min(bytes, constants_.payload_bytes);
}

// One result, filled in its place and returned everywhere: moving a fresh item costs more than the look (a wide load waits for narrow
// stores).
absl::StatusOr<std::optional<RingItem>> RingReader::Look(uint64_t number) {
  absl::StatusOr<std::optional<RingItem>> found(absl::in_place);
  if (!Before(number, seen_tail_)) {  // the private copy of the tail says: nothing more
    if (absl::Status status = SeeTail(number); !status.ok()) found = std::move(status);
    if (number == seen_tail_ || !found.ok()) return found;
  }
  const char* fault = "the tail is further ahead than the ring has slots";
  if (seen_tail_ - number <= constants_.slots) fault = Find(number, found->emplace());
  if (fault != nullptr) found = Corrupt(constants_, number, fault);
  return found;
}

// True: the copy is whole, or `fault` says why the ring is corrupt. False: it was overwritten meanwhile.
bool RingReader::CopyMessage(uint64_t number, std::string& out, size_t at_most, size_t& whole, RingItem& item, const char*& fault) {
  fault = Find(number, item);
  if (fault == nullptr) {
    PUMA_STOP_POINT("descriptor | copy");
    whole = item.bytes.size();
    CopyWords(item.bytes.data(), std::min(whole, at_most), out);
    if (item.annotation != nullptr) copied_annotation_ = LoadWords(*item.annotation);
  }
  // With P0's fence(release): if one byte or the descriptor was from after it, `released` is what P0 stored, or later.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (Before(number, header_->released.load(std::memory_order_relaxed))) return false;
  item.bytes = std::as_bytes(std::span(out));
  if (item.annotation != nullptr) item.annotation = &copied_annotation_;
  return true;
}

absl::StatusOr<std::optional<RingItem>> RingReader::CopyOut(uint64_t& number, std::string& out, std::optional<Gap>& gap) {
  size_t whole;
  return CopyOut(number, out, gap, std::numeric_limits<size_t>::max(), whole);
}

absl::StatusOr<std::optional<RingItem>> RingReader::CopyOut(uint64_t& number, std::string& out, std::optional<Gap>& gap, size_t at_most,
                                                            size_t& whole) {
  constexpr int kAttempts = 3;
  gap.reset();
  const uint64_t first = number;
  for (int attempt = 0; attempt <= kAttempts; ++attempt) {
    const uint64_t released = this->released();
    if (absl::Status status = SeeTail(number); !status.ok()) return status;
    if (number == seen_tail_) return std::optional<RingItem>();
    if (Before(number, released)) number = released;
    if (attempt == kAttempts && Before(number, seen_tail_ - 1)) number = seen_tail_ - 1;  // too slow to go on message by message
    if (number != first) gap = Gap{first, number - 1};
    if (Before(seen_tail_, number)) return Corrupt(constants_, number, "released is ahead of the tail");
    if (number == seen_tail_) return std::optional<RingItem>();
    RingItem item;
    const char* fault;
    if (!CopyMessage(number, out, at_most, whole, item, fault)) continue;
    if (fault != nullptr) return Corrupt(constants_, number, fault);
    return std::optional<RingItem>(item);
  }
  return std::optional<RingItem>();  // overtaken every time: the gap says how far, the caller tries again
}

RingRun RingReader::LookRun(uint64_t number, size_t at_most) {
  RingItem first;
  if (at_most == 0 || !LookInto(number, first) || first.kind != MessageKind::kValue || first.bytes.empty()) return {};
  RingRun run{first.bytes.data(), first.bytes.size(), 1};
  const uint64_t slot = number & (constants_.slots - 1);
  uint64_t most = std::min<uint64_t>({at_most, seen_tail_ - number, constants_.slots - slot});
  if (header_->closed.load(std::memory_order_acquire) != 0)  // nothing lies behind the completion, nor is it a value
    most = std::min(most, header_->close_number.load(std::memory_order_relaxed) - number);
  if (constants_.layout == RingLayout::kFixedStride) {
    if (constants_.stride == run.each) run.count = std::max<uint64_t>(most, 1);
    return run;
  }
  if (run.each % kPayloadAlignment != 0) return run;  // there are gaps between them
  uint64_t offset = static_cast<uint64_t>(run.data - payload_) + run.each;
  for (; run.count < most; ++run.count, offset += run.each) {
    const Descriptor copy = internal::LoadWords(descriptors_[slot + run.count]);
    if (copy.kind != MessageKind::kValue || copy.length != run.each || copy.offset != offset ||
        run.each > constants_.payload_bytes - offset)
      break;
  }
  return run;
}

std::string RingReader::ErrorText() const {
  const uint32_t length = std::atomic_ref<uint32_t>(const_cast<uint32_t&>(header_->error_length)).load(std::memory_order_relaxed);
  return std::string(header_->error, std::min<size_t>(length, kErrorBytes));
}

void RingReader::WakePublisher(uint64_t position, const Word64* position_word, uint32_t& seen_want) const {
  // R4: the position before the want; the publisher has F2 between its two. Whom its membarrier does not reach has a fence of its own.
  internal::BarrierOfTheBusy(MembarrierRegistered() ? constants_.wake_mode : WakeMode::kFenced);
  const uint32_t want = header_->want.load(std::memory_order_acquire);  // R5: pairs with F1
  if ((want & 1) == 0 || want == seen_want) return;
  if (Before(position, header_->want_position.load(std::memory_order_relaxed))) return;
  seen_want = want;
  PUMA_STOP_POINT("look at want | wake");
  WakeShared(internal::LowHalf(position_word));
}

}  // namespace puma
