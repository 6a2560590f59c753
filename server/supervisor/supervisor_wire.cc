// Who gets which segment, and when a segment is let go of.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/supervisor/buffer_view.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
template <size_t N>
void Copy(char (&to)[N], const std::string& from) {
  std::snprintf(to, N, "%s", from.c_str());
}

bool Gone(v1::TaskState state) { return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED; }
}  // namespace

void Supervisor::ConnectReader(TaskRec& reader) {
  for (const InputLane& input : LanesReadBy(model_, reader)) Connect(input.reader, *input.lane);
  TellEndedPublishers(reader);
}

void Supervisor::ConnectLane(LaneRec& lane) {
  for (const Port& reader : ReadersOfLane(model_, lane)) Connect(reader, lane);
}

bool Supervisor::PageIsHere(const TaskRec& reader) const {
  auto page = model_.pages.find(reader.page);
  return page != model_.pages.end() && page->second->task_run == static_cast<uint64_t>(reader.life.run);
}

// A page goes to the lane's publisher; the lane to its reader when that has answered (OnAttached): only the publisher's process can say
// from which number on it keeps messages. An ended lane keeps them all. Idempotent; workers ignore what they have already.
void Supervisor::Connect(const Port& port, LaneRec& lane) {
  TaskRec& reader = *port.task;
  if (!PageIsHere(reader) || !reader.start_sent || settle_at_ != 0 || reader.connected.contains(lane.id)) return;
  if (!lane.quarantined.empty()) return;
  if (!PageSlotFor(reader, lane)) return;
  if (!lane.ended && reader.paged.insert(lane.id).second) SendPage(port, lane);
  if (!lane.ended) return;
  const bool joined = JoinedLater(reader, lane) && !StateOf(model_, reader, lane);
  const uint64_t oldest = port.lossy && !joined ? lane.ring.constants().base : std::max(lane.ring.released(), lane.ring.constants().base);
  SendLane(port, lane, joined && JoinsNewest(port) ? lane.ring.tail() : oldest);
}

std::optional<uint32_t> Supervisor::PageSlotFor(TaskRec& reader, const LaneRec& lane) {
  if (auto known = reader.page_slots.find(lane.id); known != reader.page_slots.end()) return known->second;
  std::vector<bool> used(TaskPage::kSlots);
  for (const auto& [id, slot] : reader.page_slots) used[slot] = true;
  for (uint32_t slot = 0; slot < TaskPage::kSlots; ++slot) {
    if (used[slot]) continue;
    reader.page_slots[lane.id] = slot;
    return slot;
  }
  Log(4, absl::StrCat(reader.full_name, " reads more than ", TaskPage::kSlots, " lanes; one of buffer ", BufferOfLane(model_, lane),
                      " is not connected"));
  return std::nullopt;
}

void Supervisor::SendLane(const Port& port, LaneRec& lane, uint64_t start) {
  TaskRec& reader = *port.task;
  WorkerRec* worker = model_.worker(reader.worker);
  if (worker == nullptr) return;
  reader.connected.insert(lane.id);
  shim::Attach attach{};
  attach.to = worker->id;
  attach.segment = attach.lane = lane.id;
  attach.slot = reader.slot;
  attach.page_slot = reader.page_slots[lane.id];
  attach.start = start;
  attach.publisher = lane.publisher;
  attach.epoch = lane.epoch;
  attach.part = lane.part;
  attach.kind = shim::SegmentKind::kLane;
  Copy(attach.port, port.port);
  shim_->Send(shim::Type::kAttach, attach);
}

void Supervisor::SendPage(const Port& port, LaneRec& lane) {
  const TaskRec& reader = *port.task;
  const TaskRec* publisher = model_.task(lane.publisher);
  WorkerRec* worker = publisher == nullptr ? nullptr : model_.worker(publisher->worker);
  if (worker == nullptr) return;
  shim::Attach attach{};
  attach.to = worker->id;
  attach.segment = reader.page;
  attach.slot = publisher->slot;
  attach.page_slot = reader.page_slots.at(lane.id);
  attach.lane = lane.id;
  attach.subscription = reader.row.uid;
  attach.flags = (port.lossy ? shim::kAttachLossy : 0) | (JoinsNewest(port) ? shim::kAttachNewest : 0);
  attach.publisher = lane.publisher;
  attach.epoch = lane.epoch;
  attach.kind = shim::SegmentKind::kPage;
  Copy(attach.port, lane.port);
  shim_->Send(shim::Type::kAttach, attach);
}

