#include "server/supervisor/taps.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/wiring.h"
#include "server/telemetry/log_line_json.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {

constexpr int64_t kLingerNs = 5'000'000'000;
constexpr int64_t kExistsNs = 1'000'000'000;
constexpr size_t kInboxLanes = 256;
constexpr size_t kBatchBytes = 64 << 10;
constexpr size_t kBatchLooks = 1024;        // at messages; bounds what a lane that lies can cost
constexpr size_t kMessageOverhead = 32;     // of a message on the wire, beside its payload
constexpr size_t kMostRendered = 64 << 10;  // a number of one byte takes some thirteen in a list
constexpr uint32_t kDefaultBytes = 4096;

bool Before(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b) < 0; }

int64_t UnixNanos(int64_t monotonic_ns) {
  const int64_t now = MonotonicNanos();
  return monotonic_ns <= 0 || monotonic_ns > now ? 0 : RealNanos() - (now - monotonic_ns);  // it is the publisher's word
}

// The number of the completion, once it is published.
std::optional<uint64_t> CompletionOf(const RingReader& ring) {
  const uint64_t tail = ring.tail(), base = ring.constants().base;
  if (ring.header().closed.load(std::memory_order_acquire) == 0) return std::nullopt;
  const uint64_t close = ring.header().close_number.load(std::memory_order_relaxed);
  return close - base < tail - base ? std::optional(close) : std::nullopt;
}

v1::Gap GapOf(uint64_t first, uint64_t last, const std::string& reason) {
  v1::Gap gap;
  gap.set_first(first);
  gap.set_last(last);
  gap.set_count(last - first + 1);
  gap.set_reason(reason);
  return gap;
}

class LaneTap final : public BufferTap {
 public:
  LaneTap(const v1::TapBufferRequest& request, std::shared_ptr<TapInbox> inbox, std::function<bool()> exists)
      : every_(std::max(request.every(), 1u)),
        at_most_(request.has_max_bytes() ? request.max_bytes() : kDefaultBytes),
        render_(request.render()),
        publisher_(request.publisher()),
        inbox_(std::move(inbox)),
        exists_(std::move(exists)),
        asked_ns_(MonotonicNanos()) {}

  // A lane that was there before the tap.
  void Meet(std::shared_ptr<SharedLane> lane, bool oldest) {
    if (!publisher_.empty() && lane->name().publisher() != publisher_) return;
    Lane& met = lanes_.emplace_back(std::move(lane));
    if (oldest) return;
    if (const auto segment = met.shared->Map()) met.next = met.ring.tail();
    if (CompletionOf(met.ring)) met.done = true;  // it was over before
  }

  absl::StatusOr<bool> Take(v1::TapBufferResponse& batch) override {
    if (const int64_t now = MonotonicNanos(); now - asked_ns_ >= kExistsNs) {
      asked_ns_ = now;
      if (!exists_()) return absl::NotFoundError(absl::StrCat("buffer ", inbox_->buffer, " was deleted"));
    }
    MeetNewLanes(batch);
    Budget left;
    for (size_t i = 0; i < lanes_.size() && !left.used(); ++i) TakeFrom(lanes_[(first_ + i) % lanes_.size()], batch, left);
    std::erase_if(lanes_, [](const Lane& lane) { return lane.done; });
    if (!lanes_.empty()) first_ = (first_ + 1) % lanes_.size();  // a busy lane does not keep the others waiting
    return std::exchange(begun_, true) == false || batch.lanes_size() > 0 || batch.gaps_size() > 0;
  }

 private:
  struct Lane {
    explicit Lane(std::shared_ptr<SharedLane> lane) : shared(std::move(lane)), ring(shared->ring()), next(ring.constants().base) {}
    std::shared_ptr<SharedLane> shared;
    RingReader ring;
    uint64_t next;
    bool done = false;
  };
  struct Budget {
    size_t bytes = kBatchBytes, looks = kBatchLooks;
    bool used() const { return bytes == 0 || looks == 0; }
    void Pay(size_t size) { bytes -= std::min(bytes, size); }
  };
  // A lane's place in the batch, made when it is needed.
  struct Place {
    v1::TapBufferResponse& batch;
    const Lane& lane;
    std::optional<uint32_t> index;
    uint32_t Get() {
      if (!index) {
        index = static_cast<uint32_t>(batch.lanes_size());
        *batch.add_lanes() = lane.shared->name();
      }
      return *index;
    }
  };

