// What can't be believed is no longer read, its owner is named and judged as failed. What others say of it is bounded, too: a task may
// accuse only those whose lanes it reads.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"

namespace puma::server {
namespace {
constexpr size_t kMostWords = 500;

// A stranger's words, for the log and the API.
std::string Quoted(std::string_view text) {
  std::string quoted(text.substr(0, kMostWords));
  std::replace_if(
      quoted.begin(), quoted.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return quoted;
}

// By how much the further one of a slot's positions is ahead of what its lane holds; nothing: it is as it should be.
std::optional<uint64_t> AheadOfTail(const PageSlot& slot, const LaneRec& lane) {
  if (slot.tag.load(std::memory_order_acquire) != lane.id) return std::nullopt;  // not yet taken
  const uint64_t position = slot.position.load(std::memory_order_acquire), next = slot.next.load(std::memory_order_acquire);
  if (slot.tag.load(std::memory_order_acquire) != lane.id) return std::nullopt;      // just given to another lane
  const uint64_t base = lane.ring.constants().base, most = lane.ring.tail() - base;  // after the positions: they can't be ahead of it
  const uint64_t furthest = std::max(position - base, next - base);
  return furthest <= most ? std::nullopt : std::optional(furthest - most);
}
}  // namespace

// A reader has left a lane.
void Supervisor::OnBadLane(WorkerRec& worker, const control::ResultRecord& record, std::string_view what) {
  const TaskRec* reader = record.slot < worker.slots.size() ? model_.task(worker.slots[record.slot]) : nullptr;
  auto found = model_.lanes.find(record.id);
  if (reader == nullptr || found == model_.lanes.end()) return;  // the one or the other is gone already
  LaneRec& lane = *found->second;
  const std::vector<Port> readers = ReadersOfLane(model_, lane);
  const bool reads = std::any_of(readers.begin(), readers.end(), [&](const Port& port) { return port.task == reader; });
  if (!reads) return Log(4, absl::StrCat(reader->full_name, " complains of lane ", lane.id, ", which it does not read"));
  QuarantineLane(lane, absl::StrCat(Quoted(what), " (found by ", reader->row.name, ")"));
}

void Supervisor::QuarantineLane(LaneRec& lane, const std::string& why) {
  if (!lane.quarantined.empty()) return;
  lane.quarantined = why;
  TaskRec* publisher = model_.task(lane.publisher);
  if (publisher == nullptr) return;
  const std::string owner = absl::StrCat(publisher->full_name, ", run ", lane.epoch);
  Log(4, absl::StrCat("a lane of ", owner, ", output ", lane.port, ", is quarantined: ", why));
  TellDistrust(publisher->full_name, lane.epoch, absl::StrCat("its lane of output ", lane.port, " is quarantined: ", why));
  for (const Port& reader : ReadersOfLane(model_, lane)) {
    const WorkerRec* worker = model_.worker(reader.task->worker);
    if (worker == nullptr || !reader.task->connected.contains(lane.id)) continue;
    shim::LeaveLane leave{};
    leave.to = worker->id;
    leave.lane = lane.id;
    leave.slot = reader.task->slot;
    std::snprintf(leave.port, sizeof(leave.port), "%s", reader.port.c_str());
    shim_->Send(shim::Type::kLeaveLane, leave);
  }
  pipelines_changed_ = collect_ = true;
  if (!lane.ended && static_cast<int64_t>(lane.epoch) == publisher->life.run) {
    Disgrace(*publisher, absl::StrCat("its lane of output ", lane.port, " can't be believed: ", why));
  }
}

// What was offered as a lane is none.
void Supervisor::RefuseLane(TaskRec* publisher, int64_t run, const std::string& why) {
  if (publisher == nullptr) return Log(4, absl::StrCat("a lane of a task that is gone is quarantined: ", why));
  Log(4, absl::StrCat("a lane of ", publisher->full_name, ", run ", run, ", is quarantined: ", why));
  TellDistrust(publisher->full_name, run, absl::StrCat("a lane of it is quarantined: ", why));
  if (publisher->life.run == run && serving_) Disgrace(*publisher, absl::StrCat("it offered a lane that can't be believed: ", why));
}

// A position that can't be would hold its publishers up for ever: they keep what the reader may still want. It is the reader's lie, or its
// publisher's, whose tail ran backwards: that is told by the reader within its next sleep. Nobody is blamed before.
void Supervisor::CheckPage(TaskRec& reader) {
  constexpr int kLooks = 4;  // a second apart: longer than the longest sleep
  auto found = model_.pages.find(reader.page);
  if (found == model_.pages.end() || found->second->task_run != static_cast<uint64_t>(reader.life.run)) return;
  PageRec& page = *found->second;
  for (const auto& [id, i] : reader.page_slots) {
    auto lane = model_.lanes.find(id);
    if (lane == model_.lanes.end() || !lane->second->quarantined.empty() || i >= page.view.constants().slots) continue;
    const std::optional<uint64_t> ahead = AheadOfTail(page.view.slot(i), *lane->second);
    if (!ahead) continue;
    if (++page.suspect_looks < kLooks) return;
    const std::string why =
        absl::StrCat("a position lies ", *ahead, " messages beyond what ", BufferOfLane(model_, *lane->second), " holds");
    // So near that it may have been true: the word of the reader counts, as if it had complained.
    if (*ahead <= lane->second->ring.constants().slots) {
      return QuarantineLane(*lane->second, absl::StrCat("its tail ran backwards: ", why, " (found by ", reader.row.name, ")"));
    }
    Log(4, absl::StrCat("the task page of ", reader.full_name, ", run ", reader.life.run, ", is quarantined: ", why));
    return Disgrace(reader, absl::StrCat("its task page can't be believed: ", why));
  }
  page.suspect_looks = 0;
}

void Supervisor::Disgrace(TaskRec& task, const std::string& why) {
  Feed(task, Event::Kind::kFailed, [&](Event& event) {
    event.exit.set_cause(v1::EXIT_CAUSE_ERROR);
    event.exit.set_summary(why);
    event.exit.mutable_error()->set_code("DATA_LOSS");
    event.exit.mutable_error()->set_message(why);
    event.exit.mutable_error()->add_path(task.row.name);
  });
}

}  // namespace puma::server
