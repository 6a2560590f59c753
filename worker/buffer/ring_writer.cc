#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "worker/buffer/ring.h"
#include "worker/buffer/ring_format.h"
#include "worker/buffer/stop_point.h"
#include "worker/platform/system.h"

namespace puma {

using internal::Before;

namespace {

// Ours, but where the segment is sealed for size only (H), another process may have written it too: only its use must be safe.
uint64_t OffsetOf(const Descriptor& slot) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(slot.offset)).load(std::memory_order_relaxed);
}

// A missing registration is silent: so whoever is about to publish without a fence registers first, or is refused and has the fence.
WakeMode BusyMode(WakeMode mode) {
  const bool asymmetric = mode == WakeMode::kAsymmetric && (MembarrierRegistered() || RegisterMembarrier());
  return asymmetric ? WakeMode::kAsymmetric : WakeMode::kFenced;
}

}  // namespace

// ---- making ----------------------------------------------------------------------------------------------------------------------------

RingWriter::RingWriter(std::span<std::byte> memory, const RingConstants& constants)
    : header_(reinterpret_cast<RingHeader*>(memory.data())),
      constants_(constants),
      busy_mode_(BusyMode(constants.wake_mode)),
      tail_(constants.base),
      min_(constants.base),
      shown_(constants.base),
      looked_(constants.base) {
  const internal::RingPlaces places = internal::PlacesOf(constants);
  descriptors_ = reinterpret_cast<Descriptor*>(memory.data() + places.descriptors);
  annotations_ = constants.annotated ? reinterpret_cast<Annotation*>(memory.data() + places.annotations) : nullptr;
  payload_ = memory.data() + places.payload;
  if (constants.layout == RingLayout::kDescriptors) free_end_ = constants.payload_bytes;
}

absl::StatusOr<size_t> RingWriter::BytesNeeded(const RingOptions& options) {
  auto constants = internal::MakeConstants(options);
  if (!constants.ok()) return constants.status();
  return internal::PlacesOf(*constants).end;
}

absl::StatusOr<std::unique_ptr<RingWriter>> RingWriter::Create(std::span<std::byte> memory, const RingOptions& options) {
  auto constants = internal::MakeConstants(options);
  if (!constants.ok()) return constants.status();
  constants->wake_mode = BusyMode(constants->wake_mode);
  if (memory.size() < internal::PlacesOf(*constants).end) return absl::InvalidArgumentError("ring: less memory than BytesNeeded");
  if (reinterpret_cast<uintptr_t>(memory.data()) % kLine != 0)
    return absl::InvalidArgumentError("ring: its memory is not aligned to a line");
  auto* header = reinterpret_cast<RingHeader*>(memory.data());
  RingConstants unnamed = *constants;
  unnamed.magic = 0;
  header->constants = unnamed;
  header->released.store(constants->base, std::memory_order_relaxed);
  header->close_number.store(~uint64_t{0}, std::memory_order_relaxed);
  header->tail.store(constants->base, std::memory_order_relaxed);
  // The magic last: who dies before it leaves no ring, and Resume says so.
  std::atomic_ref<uint64_t>(header->constants.magic).store(kRingMagic, std::memory_order_release);
  return std::unique_ptr<RingWriter>(new RingWriter(memory, *constants));
}

absl::StatusOr<std::unique_ptr<RingWriter>> RingWriter::Resume(std::span<std::byte> memory) {
  auto reader = RingReader::Open(memory);
  if (!reader.ok()) return reader.status();
  std::unique_ptr<RingWriter> writer(new RingWriter(memory, reader->constants()));
  if (absl::Status status = writer->TakeUp(); !status.ok()) return status;
  return writer;
}

