#include "server/supervisor/buffer_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {

constexpr size_t kQuarantinedShown = 4;
constexpr uint64_t kMostCounted = uint64_t{1} << 53;

void SetDuration(int64_t ns, google::protobuf::Duration* out) {
  out->set_seconds(ns / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
}
int64_t NanosOf(const google::protobuf::Duration& d) { return d.seconds() * 1'000'000'000 + d.nanos(); }
void AddTo(google::protobuf::Duration* sum, const google::protobuf::Duration& d) { SetDuration(NanosOf(*sum) + NanosOf(d), sum); }

void SetTime(int64_t monotonic_ns, google::protobuf::Timestamp* out) {
  const int64_t unix_ns = RealNanos() - (MonotonicNanos() - monotonic_ns);
  out->set_seconds(unix_ns / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(unix_ns % 1'000'000'000));
}

bool Complete(const LaneRec& lane) { return lane.ring.header().closed.load(std::memory_order_acquire) != 0; }
bool Over(const LaneRec& lane) { return lane.ended || Complete(lane); }
// Nothing is counted in a lane after its publisher's end.
int64_t LastLook(const LaneRec& lane) { return lane.over_ns != 0 ? lane.over_ns : MonotonicNanos(); }

// Below it nothing is kept for anybody.
uint64_t Oldest(const LaneRec& lane) {
  const uint64_t base = lane.ring.constants().base;
  return base + MessagesBelow(lane, lane.ring.released());
}

// A reader's part in a lane.
struct Reading {
  uint64_t finished = 0, waiting = 0, high_water = 0, redelivered = 0, missed = 0;
};
Reading ReadingOf(const Model& model, const TaskRec& reader, const LaneRec& lane) {
  const std::optional<ReadState> state = StateOf(model, reader, lane);
  Reading found;
  found.finished = MessagesBelow(lane, state ? state->next : lane.ring.constants().base);
  found.waiting = MessagesIn(lane) - found.finished;
  const uint64_t most = std::min(lane.ring.constants().capacity, MessagesIn(lane));
  found.high_water = std::min(std::max(found.waiting, state ? state->backlog : 0), most);
  found.redelivered = state ? std::min(state->redelivered, kMostCounted) : 0;
  found.missed = state ? std::min(state->missed, MessagesIn(lane)) : 0;
  return found;
}

void FillLane(const LaneRec& lane, v1::LaneStatus& out) {
  out.set_epoch(lane.epoch);
  out.set_part(lane.part);
  out.set_replica(lane.replica);
  out.set_published(MessagesIn(lane));
  out.set_capacity(lane.ring.constants().capacity);
  out.set_bytes(lane.segment->size());
  out.set_complete(Complete(lane));
  out.set_ended(lane.ended);
  out.set_rate(Over(lane) ? 0 : lane.rate);
  const RingStatistics statistics = lane.ring.Statistics(LastLook(lane));
  out.set_dropped(statistics.dropped);
  out.set_blocked_times(statistics.blocked_times);
  SetDuration(statistics.blocked_ns, out.mutable_blocked());
  if (statistics.blocked_since_ns != 0 && !Over(lane)) SetTime(statistics.blocked_since_ns, out.mutable_blocked_since());
  SetTime(lane.since_ns, out.mutable_since());
  out.set_quarantined(lane.quarantined);
}

void AddReading(const Reading& reading, v1::SubscriptionStatus& out) {
  out.set_finished(out.finished() + reading.finished);
  out.set_waiting(out.waiting() + reading.waiting);
  out.set_high_water(std::max(out.high_water(), reading.high_water));
  out.set_redelivered(out.redelivered() + reading.redelivered);
  out.set_missed(out.missed() + reading.missed);
}

void AddLane(const LaneRec& lane, const v1::LaneStatus& status, v1::BufferTotals& totals) {
  totals.set_published(totals.published() + status.published());
  totals.set_dropped(totals.dropped() + status.dropped());
  totals.set_blocked_times(totals.blocked_times() + status.blocked_times());
  AddTo(totals.mutable_blocked(), status.blocked());
  SetDuration(NanosOf(totals.observed()) + std::max<int64_t>(LastLook(lane) - lane.since_ns, 0), totals.mutable_observed());
  totals.set_high_water_bytes(std::max({totals.high_water_bytes(), lane.high_water_bytes, status.bytes_used()}));
  const uint64_t capacity = status.capacity();
  totals.set_capacity(totals.capacity() == 0 ? capacity : std::min(totals.capacity(), capacity));
}

void AddReadingTo(const Reading& reading, v1::BufferTotals& totals) {
  totals.set_high_water(std::max(totals.high_water(), reading.high_water));
  totals.set_redelivered(totals.redelivered() + reading.redelivered);
  totals.set_missed(totals.missed() + reading.missed);
}

}  // namespace

uint64_t MessagesBelow(const LaneRec& lane, uint64_t until) {
  const uint64_t base = lane.ring.constants().base;
  return std::min(until - base <= uint64_t{1} << 63 ? until - base : 0, MessagesIn(lane));
}

uint64_t MessagesIn(const LaneRec& lane) {
  const uint64_t messages = EndOfMessages(lane) - lane.ring.constants().base;
  return messages <= uint64_t{1} << 63 ? messages : 0;
}

v1::Buffer ViewBuffer(const Model& model, const PipelineRec& pipeline, const std::string& name) {
  v1::Buffer view;
  view.set_name(absl::StrCat(PipelineName(pipeline.row.name), "/buffers/", name));
  *view.mutable_spec() = pipeline.spec.buffers().at(name);
  if (auto retired = pipeline.retired.find(name); retired != pipeline.retired.end()) *view.mutable_totals() = retired->second;
  if (auto bad = pipeline.quarantined.find(name); bad != pipeline.quarantined.end()) {
    for (const v1::LaneStatus& lane : bad->second) *view.add_lanes() = lane;
  }
  const std::vector<Port> readers = ReadersOf(model, pipeline, name);
  view.mutable_subscriptions()->Reserve(static_cast<int>(readers.size()));
  std::map<uint64_t, v1::SubscriptionStatus*> subscriptions;
  for (const Port& reader : readers) {
    v1::SubscriptionStatus* added = subscriptions[reader.task->row.uid] = view.add_subscriptions();
    added->set_subscriber(reader.task->full_name);
    added->set_reliable(!reader.lossy);
    auto count = reader.task->counts.find(absl::StrCat("in ", reader.port));
    if (count == reader.task->counts.end()) continue;
    added->set_rate(count->second.rate);
    added->set_dead_letters(count->second.dead_letters);
  }
  for (const auto& [id, lane] : model.lanes) {
    const TaskRec* publisher = model.task(lane->publisher);
    if (publisher == nullptr || publisher->row.pipeline != pipeline.row.name || BufferOfLane(model, *lane) != name) continue;
    v1::LaneStatus& status = *view.add_lanes();
    status.set_publisher(publisher->full_name);
    FillLane(*lane, status);
    for (const Port& reader : ReadersOfLane(model, *lane)) {
      const Reading reading = ReadingOf(model, *reader.task, *lane);
      v1::SubscriptionStatus& subscription = *subscriptions[reader.task->row.uid];
      AddReading(reading, subscription);
      AddReadingTo(reading, *view.mutable_totals());
      v1::Lag& lag = *subscription.add_lags();
      lag.set_publisher(publisher->full_name);
      lag.set_epoch(lane->epoch);
      lag.set_replica(lane->replica);
      lag.set_waiting(reading.waiting);
      lag.set_high_water(reading.high_water);
      status.set_high_water(std::max(status.high_water(), reading.high_water));
      if (!reader.lossy) status.set_waiting(std::max(status.waiting(), reading.waiting));
    }
    const uint64_t end = lane->ring.constants().base + status.published();
    status.set_bytes_used(lane->ring.BytesHeld(end - std::min(status.waiting(), status.capacity()), end));
    AddLane(*lane, status, *view.mutable_totals());
  }
  return view;
}

double SmoothRate(double old, uint64_t messages, double seconds) {
  const double rate = seconds <= 0 ? 0 : static_cast<double>(messages) / seconds;
  const double smooth = old == 0 ? rate : (old + rate) / 2;
  return smooth < 1.0 / 60 ? 0 : smooth;
}

bool SampleLane(LaneRec& lane, double seconds) {
  const uint64_t tail = lane.ring.tail();
  const bool was_over = lane.over_ns != 0;
  if (Over(lane) && !was_over) lane.over_ns = MonotonicNanos();
  const uint64_t blocked = static_cast<uint64_t>(lane.ring.Statistics(LastLook(lane)).blocked_since_ns);
  const double rate = SmoothRate(lane.rate, tail - lane.seen_tail <= uint64_t{1} << 63 ? tail - lane.seen_tail : 0, seconds);
  const bool changed = tail != lane.seen_tail || blocked != lane.seen_blocked || rate != lane.rate || was_over != (lane.over_ns != 0);
  lane.high_water_bytes = std::max(lane.high_water_bytes, lane.ring.BytesHeld(Oldest(lane), EndOfMessages(lane)));
  lane.seen_tail = tail;
  lane.seen_blocked = blocked;
  lane.rate = rate;
  return changed;
}

void Retire(Model& model, const LaneRec& lane) {
  const TaskRec* publisher = model.task(lane.publisher);
  PipelineRec* pipeline = publisher == nullptr ? nullptr : model.pipeline(publisher->row.pipeline);
  const std::string buffer = BufferOfLane(model, lane);
  if (pipeline == nullptr || buffer.empty()) return;
  v1::LaneStatus status;
  FillLane(lane, status);
  if (!lane.quarantined.empty()) {
    std::deque<v1::LaneStatus>& bad = pipeline->quarantined[buffer];
    status.set_publisher(publisher->full_name);
    bad.push_back(status);
    if (bad.size() > kQuarantinedShown) bad.pop_front();
    return;  // its numbers are not to be added to anything
  }
  v1::BufferTotals& totals = pipeline->retired[buffer];
  AddLane(lane, status, totals);
  for (const Port& reader : ReadersOfLane(model, lane)) AddReadingTo(ReadingOf(model, *reader.task, lane), totals);
}

}  // namespace puma::server
