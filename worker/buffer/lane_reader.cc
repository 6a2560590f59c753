#include "worker/buffer/lane_reader.h"

#include <algorithm>
#include <utility>

#include "worker/buffer/ring_format.h"
#include "worker/buffer/stop_point.h"
#include "worker/platform/system.h"

namespace puma {
namespace {

// The order matters to a publisher that still gates on the slot's earlier lane: no tag, then the foreign position (release); and to this
// lane's publisher and to the next run: the position and all the rest, then the tag (release). Both pair with the loads in
// RingWriter::Reached. Who dies in between leaves a slot that is nobody's: the next run is told anew where to begin.
void TakeOver(PageSlot& slot, uint64_t lane_id, uint64_t start) {
  slot.tag.store(0, std::memory_order_relaxed);
  PUMA_STOP_POINT("no tag | position");
  slot.position.store(start, std::memory_order_release);
  PUMA_STOP_POINT("position | tag");
  slot.next.store(start, std::memory_order_relaxed);
  slot.deliveries.store(0, std::memory_order_relaxed);
  slot.handed.store(start, std::memory_order_relaxed);
  slot.in_hand.store(0, std::memory_order_relaxed);
  slot.backlog.store(0, std::memory_order_relaxed);
  slot.redelivered.store(0, std::memory_order_relaxed);
  slot.missed.store(0, std::memory_order_relaxed);
  slot.tag.store(lane_id, std::memory_order_release);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LaneReader>> LaneReader::Open(UniqueFd lane, PageSlot& slot, uint64_t start) {
  auto segment = Segment::MapReadOnly(std::move(lane), Seals::kOneWriter, sizeof(RingHeader));
  if (!segment.ok()) return segment.status();
  segment->TakeFd();  // closed: the mapping is enough
  auto ring = RingReader::Open({segment->data(), segment->size()});
  if (!ring.ok()) return ring.status();
  if (slot.tag.load(std::memory_order_relaxed) != ring->constants().lane_id) TakeOver(slot, ring->constants().lane_id, start);
  slot.in_hand.store(0, std::memory_order_relaxed);
  std::unique_ptr<LaneReader> reader(new LaneReader(*std::move(segment), *std::move(ring), slot));
  reader->ring_.WakePublisher(reader->stored_, &slot.position, reader->seen_want_);  // the slot counts from now on
  return reader;
}

LaneReader::LaneReader(Segment segment, RingReader ring, PageSlot& slot)
    : segment_(std::move(segment)),
      ring_(std::move(ring)),
      slot_(&slot),
      next_(slot.next.load(std::memory_order_relaxed)),
      stored_(slot.position.load(std::memory_order_relaxed)),
      shown_backlog_(slot.backlog.load(std::memory_order_relaxed)),
      resumed_(next_),
      resumed_deliveries_(slot.deliveries.load(std::memory_order_relaxed)),
      resumed_handed_(slot.handed.load(std::memory_order_relaxed)),
      begun_(next_),
      handed_(resumed_handed_) {}

absl::StatusOr<std::optional<RingItem>> LaneReader::Peek() { return ring_.Look(seen()); }

uint64_t LaneReader::Deliveries() const {
  const uint64_t least = internal::Before(seen(), resumed_handed_) ? 2 : 1;
  return seen() == resumed_ ? std::max(resumed_deliveries_ + 1, least) : least;
}

void LaneReader::Begin() {
  if (held_ == 0) {
    slot_->in_hand.store(next_ + 1, std::memory_order_release);
    return;
  }
  begun_ = seen() + 1;
  if (!internal::Before(handed_, begun_)) return;
  handed_ = begun_;
  slot_->handed.store(handed_, std::memory_order_release);
}

void LaneReader::BeginRun(size_t count) {
  Begin();
  if (count < 2) return;
  begun_ = next_ + count;
  if (!internal::Before(handed_, begun_)) return;
  handed_ = begun_;
  slot_->handed.store(handed_, std::memory_order_release);
}

void LaneReader::FinishRun(size_t count) {
  if (count == 0) return;
  next_ += count - 1;  // nobody looks in between
  FinishOneOfMany();
}

// The message behind was handed out too: by this run, which holds it, or by an earlier one.
void LaneReader::FinishOneOfMany() {
  ++next_;
  if (held_ > 0) --held_;
  slot_->next.store(next_, std::memory_order_release);  // R2
  PUMA_STOP_POINT("next | deliveries");
  resumed_ = next_;
  resumed_deliveries_ = internal::Before(next_, resumed_handed_) ? 1 : 0;
  slot_->deliveries.store(resumed_deliveries_, std::memory_order_release);
  PUMA_STOP_POINT("deliveries | in hand");
  slot_->in_hand.store(internal::Before(next_, begun_) ? next_ + 1 : 0, std::memory_order_release);
}

namespace {
void Add(Word64& word, uint64_t count) { word.store(word.load(std::memory_order_relaxed) + count, std::memory_order_relaxed); }
}  // namespace

void LaneReader::CountRedelivery() { Add(slot_->redelivered, 1); }
void LaneReader::CountMissed(uint64_t number) { Add(slot_->missed, number); }

void LaneReader::StorePosition() {
  if (stored_ == next_) return;
  stored_ = next_;
  if (ring_.largest_backlog() > shown_backlog_) {
    shown_backlog_ = ring_.largest_backlog();
    slot_->backlog.store(shown_backlog_, std::memory_order_relaxed);
  }
  PUMA_STOP_POINT("next | position");
  slot_->position.store(next_, std::memory_order_release);  // R3. Pairs with P0's load(acquire): we have read what may be overwritten
  PUMA_STOP_POINT("position | look at want");
  ring_.WakePublisher(next_, &slot_->position, seen_want_);  // R4, R5
}

absl::StatusOr<std::optional<RingItem>> LaneReader::PeekCopy(std::string& out, std::optional<RingReader::Gap>& gap) {
  auto item = ring_.CopyOut(next_, out, gap);
  if (!gap) return item;
  CountMissed(gap->last - gap->first + 1);
  slot_->deliveries.store(0, std::memory_order_release);  // they were about a message that is lost
  resumed_deliveries_ = 0;
  slot_->next.store(next_, std::memory_order_release);
  return item;
}

namespace {

// S3: is there something to do? Each load pairs with P2's store(release).
bool AnyWork(const LaneSleep& sleep) {
  if (sleep.kick.value() != sleep.seen_kick) return true;
  if (sleep.command_tail != nullptr && sleep.command_tail->load(std::memory_order_acquire) != sleep.seen_command_tail) return true;
  return std::any_of(sleep.lanes.begin(), sleep.lanes.end(), [](const LaneReader* lane) { return !lane->AtEnd(); });
}

// S4.
void Rest(const LaneSleep& sleep, absl::Duration at_most) {
  static thread_local WaitSet set;  // keeps its memory from sleep to sleep
  set.Clear();
  set.AddPrivate(sleep.kick.word(), sleep.seen_kick);
  if (sleep.command_tail != nullptr) set.AddShared(sleep.command_tail, sleep.seen_command_tail);
  for (const LaneReader* lane : sleep.lanes) set.AddShared(lane->ring().tail_word(), internal::Low(lane->seen()));
  PUMA_STOP_POINT("look | wait");
  const bool rested = set.Sleep(at_most);
  if (!rested && AnyWork(sleep)) CountBeltWakeup();
}

}  // namespace

void SleepOnLanes(const LaneSleep& sleep) {
  absl::Duration at_most = sleep.deadline == absl::InfiniteFuture() ? absl::InfiniteDuration() : sleep.deadline - MonotonicTime();
  if (at_most <= absl::ZeroDuration()) return;
  WakeMode mode = WakeMode::kFenced;
  for (LaneReader* lane : sleep.lanes) {
    lane->StorePosition();                                             // S0. Nobody waits for us while we spin
    lane->slot_->seen.store(lane->seen(), std::memory_order_relaxed);  // P4 asks whether we have seen all up to the tail
    if (lane->ring().constants().wake_mode == WakeMode::kAsymmetric) mode = WakeMode::kAsymmetric;
  }
  if (sleep.spin != nullptr && sleep.spin->Until(at_most, [&] { return AnyWork(sleep); })) return;
  PUMA_STOP_POINT("position | sleep");
  Word32& word = sleep.page.sleep;
  const uint32_t generation = (word.load(std::memory_order_relaxed) + 1) | 1;
  word.store(generation, std::memory_order_release);                                             // S1. Pairs with the fence of P4
  if (!internal::BarrierOfTheSleeper(mode)) at_most = std::min(at_most, absl::Milliseconds(1));  // S2
  PUMA_STOP_POINT("sleep | look");
  if (!AnyWork(sleep)) Rest(sleep, at_most);              // S3, S4
  word.store(generation + 1, std::memory_order_relaxed);  // S5
}

}  // namespace puma