absl::Status RingWriter::TakeUp() {
  tail_ = header_->tail.load(std::memory_order_acquire);
  shown_.store(tail_, std::memory_order_relaxed);
  looked_.store(tail_, std::memory_order_relaxed);
  min_ = header_->released.load(std::memory_order_relaxed);
  if (tail_ - constants_.base > uint64_t{1} << 63 || tail_ - min_ > constants_.capacity + 1) {
    return absl::DataLossError("ring: tail and released contradict each other");
  }
  const bool closed = header_->closed.load(std::memory_order_relaxed) != 0;
  completed_ = closed && header_->close_number.load(std::memory_order_relaxed) == tail_ - 1 && tail_ != constants_.base;
  if (closed && !completed_) {  // died in Complete, before its tail: nobody has seen it
    header_->closed.store(0, std::memory_order_relaxed);
  }
  if (constants_.layout == RingLayout::kDescriptors && tail_ != min_ && !completed_) {
    Descriptor last;
    memcpy(&last, &descriptors_[(tail_ - 1) & (constants_.slots - 1)], sizeof last);
    if (last.offset % kPayloadAlignment != 0 || last.length > constants_.max_message || last.offset > constants_.payload_bytes ||
        internal::PayloadNeed(last.length) > constants_.payload_bytes - last.offset) {
      return absl::DataLossError("ring: the last descriptor lies outside the payload ring");
    }
    head_ = last.offset + internal::PayloadNeed(last.length);
    free_end_ = head_;  // nothing is known to be free: the next reservation looks
  }
  WithdrawWant();  // the earlier writer may have died asleep
  header_->blocked_since.store(0, std::memory_order_relaxed);
  WakeTail();  // or between its tail and its wake
  return absl::OkStatus();
}

// ---- room ------------------------------------------------------------------------------------------------------------------------------

// Would a message of `need` bytes of payload find room if everything below `min` were free? Then it goes to `head`, and [head, end) is
// free.
bool RingWriter::HasRoomAbove(uint64_t min, uint64_t need, uint64_t& head, uint64_t& end) const {
  if (tail_ - min >= constants_.capacity) return false;
  head = head_;
  end = free_end_;
  if (constants_.layout == RingLayout::kFixedStride) return true;
  end = constants_.payload_bytes;
  if (min == tail_) {  // everything is free: begin at the front, whose lines are the warmest
    head = 0;
    return true;
  }
  const uint64_t oldest = std::min(OffsetOf(descriptors_[min & (constants_.slots - 1)]), constants_.payload_bytes);
  if (head_ <= oldest) {  // what is in use wraps: [oldest, end) and [0, head). Equal: full, for every message takes bytes
    end = oldest;
    return need <= end - head;
  }
  if (need <= end - head) return true;
  head = 0;  // messages are contiguous: what does not fit before the end goes to the front
  end = oldest;
  return need <= end;
}

// The smallest position of the slowest reader that makes room for `need`.
uint64_t RingWriter::Overwritable(uint64_t need) const {
  uint64_t min = min_, head, end;
  while (min != tail_ && !HasRoomAbove(min, need, head, end)) ++min;
  return min;
}

// P0. Pairs: a position's load(acquire) with LaneReader's store(release) of R3: what the reader read is read before we overwrite it.
bool RingWriter::Release(uint64_t need) {
  Flush();  // readers make room by reading what they see, and nothing is overwritten before it was to be seen
  {
    MutexLock lock(gates_mutex_);
    const bool gated = !constants_.lossy && std::any_of(gates_.begin(), gates_.end(), [](const Gate& gate) { return gate.gates; });
    const uint64_t min = gated ? SlowestGate() : Overwritable(need);
    if (Before(min_, min)) {
      min_ = min;
      // Release, and the fence: who sees this number sees the tail from before; who sees a byte that is written from here on, and fences
      // with acquire, sees this number (RingReader::CopyOut).
      header_->released.store(min, std::memory_order_release);
      std::atomic_thread_fence(std::memory_order_release);
      PUMA_STOP_POINT("released | overwrite");
    }
  }
  uint64_t head, end;
  if (!HasRoomAbove(min_, need, head, end)) return false;
  if (reserved_ == 0) {  // else the head is where the reserved message is being written; TryReserve comes here again
    head_ = head;
    free_end_ = end;
  }
  return true;
}

