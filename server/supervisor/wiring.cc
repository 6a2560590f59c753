#include "server/supervisor/wiring.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/json_util.h"

namespace puma::server {
namespace {

std::vector<Port> Ends(const Model& model, const PipelineRec& pipeline, const std::string& buffer, bool outputs) {
  std::vector<Port> ends;
  for (const auto& [name, uid] : pipeline.tasks) {
    TaskRec* task = model.task(uid);
    if (task == nullptr || task->row.deleting) continue;
    for (const auto& [port, connected] : outputs ? task->spec.outputs() : task->spec.inputs()) {
      if (connected == buffer) ends.push_back({task, port});
    }
  }
  return ends;
}

std::string OnFullName(v1::OnFull on_full) {
  switch (on_full) {
    case v1::ON_FULL_ERROR:
      return "error";
    case v1::ON_FULL_WARN:
      return "warn";
    case v1::ON_FULL_IGNORE:
      return "ignore";
    case v1::ON_FULL_DROP_OLDEST:
      return "drop_oldest";
    case v1::ON_FULL_LATEST:
      return "latest";
    default:
      return "block";
  }
}

bool IsLossy(const v1::BufferSpec& buffer) { return buffer.on_full() == v1::ON_FULL_DROP_OLDEST || buffer.on_full() == v1::ON_FULL_LATEST; }

shim::Grant MakeGrant(uint64_t segment, shim::SegmentKind kind, uint32_t slot, uint64_t max_bytes, const std::string& label) {
  shim::Grant grant{};
  grant.segment = segment;
  grant.kind = kind;
  grant.slot = slot;
  grant.max_bytes = max_bytes;
  std::snprintf(grant.label, sizeof(grant.label), "%s", label.c_str());
  return grant;
}

// Above the payload: header lines, descriptors and annotations of the lane, and page rounding.
uint64_t LaneBytesLimit(const v1::BufferSpec& buffer) {
  return buffer.capacity().bytes() * 2 + uint64_t{buffer.capacity_items()} * 4 * 64 + (1 << 20);
}

control::OutputSpec PlanOutput(const Model& model, const PipelineRec& pipeline, const TaskRec& task, const std::string& port,
                               const std::string& buffer, const std::function<uint64_t()>& new_id, std::vector<shim::Grant>& grants) {
  const v1::BufferSpec& spec = pipeline.spec.buffers().at(buffer);
  control::OutputSpec output;
  output.port = port;
  output.buffer = buffer;
  output.epoch = static_cast<uint32_t>(task.life.run);
  output.capacity = spec.capacity_items();
  output.payload_bytes = spec.capacity().bytes();
  output.on_full = OnFullName(spec.on_full());
  const std::vector<Port> readers = ReadersOf(model, pipeline, buffer);
  for (uint32_t replica = 0; replica < LanesEach(model, pipeline, buffer); ++replica) {
    control::LaneSpec lane;
    lane.lane = new_id();
    lane.replica = replica;
    for (const Port& reader : readers) {
      if (!IsLossy(spec) && ReadsReplica(*reader.task, replica) && !reader.task->gates_removed)
        lane.subscriptions.push_back(reader.task->row.uid);
    }
    grants.push_back(MakeGrant(lane.lane, shim::SegmentKind::kLane, task.slot, LaneBytesLimit(spec),
                               LaneLabel(task.row.uid, port, output.epoch, replica)));
    output.lanes.push_back(std::move(lane));
  }
  return output;
}

// A death that the task had no part in is no delivery of what it had in hand.
bool ItsFault(v1::ExitCause cause) {
  return cause != v1::EXIT_CAUSE_SIBLING && cause != v1::EXIT_CAUSE_LOST && cause != v1::EXIT_CAUSE_KILLED &&
         cause != v1::EXIT_CAUSE_STOPPED;
}

uint64_t EarlierDeliveries(const Model& model, const TaskRec& task, const LaneRec& lane) {
  auto page = model.pages.find(task.page);
  for (uint32_t i = 0; page != model.pages.end() && i < TaskPage::kSlots; ++i) {
    const PageSlot& slot = page->second->view.slot(i);
    if (slot.tag.load(std::memory_order_acquire) == lane.id) return slot.deliveries.load(std::memory_order_relaxed);
  }
  return 0;
}

control::InputSpec PlanInput(const Model& model, const PipelineRec& pipeline, TaskRec& task, const std::string& port,
                             const std::string& buffer) {
  control::InputSpec input;
  input.port = port;
  input.buffer = buffer;
  input.lossy = Lossy(pipeline, buffer);
  input.latest = pipeline.spec.buffers().at(buffer).on_full() == v1::ON_FULL_LATEST;
  for (const Port& publisher : PublishersOf(model, pipeline, buffer)) input.publishers.push_back(publisher.task->row.uid);
  input.lanes_each = task.spec.replicas() > 1 ? 1 : LanesEach(model, pipeline, buffer);
  if (input.lossy) return input;  // begins where its lanes stand when they are attached
  for (const InputLane& known : LanesReadBy(model, task)) {
    if (known.port != port || (task.rejoins && !known.lane->ended)) continue;
    const std::optional<ReadState> state = StateOf(model, task, *known.lane);
    if (!state || task.page_slots.size() >= TaskPage::kSlots) continue;  // new to it: Connect finds out where it may begin
    control::KnownLane lane;
    lane.lane = known.lane->id;
    lane.publisher = known.lane->publisher;
    lane.epoch = known.lane->epoch;
    lane.page_slot = static_cast<uint32_t>(task.page_slots.size());
    lane.next = state->next;
    lane.deliveries = ItsFault(task.life.exit.cause()) ? state->deliveries : EarlierDeliveries(model, task, *known.lane);
    task.page_slots[lane.lane] = lane.page_slot;
    input.lanes.push_back(lane);
  }
  return input;
}

}  // namespace

std::vector<Port> PublishersOf(const Model& model, const PipelineRec& pipeline, const std::string& buffer) {
  return Ends(model, pipeline, buffer, true);
}
std::vector<Port> ReadersOf(const Model& model, const PipelineRec& pipeline, const std::string& buffer) {
  return Ends(model, pipeline, buffer, false);
}

uint32_t LanesEach(const Model& model, const PipelineRec& pipeline, const std::string& buffer) {
  uint32_t lanes = 1;
  for (const Port& reader : ReadersOf(model, pipeline, buffer)) lanes = std::max(lanes, reader.task->spec.replicas());
  return lanes;
}

bool ReadsReplica(const TaskRec& reader, uint32_t replica) {
  return reader.spec.replicas() <= 1 ||
         static_cast<uint32_t>(reader.row.replica) == replica % reader.spec.replicas();  // after scaling down, too
}

std::string BufferOfLane(const Model& model, const LaneRec& lane) {
  const TaskRec* publisher = model.task(lane.publisher);
  if (publisher == nullptr) return "";
  auto it = publisher->spec.outputs().find(lane.port);
  return it == publisher->spec.outputs().end() ? "" : it->second;
}

std::vector<Port> ReadersOfLane(const Model& model, const LaneRec& lane) {
  const TaskRec* publisher = model.task(lane.publisher);
  const std::string buffer = BufferOfLane(model, lane);
  if (publisher == nullptr || buffer.empty()) return {};
  const PipelineRec* pipeline = model.pipeline(publisher->row.pipeline);
  if (pipeline == nullptr) return {};
  std::vector<Port> readers = ReadersOf(model, *pipeline, buffer);
  std::erase_if(readers, [&](const Port& reader) { return !ReadsReplica(*reader.task, lane.replica); });
  return readers;
}

std::vector<InputLane> LanesReadBy(const Model& model, const TaskRec& reader) {
  std::vector<InputLane> lanes;
  for (const auto& [id, lane] : model.lanes) {
    const std::string buffer = BufferOfLane(model, *lane);
    const TaskRec* publisher = model.task(lane->publisher);
    if (buffer.empty() || publisher->row.pipeline != reader.row.pipeline || !ReadsReplica(reader, lane->replica)) continue;
    for (const auto& [port, connected] : reader.spec.inputs()) {
      if (connected == buffer) lanes.push_back({lane.get(), port});
    }
  }
  std::stable_sort(lanes.begin(), lanes.end(), [](const InputLane& a, const InputLane& b) { return a.lane->epoch < b.lane->epoch; });
  return lanes;
}

bool Lossy(const PipelineRec& pipeline, const std::string& buffer) {
  auto it = pipeline.spec.buffers().find(buffer);
  return it != pipeline.spec.buffers().end() && IsLossy(it->second);
}

uint64_t EndOfMessages(const LaneRec& lane) {
  const bool complete = lane.ring.header().closed.load(std::memory_order_acquire) != 0;
  return complete ? lane.ring.header().close_number.load(std::memory_order_relaxed) : lane.ring.tail();
}

std::optional<ReadState> StateOf(const Model& model, const TaskRec& reader, const LaneRec& lane) {
  auto page = model.pages.find(reader.page);
  if (page == model.pages.end()) return std::nullopt;
  for (const ReadState& state : page->second->view.States()) {
    if (state.lane_id == lane.id) return state;
  }
  return std::nullopt;
}

std::optional<std::pair<uint64_t, uint64_t>> MessageInHand(const Model& model, const TaskRec& reader) {
  auto page = model.pages.find(reader.page);
  if (page == model.pages.end() || page->second->task_run != static_cast<uint64_t>(reader.life.run)) return std::nullopt;
  for (uint32_t i = 0; i < TaskPage::kSlots; ++i) {
    const PageSlot& slot = page->second->view.slot(i);
    const uint64_t in_hand = slot.in_hand.load(std::memory_order_acquire);
    if (in_hand != 0) return std::pair(slot.tag.load(std::memory_order_relaxed), in_hand - 1);
  }
  return std::nullopt;
}

std::string WiringSignature(const v1::PipelineSpec& spec, const std::string& task) {
  auto self = spec.tasks().find(task);
  if (self == spec.tasks().end()) return "";
  std::vector<std::string> lines;
  auto describe = [&](const std::string& buffer) {
    std::vector<std::string> ends;
    for (const auto& [name, other] : spec.tasks()) {
      for (const auto& [port, connected] : other.inputs())
        if (connected == buffer) ends.push_back(absl::StrCat("<", name, "*", other.replicas()));
      for (const auto& [port, connected] : other.outputs())
        if (connected == buffer) ends.push_back(absl::StrCat(">", name, "*", other.replicas()));
    }
    std::sort(ends.begin(), ends.end());
    auto it = spec.buffers().find(buffer);
    const std::string settings = it == spec.buffers().end() ? ""
                                                            : absl::StrCat(it->second.capacity().bytes(), ",", it->second.capacity_items(),
                                                                           ",", it->second.on_full());
    lines.push_back(absl::StrCat(buffer, "{", settings, "}", absl::StrJoin(ends, " ")));
  };
  for (const auto& [port, buffer] : self->second.inputs()) describe(buffer);
  for (const auto& [port, buffer] : self->second.outputs()) describe(buffer);
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, ";");
}

