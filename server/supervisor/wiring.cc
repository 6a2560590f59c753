#include "server/supervisor/wiring.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <tuple>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/json_util.h"

namespace puma::server {
namespace {

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
uint64_t LaneBytesLimit(const v1::BufferSpec& buffer, uint64_t payload_bytes) {
  return payload_bytes * 2 + uint64_t{buffer.capacity_items()} * 4 * 64 + (1 << 20);
}

// In how many lanes, one after the other, a publisher's run may go on: as many as its start message has room to grant.
uint32_t PartsOf(const Model& model, const PipelineRec& pipeline, const TaskRec& task) {
  constexpr uint32_t kMaxParts = 3;
  uint32_t lanes = 0;
  for (const auto& [port, buffer] : task.spec.outputs()) lanes += LanesEach(model, pipeline, buffer);
  return lanes == 0 ? 1 : std::clamp<uint32_t>((shim::kMaxGrants - 1) / lanes, 1, kMaxParts);
}

control::OutputSpec PlanOutput(const Model& model, const PipelineRec& pipeline, const TaskRec& task, const std::string& port,
                               const std::string& buffer, const std::function<uint64_t()>& new_id, std::vector<shim::Grant>& grants) {
  const v1::BufferSpec& spec = pipeline.spec.buffers().at(buffer);
  control::OutputSpec output;
  output.port = port;
  output.buffer = buffer;
  output.epoch = static_cast<uint32_t>(task.life.run);
  output.capacity = spec.capacity_items();
  output.max_bytes = std::max(spec.capacity().bytes(), spec.max_bytes().bytes());
  const uint32_t parts = output.max_bytes == spec.capacity().bytes() ? 1 : PartsOf(model, pipeline, task);
  output.payload_bytes = parts == 1 ? output.max_bytes : spec.capacity().bytes();
  output.on_full = OnFullName(spec.on_full());
  output.stream = spec.wake() == v1::WAKE_STREAM;
  output.huge_pages = spec.memory().huge_pages();
  output.prefault = spec.memory().prefault();
  const std::vector<Port> readers = ReadersOf(model, pipeline, buffer);
  uint64_t born = 0;
  for (const auto& [name, uid] : pipeline.tasks) born = std::max(born, uid);
  for (uint32_t replica = 0; replica < LanesEach(model, pipeline, buffer); ++replica) {
    control::LaneSpec lane;
    lane.lane = new_id();
    lane.replica = replica;
    for (const Port& reader : readers) {
      if (!reader.lossy && ReadsReplica(*reader.task, replica) && !reader.task->gates_removed)
        lane.subscriptions.push_back(reader.task->row.uid);
    }
    for (uint32_t part = 1; part < parts; ++part) {
      lane.spares.push_back(new_id());
      grants.push_back(MakeGrant(lane.spares.back(), shim::SegmentKind::kLane, task.slot, LaneBytesLimit(spec, output.max_bytes),
                                 LaneLabel({task.row.uid, port, output.epoch, part, replica, born})));
    }
    grants.push_back(MakeGrant(lane.lane, shim::SegmentKind::kLane, task.slot, LaneBytesLimit(spec, output.payload_bytes),
                               LaneLabel({task.row.uid, port, output.epoch, 0, replica, born})));
    output.lanes.push_back(std::move(lane));
  }
  return output;
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
                             const v1::InputSpec& spec) {
  const std::string& buffer = spec.buffer();
  control::InputSpec input;
  input.port = port;
  input.buffer = buffer;
  input.lossy = Lossy(pipeline, spec);
  input.latest = pipeline.spec.buffers().at(buffer).on_full() == v1::ON_FULL_LATEST;
  for (const Port& publisher : PublishersOf(model, pipeline, buffer)) input.publishers.push_back(publisher.task->row.uid);
  input.lanes_each = task.spec.replicas() > 1 ? 1 : LanesEach(model, pipeline, buffer);
  for (const InputLane& known : LanesReadBy(model, task)) {
    if (known.reader.port != port || (task.rejoins && !known.lane->ended) || !known.lane->quarantined.empty()) continue;
    const std::optional<ReadState> state = StateOf(model, task, *known.lane);
    if (!state || task.page_slots.size() >= TaskPage::kSlots) continue;  // new to it: Connect finds out where it may begin
    control::KnownLane lane;
    lane.lane = known.lane->id;
    lane.publisher = known.lane->publisher;
    lane.epoch = known.lane->epoch;
    lane.page_slot = static_cast<uint32_t>(task.page_slots.size());
    const RingReader& ring = known.lane->ring;
    const bool possible = state->next - ring.constants().base <= ring.tail() - ring.constants().base;
    lane.next = possible ? state->next : ring.released();  // from a page that lies: all that is still there
    lane.deliveries = ItsFault(task.life.exit) ? state->deliveries : EarlierDeliveries(model, task, *known.lane);
    lane.handed = possible ? state->handed : 0;  // marked as redelivered even if it does not count
    if (model.dead_letters.contains({task.row.uid, lane.lane, lane.next})) {
      ++lane.next;
      lane.deliveries = 0;
      lane.handed -= std::min<uint64_t>(lane.handed, 1);
    }
    lane.backlog = state->backlog;
    lane.redelivered = state->redelivered;
    lane.missed = state->missed;
    task.page_slots[lane.lane] = lane.page_slot;
    input.lanes.push_back(lane);
  }
  return input;
}

}  // namespace

std::vector<Port> PublishersOf(const Model& model, const PipelineRec& pipeline, const std::string& buffer) {
  std::vector<Port> publishers;
  for (const auto& [name, uid] : pipeline.tasks) {
    TaskRec* task = model.task(uid);
    if (task == nullptr || task->row.deleting) continue;
    for (const auto& [port, connected] : task->spec.outputs()) {
      if (connected == buffer) publishers.push_back({task, port});
    }
  }
  return publishers;
}
std::vector<Port> ReadersOf(const Model& model, const PipelineRec& pipeline, const std::string& buffer) {
  std::vector<Port> readers;
  for (const auto& [name, uid] : pipeline.tasks) {
    TaskRec* task = model.task(uid);
    if (task == nullptr || task->row.deleting) continue;
    for (const auto& [port, input] : task->spec.inputs()) {
      if (input.buffer() == buffer) readers.push_back({task, port, Lossy(pipeline, input)});
    }
  }
  return readers;
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
    for (const auto& [port, input] : reader.spec.inputs()) {
      if (input.buffer() != buffer) continue;
      const bool lossy = Lossy(*model.pipeline(reader.row.pipeline), input);
      lanes.push_back({lane.get(), {model.task(reader.row.uid), port, lossy}});
    }
  }
  std::stable_sort(lanes.begin(), lanes.end(), [](const InputLane& a, const InputLane& b) {
    return std::tuple(a.lane->epoch, a.lane->part) < std::tuple(b.lane->epoch, b.lane->part);
  });
  return lanes;
}