bool RingWriter::ReserveSlowly(size_t bytes) {
  reserved_ = 0;
  return HasRoom(bytes);
}

bool RingWriter::HasRoom(size_t bytes) {
  if (completed_ || bytes > constants_.max_message) return false;
  const uint64_t need = NeedOf(bytes);
  return Fits(need) || Release(need);
}

[[gnu::cold]] absl::Status RingWriter::Refusal(size_t bytes) const {
  if (bytes > constants_.max_message) return absl::InvalidArgumentError("ring: the message is larger than max_message");
  if (completed_) return absl::FailedPreconditionError("ring: completed");
  return absl::ResourceExhaustedError("ring: full");
}

// ---- publishing ------------------------------------------------------------------------------------------------------------------------

size_t RingWriter::PublishMany(std::span<const std::byte> messages, size_t each, const Annotation* annotation) {
  const bool fits =
      each != 0 && (constants_.layout == RingLayout::kDescriptors ? each <= constants_.max_message : each == constants_.max_message);
  if (!fits || completed_) return 0;
  reserved_ = 0;
  const size_t wanted = messages.size() / each;
  size_t done = 0;
  while (done < wanted) {
    const uint64_t need = NeedOf(each);
    if (!Fits(need) && !Release(need)) break;
    done += PublishRun(messages.data() + done * each, wanted - done, each, annotation);
  }
  Flush();
  return done;
}

// As many as there is room for one after the other, at least one.
size_t RingWriter::PublishRun(const std::byte* messages, size_t count, size_t each, const Annotation* annotation) {
  const uint64_t first = tail_ & (constants_.slots - 1);
  const bool fixed = constants_.layout == RingLayout::kFixedStride;
  const uint64_t step = fixed ? constants_.stride : NeedOf(each);
  count = std::min<uint64_t>(count, constants_.capacity - (tail_ - min_));
  count = std::min<uint64_t>(count, fixed ? constants_.slots - first : (free_end_ - head_) / step);
  std::byte* const to = payload_ + (fixed ? first * step : head_);
  if (step == each) {
    memcpy(to, messages, count * each);
  } else {
    for (size_t i = 0; i < count; ++i) memcpy(to + i * step, messages + i * each, each);
  }
  for (size_t i = 0; i < count; ++i) {
    if (fixed && annotations_ == nullptr) break;
    const auto flags = static_cast<uint16_t>(annotation != nullptr ? annotation->flags : 0);
    Describe(tail_ + i, head_ + i * step, each, MessageKind::kValue, flags, annotation);
  }
  if (!fixed) head_ += count * step;
  tail_ += count;
  return count;
}

void RingWriter::Complete(std::string_view error) {
  if (completed_) return;
  completed_ = true;
  reserved_ = 0;
  Flush();  // what was staged: a death in here must not take it along
  const size_t length = std::min(error.size(), kErrorBytes);
  memcpy(header_->error, error.data(), length);
  header_->error_length = static_cast<uint32_t>(length);
  header_->close_number.store(tail_, std::memory_order_relaxed);
  PUMA_STOP_POINT("close number | closed");
  header_->closed.store(1, std::memory_order_release);
  PUMA_STOP_POINT("closed | descriptor");
  // tail - min is at most the capacity, and there are more slots: the slot of this number is nobody's.
  const uint64_t slot = tail_ & (constants_.slots - 1);
  if (constants_.layout == RingLayout::kDescriptors)
    internal::StoreWords(descriptors_[slot], {.offset = 0, .length = 0, .kind = MessageKind::kComplete, .flags = 0});
  if (annotations_ != nullptr) internal::StoreWords(annotations_[slot], {});
  ++tail_;
  Flush();
}