// The reader's run is over: its publishers prefer other replicas. Or they stop waiting for it: it has ended for good, or reads here no
// more, or not reliably.
void Supervisor::GateDown(TaskRec& reader) {
  std::map<uint64_t, bool> gates;
  for (const InputLane& input : LanesReadBy(model_, reader)) gates[input.lane->id] = !input.reader.lossy && !reader.gates_removed;
  for (const auto& [id, lane] : model_.lanes) {
    const TaskRec* publisher = lane->ended ? nullptr : model_.task(lane->publisher);
    if (publisher == nullptr || publisher->row.pipeline != reader.row.pipeline) continue;
    if (!reader.rewired && !gates.contains(id)) continue;
    const bool replica = reader.spec.replicas() > 1 && gates.contains(id);
    if (!gates[id]) {
      SendGateDown(reader.row.uid, *lane, replica ? shim::GateChange::kLaneIsOut : shim::GateChange::kRemoved);
    } else if (replica) {
      SendGateDown(reader.row.uid, *lane, shim::GateChange::kDown);
    }
  }
  reader.rewired = false;
}

void Supervisor::SendGateDown(uint64_t reader, const LaneRec& lane, shim::GateChange change) {
  const TaskRec* publisher = model_.task(lane.publisher);
  WorkerRec* worker = publisher == nullptr ? nullptr : model_.worker(publisher->worker);
  if (worker == nullptr) return;
  shim::GateDown down{};
  down.to = worker->id;
  down.subscription = reader;
  down.lane = lane.id;
  down.slot = publisher->slot;
  down.change = change;
  shim_->Send(shim::Type::kGateDown, down);
}

// A new lane's publisher learns who has ended for good or left since it was told whom to wait for, and that a lane which leads to such a
// replica is not to be chosen.
void Supervisor::TellWhoIsOut(LaneRec& lane) {
  const TaskRec* publisher = model_.task(lane.publisher);
  const PipelineRec* pipeline = publisher == nullptr ? nullptr : model_.pipeline(publisher->row.pipeline);
  if (pipeline == nullptr) return;
  for (const auto& [uid, buffer] : pipeline->left) {
    if (buffer == BufferOfLane(model_, lane)) SendGateDown(uid, lane, shim::GateChange::kRemoved);
  }
  for (const Port& reader : ReadersOfLane(model_, lane)) {
    if (!reader.task->gates_removed) continue;
    SendGateDown(reader.task->row.uid, lane, reader.task->spec.replicas() > 1 ? shim::GateChange::kLaneIsOut : shim::GateChange::kRemoved);
  }
}

// The parts before this one get nothing more: readers need no grant to read them, and they are let go of when they are drained.
void Supervisor::EndEarlierParts(const LaneRec& newest) {
  for (auto& [id, lane] : model_.lanes) {
    const bool same = lane->publisher == newest.publisher && lane->port == newest.port && lane->epoch == newest.epoch;
    if (!same || lane->part >= newest.part || lane->ended) continue;
    lane->ended = collect_ = true;
    ConnectLane(*lane);
  }
}

void Supervisor::EndLanes(TaskRec& publisher) {
  const PipelineRec& pipeline = *model_.pipeline(publisher.row.pipeline);
  for (const auto& [port, buffer] : publisher.spec.outputs()) {
    for (const Port& reader : ReadersOf(model_, pipeline, buffer)) SendEndLane(*reader.task, reader.port, publisher);
  }
}

void Supervisor::TellEndedPublishers(TaskRec& reader) {
  const PipelineRec& pipeline = *model_.pipeline(reader.row.pipeline);
  for (const auto& [port, input] : reader.spec.inputs()) {
    for (const Port& publisher : PublishersOf(model_, pipeline, input.buffer())) {
      if (publisher.task->lanes_ended) SendEndLane(reader, port, *publisher.task);
    }
  }
}

void Supervisor::SendEndLane(TaskRec& reader, const std::string& port, TaskRec& publisher) {
  WorkerRec* worker = model_.worker(reader.worker);
  if (worker == nullptr || !reader.start_sent || !PageIsHere(reader) || settle_at_ != 0) return;  // ConnectReader comes back to it
  for (const InputLane& input : LanesReadBy(model_, reader)) {                                    // what it published comes first
    if (input.lane->publisher == publisher.row.uid) Connect(input.reader, *input.lane);
  }
  std::string error;
  if (publisher.life.state == v1::TASK_STATE_FAILED) error = absl::StrCat(publisher.row.name, " failed: ", publisher.life.exit.summary());
  error.resize(std::min<size_t>(error.size(), kErrorBytes));
  shim::EndLane end{};
  end.to = worker->id;
  end.publisher = publisher.row.uid;
  end.slot = reader.slot;
  end.length = static_cast<uint32_t>(error.size());
  Copy(end.port, port);
  shim_->Send(shim::Type::kEndLane, end, std::as_bytes(std::span(error)));
}

