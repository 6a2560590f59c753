#ifndef PUMA_WORKER_BUFFER_LANE_READER_H_
#define PUMA_WORKER_BUFFER_LANE_READER_H_
// Reads one lane in place through one slot of the own task page, and the sleep of a runnable on all that it reads.
#include <memory>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/ring_words.h"
#include "worker/buffer/segment.h"
#include "worker/buffer/stop_point.h"
#include "worker/buffer/task_page.h"

namespace puma {

// Only the runnable's thread uses it.
class LaneReader {
 public:
  // Maps the lane and binds it to `slot`. A slot whose tag is this lane already (it was resumed from an earlier run) is gone on with; any
  // other is taken over and begins at `start`: whoever hands out slots knows that its earlier lane is drained and left. Nobody else ever
  // changes a tag. DATA_LOSS: the lane is not acceptable.
  static absl::StatusOr<std::unique_ptr<LaneReader>> Open(UniqueFd lane, PageSlot& slot, uint64_t start);

  // The next message that is not held; nothing if there is none. Does not consume.
  absl::StatusOr<std::optional<RingItem>> Peek();
  // The same for who reads many: false if there is none, or if Peek knows what is wrong (so who sleeps asks Peek before).
  bool PeekInto(RingItem& item) { return ring_.LookInto(seen(), item); }
  // The same for many that lie one after the other (RingReader::LookRun), while none is held: Begin and Finish are about so many then.
  RingRun PeekRun(size_t at_most) { return ring_.LookRun(seen(), at_most); }
  void BeginRun(size_t count);
  void FinishRun(size_t count);
  uint64_t Deliveries() const;             // of the message that Peek shows: 1, or more (at least so many) after a death
  void Begin();                            // its handler is about to run; for who wants a death in it to count as a delivery
  void Finish();                           // R2: its handler has returned
  void Hold() { ++held_; }                 // instead of Finish: the message stays where it is, and Peek shows the one behind it
  uint64_t held() const { return held_; }  // Finish is about the oldest of them
  void StorePosition();  // R3..R5: what is finished may be overwritten. Per batch, before sleeping, before blocking, before leaving

  void CountRedelivery();             // the message that Peek shows is handed out again
  void CountMissed(uint64_t number);  // so many were passed over on purpose

  // For a lossy lane: copies the next message out (see RingReader::CopyOut).
  absl::StatusOr<std::optional<RingItem>> PeekCopy(std::string& out, std::optional<RingReader::Gap>& gap);

  const RingReader& ring() const { return ring_; }
  uint64_t next() const { return next_; }
  uint64_t seen() const { return next_ + held_; }
  bool AtEnd() const { return seen() == ring_.tail(); }

 private:
  LaneReader(Segment segment, RingReader ring, PageSlot& slot);
  void FinishOneOfMany();
  friend void SleepOnLanes(const struct LaneSleep& sleep);
  Segment segment_;
  RingReader ring_;
  PageSlot* slot_;
  uint64_t next_;
  uint64_t held_ = 0;
  uint64_t stored_;
  uint64_t shown_backlog_ = 0;
  uint64_t resumed_;  // the oldest message that an earlier run did not finish
  uint64_t resumed_deliveries_;
  uint64_t resumed_handed_;  // all below were handed out by earlier runs
  uint64_t begun_;           // the same by this run, as far as it holds messages
  uint64_t handed_;          // the later of the two
  uint32_t seen_want_ = 0;
};

// Release stores, here and in Begin: a death between two of them leaves the earlier ones (TaskPageView::States reads what is left).
inline void LaneReader::Finish() {
  PUMA_STOP_POINT("handler | next");
  if (internal::Before(next_ + 1, handed_)) [[unlikely]]
    return FinishOneOfMany();
  const bool resumed = next_ == resumed_;
  ++next_;
  if (held_ > 0) --held_;
  slot_->next.store(next_, std::memory_order_release);  // R2
  PUMA_STOP_POINT("next | deliveries");
  if (resumed && resumed_deliveries_ != 0) {
    slot_->deliveries.store(0, std::memory_order_release);  // they were about the message before
    resumed_deliveries_ = 0;
  }
  PUMA_STOP_POINT("deliveries | in hand");
  if (slot_->in_hand.load(std::memory_order_relaxed) != 0) slot_->in_hand.store(0, std::memory_order_release);
}

// What a runnable sleeps on.
struct LaneSleep {
  PageHeader& page;
  std::span<LaneReader* const> lanes;
  const KickWord& kick;
  uint32_t seen_kick = 0;                // its value before the last look for work
  const Word32* command_tail = nullptr;  // null: no command ring
  uint32_t seen_command_tail = 0;
  absl::Time deadline = absl::InfiniteFuture();  // on MonotonicTime
  Spin* spin = nullptr;                          // null: sleeps at once
};

// S0..S5: stores the positions, and sleeps until a lane has something new, the kick word or the command ring moved, or the deadline.
// Returns early for any reason; callers look again.
void SleepOnLanes(const LaneSleep& sleep);

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_LANE_READER_H_