  void MeetNewLanes(v1::TapBufferResponse& batch) {
    std::vector<std::shared_ptr<SharedLane>> lanes;
    uint64_t forgotten_lanes, forgotten_messages;
    {
      MutexLock lock(inbox_->mutex);
      lanes.swap(inbox_->lanes);
      forgotten_lanes = std::exchange(inbox_->forgotten_lanes, 0);
      forgotten_messages = std::exchange(inbox_->forgotten_messages, 0);
    }
    for (std::shared_ptr<SharedLane>& lane : lanes) {
      if (publisher_.empty() || lane->name().publisher() == publisher_) lanes_.emplace_back(std::move(lane));
    }
    if (forgotten_lanes == 0) return;
    v1::Gap& gap = *batch.add_gaps()->mutable_gap();
    gap.set_count(forgotten_messages);
    gap.set_reason(absl::StrCat(forgotten_lanes, " lanes came and went while nobody read"));
  }

  void TakeFrom(Lane& lane, v1::TapBufferResponse& batch, Budget& left) {
    Place place{batch, lane, std::nullopt};
    const SharedLane::End end = lane.shared->end();  // before the look at the tail: what is there after it is all
    const std::shared_ptr<const Segment> segment = lane.shared->Map();
    if (segment == nullptr) {
      lane.done = true;
      if (end.number && Before(lane.next, *end.number)) AddGap(place, GapOf(lane.next, *end.number - 1, "the lane is gone"));
      return;
    }
    while (!left.used()) {
      const uint64_t base = lane.ring.constants().base;
      const uint64_t number = base + (lane.next - base + every_ - 1) / every_ * every_;
      const std::optional<uint64_t> completion = CompletionOf(lane.ring);
      if (completion && !Before(number, *completion)) return Complete(lane, place);
      if (!Before(number, lane.ring.tail())) {
        lane.done = end.ended;
        return;
      }
      if (!TakeOne(lane, number, place, left)) return;
    }
  }

  // False: that was all for now.
  bool TakeOne(Lane& lane, uint64_t number, Place& place, Budget& left) {
    --left.looks;
    std::optional<RingReader::Gap> gap;
    size_t whole = 0;
    lane.next = number;
    const absl::StatusOr<std::optional<RingItem>> item = lane.ring.CopyOut(lane.next, payload_, gap, at_most_, whole);
    if (!item.ok()) {
      lane.done = true;
      v1::Gap broken;
      broken.set_first(number);
      broken.set_reason(absl::StrCat("the lane can't be believed: ", std::string(item.status().message())));
      AddGap(place, broken);
      return false;
    }
    if (gap) AddGap(place, GapOf(gap->first, gap->last, "this reader was slower than the buffer"));
    if (!item->has_value()) return false;  // overtaken again: the others have their turn first
    const bool shown = (lane.next - lane.ring.constants().base) % every_ == 0 && (*item)->kind == MessageKind::kValue;
    if (shown) AddMessage(place, **item, whole, left);
    lane.next = (*item)->number + 1;
    return true;
  }

  void AddMessage(Place& place, const RingItem& item, size_t whole, Budget& left) {
    const uint32_t index = place.Get();
    v1::TappedMessage& message = *place.batch.add_messages();
    message.set_lane(index);
    message.set_number(item.number);
    if (item.annotation != nullptr) message.set_time_unix_nanos(UnixNanos(item.annotation->published_ns));
    const uint32_t flags = item.annotation != nullptr ? item.annotation->flags : item.flags;
    message.set_redelivered((flags & kFlagRedelivered) != 0);
    message.set_size(whole);
    if (render_ && whole == payload_.size() && whole <= kMostRendered) {
      if (auto value = place.lane.shared->renderer().Render(payload_)) {
        *message.mutable_value() = *std::move(value);
        left.Pay(message.value().ByteSizeLong());
      }
    }
    message.set_payload(payload_);
    left.Pay(payload_.size() + kMessageOverhead);
  }

  static void AddGap(Place& place, v1::Gap gap) {
    const uint32_t index = place.Get();
    v1::TappedGap& added = *place.batch.add_gaps();
    added.set_lane(index);
    *added.mutable_gap() = std::move(gap);
  }