bool Lossy(const PipelineRec& pipeline, const std::string& buffer) {
  auto it = pipeline.spec.buffers().find(buffer);
  return it != pipeline.spec.buffers().end() && IsLossy(it->second);
}

bool Lossy(const PipelineRec& pipeline, const v1::InputSpec& input) { return input.lossy() || Lossy(pipeline, input.buffer()); }

bool JoinsNewest(const Port& reader) {
  auto input = reader.task->spec.inputs().find(reader.port);
  return input != reader.task->spec.inputs().end() && input->second.from() == v1::JOIN_NEWEST;
}

bool Superseded(const Model& model, const LaneRec& lane) {
  return std::any_of(model.lanes.begin(), model.lanes.end(), [&](const auto& entry) {
    const LaneRec& other = *entry.second;
    return other.publisher == lane.publisher && other.port == lane.port && other.epoch == lane.epoch && other.part > lane.part;
  });
}

bool JoinedLater(const TaskRec& reader, const LaneRec& lane) { return reader.row.uid > lane.born; }

uint64_t EndOfMessages(const LaneRec& lane) {
  const uint64_t tail = lane.ring.tail(), base = lane.ring.constants().base;
  const bool complete = lane.ring.header().closed.load(std::memory_order_acquire) != 0;
  const uint64_t close = lane.ring.header().close_number.load(std::memory_order_relaxed);
  return complete && close - base < tail - base ? close : tail;  // a lie must not move it
}