// Of what it reads reliably now. `spec`: what it will read; null: nothing, it is deleted.
void Supervisor::RememberWhoLeft(const TaskRec& reader, const v1::TaskSpec* spec) {
  PipelineRec* pipeline = model_.pipeline(reader.row.pipeline);
  if (pipeline == nullptr) return;
  for (const auto& [port, input] : reader.spec.inputs()) pipeline->left.emplace(reader.row.uid, input.buffer());
  if (spec == nullptr) return;
  for (const auto& [port, input] : spec->inputs()) {
    if (!Lossy(*pipeline, input)) pipeline->left.erase({reader.row.uid, input.buffer()});
  }
}

// A publisher has taken a reader's page as a gate, and says from which number on it keeps messages for it.
void Supervisor::OnAttached(const shim::Attached& attached) {
  TaskRec* reader = model_.task(attached.subscription);
  auto lane = model_.lanes.find(attached.lane);
  const TaskRec* publisher = lane == model_.lanes.end() ? nullptr : model_.task(lane->second->publisher);
  if (publisher == nullptr || publisher->worker != attached.id.key) return;  // only the lane's publisher can say so
  if (reader == nullptr || !reader->paged.contains(attached.lane) || reader->connected.contains(attached.lane)) return;
  if (attached.page != reader->page) return;  // an answer to its last run
  for (const Port& port : ReadersOfLane(model_, *lane->second)) {
    if (port.task != reader) continue;
    // A lossy one that goes on, or was there from the lane's beginning, is told by the lane what it missed.
    const bool goes_on = port.lossy && (StateOf(model_, *reader, *lane->second) || !JoinedLater(*reader, *lane->second));
    SendLane(port, *lane->second, goes_on ? lane->second->ring.constants().base : attached.start);
  }
}

bool Supervisor::Drained(const LaneRec& lane) const {
  if (!lane.quarantined.empty()) return true;
  const PipelineRec* pipeline =
      model_.task(lane.publisher) == nullptr ? nullptr : model_.pipeline(model_.task(lane.publisher)->row.pipeline);
  if (pipeline == nullptr) return true;
  for (const Port& reader : ReadersOfLane(model_, lane)) {
    if (reader.lossy || Gone(reader.task->life.state)) continue;
    const std::optional<ReadState> state = StateOf(model_, *reader.task, lane);
    if (!state && JoinsNewest(reader) && JoinedLater(*reader.task, lane)) continue;
    if (!state || MessagesBelow(lane, state->next) < MessagesIn(lane)) return false;
  }
  return true;
}

size_t Supervisor::UndrainedEpochs(const TaskRec& publisher) const {
  std::set<std::tuple<std::string, uint32_t, uint32_t>> epochs;
  std::map<std::string, size_t> each;
  for (const auto& [id, lane] : model_.lanes) {
    if (lane->publisher != publisher.row.uid || !lane->ended || Drained(*lane)) continue;
    if (epochs.emplace(lane->port, lane->epoch, lane->part).second) ++each[lane->port];
  }
  size_t most = 0;
  for (const auto& [port, count] : each) most = std::max(most, count);
  return most;
}

void Supervisor::CollectSegments() {
  std::vector<uint64_t> ids;
  for (const auto& [id, lane] : model_.lanes) {
    if (lane->ended && Drained(*lane)) ids.push_back(id);
  }
  for (const auto& [id, page] : model_.pages) {
    const TaskRec* task = model_.task(page->task);
    if (task == nullptr || (task->page != id && page->task_run < static_cast<uint64_t>(task->life.run))) ids.push_back(id);
  }
  DropSegments(ids);
}

void Supervisor::DropSegments(const std::vector<uint64_t>& ids) {
  constexpr size_t kPerMessage = 1024;
  for (size_t i = 0; i < ids.size(); i += kPerMessage) {
    const std::span<const uint64_t> some(ids.data() + i, std::min(kPerMessage, ids.size() - i));
    shim_->Send(shim::Type::kDropSegments, shim::DropSegments{some.size()}, std::as_bytes(some));
  }
  for (uint64_t id : ids) {
    if (auto lane = model_.lanes.find(id); lane != model_.lanes.end()) {
      Retire(model_, *lane->second);
      taps_.Remove(*lane->second, MonotonicNanos());
      TaskRec* publisher = model_.task(lane->second->publisher);
      if (publisher != nullptr && lane->second->quarantined.empty()) {
        publisher->counts[absl::StrCat("out ", lane->second->port)].retired += MessagesIn(*lane->second);
      }
      for (const Port& reader : ReadersOfLane(model_, *lane->second)) {
        if (const std::optional<ReadState> state = StateOf(model_, *reader.task, *lane->second)) {
          reader.task->counts[absl::StrCat("in ", reader.port)].retired += MessagesBelow(*lane->second, state->next);
        }
        reader.task->page_slots.erase(id);
        reader.task->connected.erase(id);
        reader.task->paged.erase(id);
      }
      model_.lanes.erase(lane);
    }
    model_.pages.erase(id);
  }
}

}  // namespace puma::server