  static void Complete(Lane& lane, Place& place) {
    lane.done = true;
    const uint32_t index = place.Get();
    v1::TappedEnd& end = *place.batch.add_ends();
    end.set_lane(index);
    end.set_error(ToUtf8(lane.ring.ErrorText()));  // the publisher's word
  }

  const uint64_t every_;
  const size_t at_most_;
  const bool render_;
  const std::string publisher_;
  const std::shared_ptr<TapInbox> inbox_;
  const std::function<bool()> exists_;
  int64_t asked_ns_;
  bool begun_ = false;
  std::vector<Lane> lanes_;
  size_t first_ = 0;  // whose turn it is
  std::string payload_;
};

}  // namespace

std::shared_ptr<const Segment> SharedLane::Map() const {
  MutexLock lock(mutex_);
  return segment_;
}
void SharedLane::SetEnd(std::optional<uint64_t> end) {
  MutexLock lock(mutex_);
  end_ = {true, end};
}
void SharedLane::LetGo() {
  std::shared_ptr<const Segment> last;  // unmapped without the mutex
  MutexLock lock(mutex_);
  last.swap(segment_);
}
SharedLane::End SharedLane::end() const {
  MutexLock lock(mutex_);
  return end_;
}

void Taps::Add(const std::string& buffer, const std::string& publisher, std::shared_ptr<const Renderer> renderer, const LaneRec& lane) {
  v1::TappedLane name;
  name.set_publisher(publisher);
  name.set_port(lane.port);
  name.set_epoch(lane.epoch);
  name.set_part(lane.part);
  name.set_replica(lane.replica);
  name.set_type(renderer->type());
  const auto shared = std::make_shared<SharedLane>(std::move(name), std::move(renderer), lane);
  MutexLock lock(mutex_);
  lanes_[lane.id] = {buffer, shared};
  std::erase_if(inboxes_, [](const std::weak_ptr<TapInbox>& inbox) { return inbox.expired(); });
  for (const std::weak_ptr<TapInbox>& weak : inboxes_) {
    const std::shared_ptr<TapInbox> inbox = weak.lock();
    if (inbox == nullptr || inbox->buffer != buffer) continue;
    MutexLock inbox_lock(inbox->mutex);
    inbox->lanes.push_back(shared);
    if (inbox->lanes.size() <= kInboxLanes) continue;
    const SharedLane& oldest = *inbox->lanes.front();
    ++inbox->forgotten_lanes;
    inbox->forgotten_messages += oldest.end().number.value_or(oldest.ring().constants().base) - oldest.ring().constants().base;
    inbox->lanes.erase(inbox->lanes.begin());
  }
}

void Taps::Remove(const LaneRec& lane, int64_t now_ns) {
  MutexLock lock(mutex_);
  const auto known = lanes_.find(lane.id);
  if (known == lanes_.end()) return;
  const std::shared_ptr<SharedLane> shared = std::move(known->second.lane);
  lanes_.erase(known);
  if (lane.quarantined.empty()) {
    shared->SetEnd(EndOfMessages(lane));
    leaving_.emplace(now_ns + kLingerNs, shared);  // nobody else holds it when there is no tap
  } else {
    shared->SetEnd(std::nullopt);
    shared->LetGo();
  }
}

void Taps::Tick(int64_t now_ns) {
  MutexLock lock(mutex_);
  while (!leaving_.empty() && leaving_.begin()->first <= now_ns) {
    if (const std::shared_ptr<SharedLane> lane = leaving_.begin()->second.lock()) lane->LetGo();
    leaving_.erase(leaving_.begin());
  }
}

std::unique_ptr<BufferTap> Taps::Open(const v1::TapBufferRequest& request, std::function<bool()> exists) {
  auto inbox = std::make_shared<TapInbox>(request.name());
  auto tap = std::make_unique<LaneTap>(request, inbox, std::move(exists));
  MutexLock lock(mutex_);
  for (const auto& [id, known] : lanes_) {
    if (known.buffer == request.name()) tap->Meet(known.lane, request.oldest());
  }
  inboxes_.push_back(inbox);
  return tap;
}

}  // namespace puma::server