Launch PlanLaunch(const Model& model, TaskRec& task, const std::string& module_path, bool alone, const std::function<uint64_t()>& new_id) {
  const PipelineRec& pipeline = *model.pipeline(task.row.pipeline);
  Launch launch;
  control::StartSpec& spec = launch.spec;
  spec.pipeline = task.row.pipeline;
  spec.name = task.row.name;
  spec.task = task.row.uid;
  spec.run = static_cast<uint64_t>(task.life.run);
  spec.ticket = task.ticket;
  spec.slot = task.slot;
  spec.module = module_path;
  const std::pair<std::string, std::string> type = absl::StrSplit(task.spec.type(), absl::MaxSplits('.', 1));
  spec.module_name = type.first;
  spec.type = type.second;
  for (const auto& [name, value] : task.spec.params()) {
    std::string json;
    (void)google::protobuf::util::MessageToJsonString(value, &json);
    spec.params[name] = json;
  }
  spec.log_level = task.spec.log_level() == v1::LOG_LEVEL_UNSPECIFIED ? 2 : static_cast<int>(task.spec.log_level()) - 1;
  spec.alone = alone;
  spec.page = new_id();
  task.page_slots.clear();
  task.connected.clear();
  task.paged.clear();
  launch.grants.push_back(MakeGrant(spec.page, shim::SegmentKind::kPage, task.slot, 64 << 10, absl::StrCat("page ", task.row.uid)));
  for (const auto& [port, buffer] : task.spec.inputs()) spec.inputs.push_back(PlanInput(model, pipeline, task, port, buffer));
  for (const auto& [port, buffer] : task.spec.outputs())
    spec.outputs.push_back(PlanOutput(model, pipeline, task, port, buffer, new_id, launch.grants));
  return launch;
}

std::string LaneLabel(uint64_t publisher, const std::string& port, uint32_t epoch, uint32_t replica) {
  return absl::StrCat("lane ", publisher, " ", epoch, " ", replica, " ", port);
}

bool ParseLaneLabel(const std::string& label, LaneRec& lane) {
  const std::vector<std::string> parts = absl::StrSplit(label, ' ');
  return parts.size() == 5 && parts[0] == "lane" && absl::SimpleAtoi(parts[1], &lane.publisher) &&
         absl::SimpleAtoi(parts[2], &lane.epoch) && absl::SimpleAtoi(parts[3], &lane.replica) && ((lane.port = parts[4]), true);
}

}  // namespace puma::server