// Who of those that are asleep must be woken.
bool RingWriter::MustWake() {
  bool wake = false;
  std::atomic_thread_fence(std::memory_order_acquire);  // pairs with S1's store(release): the positions of S0 are seen
  for (Sleeper& sleeper : sleepers_) {
    const uint32_t generation = sleeper.sleep->load(std::memory_order_acquire);  // S1 again: it may be a newer one
    if ((generation & 1) == 0 || generation == sleeper.woken) continue;
    // Who stands at our tail has seen this message and sleeps for the next: a wake now would use up its generation for nothing.
    if (sleeper.seen != nullptr && sleeper.seen->load(std::memory_order_relaxed) == tail_) continue;
    sleeper.woken = generation;
    wake = true;
  }
  return wake;
}

void RingWriter::WakeTail() const { WakeShared(internal::LowHalf(&header_->tail)); }

// ---- waiting for room ------------------------------------------------------------------------------------------------------------------

void RingWriter::AnnounceWant(size_t bytes) {
  seen_gates_ = gates_changed_.value();
  wanted_ = Overwritable(NeedOf(bytes));
  header_->want_position.store(wanted_, std::memory_order_relaxed);
  PUMA_STOP_POINT("want position | want");
  // F1. A fresh odd number; pairs with R5's load(acquire): who sees it sees the position that belongs to it, or a newer one.
  header_->want.store((header_->want.load(std::memory_order_relaxed) + 1) | 1, std::memory_order_release);
  can_sleep_long_ = internal::BarrierOfTheSleeper(constants_.wake_mode);  // F2: pairs with R4
}

void RingWriter::WithdrawWant() {
  const uint32_t want = header_->want.load(std::memory_order_relaxed);
  if (want & 1) header_->want.store(want + 1, std::memory_order_relaxed);  // F5
}

// F4. The value that the kernel compares is the one that was found lagging here: a position that moved since refuses the sleep.
bool RingWriter::AddLaggingTo(WaitSet& set) {
  set.AddPrivate(gates_changed_.word(), seen_gates_);
  bool lagging = false;
  MutexLock lock(gates_mutex_);
  for (const Gate& gate : gates_) {
    if (!gate.gates) continue;
    const uint64_t position = gate.position != nullptr ? gate.position->load(std::memory_order_acquire) : gate.floor;
    const uint64_t tag = gate.tag != nullptr ? gate.tag->load(std::memory_order_acquire) : constants_.lane_id;
    const bool valid = tag == constants_.lane_id && position - gate.floor <= tail_ - gate.floor;
    if (!Before(valid ? position : gate.floor, wanted_)) continue;
    lagging = true;
    if (gate.position != nullptr) set.AddShared(internal::LowHalf(gate.position), internal::Low(position));
    if (tag != constants_.lane_id) set.AddShared(internal::LowHalf(gate.tag), internal::Low(tag));  // counts once it is bound
  }
  return lagging;
}