std::optional<ReadState> StateOf(const Model& model, const TaskRec& reader, const LaneRec& lane) {
  auto page = model.pages.find(reader.page);
  if (page == model.pages.end()) return std::nullopt;
  return page->second->view.StateOf(lane.id);
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

bool ItsFault(const v1::RunExit& exit) {
  const v1::ExitCause cause = exit.cause();
  return !exit.suspect() && cause != v1::EXIT_CAUSE_SIBLING && cause != v1::EXIT_CAUSE_LOST && cause != v1::EXIT_CAUSE_KILLED &&
         cause != v1::EXIT_CAUSE_STOPPED;
}

std::string WiringSignature(const v1::PipelineSpec& spec, const std::string& task) {
  auto self = spec.tasks().find(task);
  if (self == spec.tasks().end()) return "";
  std::vector<std::string> lines;
  auto describe = [&](const std::string& buffer, bool publishers) {
    std::vector<std::string> ends;
    uint32_t lanes = 1;
    for (const auto& [name, other] : spec.tasks()) {
      for (const auto& [port, input] : other.inputs())
        if (input.buffer() == buffer) lanes = std::max(lanes, other.replicas());
      for (const auto& [port, connected] : other.outputs())
        if (publishers && connected == buffer) ends.push_back(absl::StrCat(">", name, "*", other.replicas()));
    }
    std::sort(ends.begin(), ends.end());
    auto it = spec.buffers().find(buffer);
    const std::string settings = it == spec.buffers().end()
                                     ? ""
                                     : absl::StrCat(it->second.capacity().bytes(), ",", it->second.max_bytes().bytes(), ",",
                                                    it->second.capacity_items(), ",", it->second.on_full(), ",", it->second.wake(), ",",
                                                    it->second.memory().huge_pages(), ",", it->second.memory().prefault());
    lines.push_back(absl::StrCat(buffer, "{", settings, "}*", lanes, absl::StrJoin(ends, " ")));
  };
  for (const auto& [port, input] : self->second.inputs()) describe(input.buffer(), true);
  for (const auto& [port, buffer] : self->second.outputs()) describe(buffer, false);
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
  spec.log_level = LevelNumberOf(task);
  spec.alone = alone;
  if (task.spec.has_spin()) spec.spin_ns = static_cast<uint64_t>(task.spec.spin().seconds() * 1'000'000'000 + task.spec.spin().nanos());
  spec.page = new_id();
  task.page_slots.clear();
  task.connected.clear();
  task.paged.clear();
  launch.grants.push_back(MakeGrant(spec.page, shim::SegmentKind::kPage, task.slot, 64 << 10, absl::StrCat("page ", task.row.uid)));
  for (const auto& [port, input] : task.spec.inputs()) spec.inputs.push_back(PlanInput(model, pipeline, task, port, input));
  for (const auto& [port, buffer] : task.spec.outputs())
    spec.outputs.push_back(PlanOutput(model, pipeline, task, port, buffer, new_id, launch.grants));
  return launch;
}

std::string LaneLabel(const LaneName& lane) {
  return absl::StrCat("lane ", absl::Hex(lane.publisher), " ", lane.epoch, ".", lane.part, " ", lane.replica, " ", absl::Hex(lane.born),
                      " ", lane.port);
}

bool ParseLaneLabel(const std::string& label, LaneName& lane) {
  const std::vector<std::string> parts = absl::StrSplit(label, absl::MaxSplits(' ', 5));
  if (parts.size() != 6 || parts[0] != "lane") return false;
  lane.port = parts[5];
  const std::pair<std::string, std::string> run = absl::StrSplit(parts[2], absl::MaxSplits('.', 1));
  return absl::SimpleHexAtoi(parts[1], &lane.publisher) && absl::SimpleAtoi(run.first, &lane.epoch) &&
         absl::SimpleAtoi(run.second, &lane.part) && absl::SimpleAtoi(parts[3], &lane.replica) && absl::SimpleHexAtoi(parts[4], &lane.born);
}

}  // namespace puma::server