// Only the publisher writes these words: a load and a store will do.
void RingWriter::CountDropped() { header_->dropped.store(header_->dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

void RingWriter::BeginBlocked(int64_t now_ns) {
  header_->blocked_times.store(header_->blocked_times.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  header_->blocked_since.store(static_cast<uint64_t>(now_ns), std::memory_order_relaxed);
}

void RingWriter::EndBlocked(int64_t now_ns) {
  const uint64_t since = header_->blocked_since.load(std::memory_order_relaxed);
  header_->blocked_since.store(0, std::memory_order_relaxed);
  const uint64_t before = header_->blocked_ns.load(std::memory_order_relaxed);
  header_->blocked_ns.store(before + (static_cast<uint64_t>(now_ns) - since), std::memory_order_relaxed);
}

uint64_t RingWriter::Waiting() {
  MutexLock lock(gates_mutex_);
  return tail_ - SlowestGate();
}

// ---- gates -----------------------------------------------------------------------------------------------------------------------------

// How far a gate has come, as far as it may be believed. The tag is looked at on both sides of the position: a slot that another lane takes
// over has no tag first, then the foreign position (release), then the new tag; whoever sees the foreign position sees that too.
uint64_t RingWriter::Reached(const Gate& gate, uint64_t tail) const {
  if (gate.position == nullptr) return gate.floor;
  if (gate.tag != nullptr && gate.tag->load(std::memory_order_acquire) != constants_.lane_id) return gate.floor;
  const uint64_t position = gate.position->load(std::memory_order_acquire);  // pairs with R3's store(release)
  if (gate.tag != nullptr && gate.tag->load(std::memory_order_relaxed) != constants_.lane_id) return gate.floor;
  return position - gate.floor <= tail - gate.floor ? position : gate.floor;  // hostile, or from before the slot was ours
}

uint64_t RingWriter::SlowestGate() {
  uint64_t slowest = tail_;
  for (Gate& gate : gates_) {
    if (!gate.gates) continue;
    gate.floor = Reached(gate, tail_);  // positions only grow: what was reached counts from now on
    if (Before(gate.floor, slowest)) slowest = gate.floor;
  }
  return slowest;
}

uint64_t RingWriter::SetGate(const Gate& gate) {
  uint64_t granted;
  {
    MutexLock lock(gates_mutex_);
    const uint64_t tail = header_->tail.load(std::memory_order_acquire);  // tail_ is the publisher's own
    Gate added = gate;
    if (gate.floor - min_ > tail - min_) added.floor = min_;  // below it messages are gone; above the tail there are none
    auto old = std::find_if(gates_.begin(), gates_.end(), [&](const Gate& g) { return g.subscription == gate.subscription; });
    if (old != gates_.end()) {
      const uint64_t reached = Reached(*old, tail);
      if (Before(added.floor, reached)) added.floor = reached;
      *old = added;
    } else {
      if (added.newest) added.floor = tail;
      gates_.push_back(added);
    }
    granted = added.floor;
  }
  GatesChanged();
  // The reader may have opened the ring before, and sleep since a tail that was stored before its gate was known: no P4 has looked at it.
  if (gate.sleep != nullptr) WakeTail();
  return granted;
}

void RingWriter::RemoveGate(uint64_t subscription) {
  {
    MutexLock lock(gates_mutex_);
    std::erase_if(gates_, [&](const Gate& gate) { return gate.subscription == subscription; });
  }
  GatesChanged();
}

// Makes the publisher take up the change, and returns when it no longer looks at the words of before.
void RingWriter::GatesChanged() {
  gates_version_.fetch_add(1, std::memory_order_release);  // with the acquire in Flush
  gates_changed_.Kick();
  // Without a membarrier the store of an odd round may take a while to be seen; not a millisecond.
  if (!internal::BarrierOfTheSleeper(constants_.wake_mode)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const uint64_t looked = looked_.load(std::memory_order_acquire);  // before shown_: if they are equal, that look was over
  if (looked == shown_.load(std::memory_order_relaxed)) return;
  while (looked_.load(std::memory_order_acquire) == looked) std::this_thread::yield();  // a few loads, at most one wake call
}

// The publisher's copy of the sleep words. Generations woken before are forgotten: at worst one wake too many.
void RingWriter::WatchAgain() {
  MutexLock lock(gates_mutex_);
  watched_version_ = gates_version_.load(std::memory_order_acquire);
  sleepers_.clear();
  for (const Gate& gate : gates_) {
    if (gate.sleep != nullptr) sleepers_.push_back({gate.sleep, gate.seen != nullptr ? gate.seen : gate.position, 0});
  }
}

void RingWriter::MarkDown(uint64_t subscription) {
  MutexLock lock(gates_mutex_);
  for (Gate& gate : gates_) {
    if (gate.subscription == subscription) gate.living = false;
  }
}

bool RingWriter::AllGatesLiving() {
  MutexLock lock(gates_mutex_);
  return std::all_of(gates_.begin(), gates_.end(), [](const Gate& gate) { return gate.living || !gate.gates; });
}

}  // namespace puma
