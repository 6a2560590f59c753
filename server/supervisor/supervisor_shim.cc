// Messages of the shim, and the adoption of what was running before this host.
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/supervisor/life_codec.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
// A killed host's last messages may still be on their way through the workers' control threads: connections are looked at again after this.
constexpr int64_t kSettleNs = 200'000'000;

std::string CString(const char* text, size_t size) { return std::string(text, strnlen(text, size)); }
}  // namespace

void Supervisor::OnShim(ShimMessage message) {
  switch (message.header.type) {
    case shim::Type::kWelcome:
      return OnWelcome(message.As<shim::Welcome>());
    case shim::Type::kRunItem:
      return OnRunItem(message);
    case shim::Type::kSegmentItem:
      return OnSegment(message, true);
    case shim::Type::kInventoryEnd:
      return OnInventoryEnd();
    case shim::Type::kSpawnResult:
      return OnSpawnResult(message);
    case shim::Type::kSegmentOffered:
      return OnSegment(message, false);
    case shim::Type::kWorkerFailed:
      return OnWorkerFailed(message);
    case shim::Type::kAttached:
      return OnAttached(message.As<shim::Attached>());
    case shim::Type::kExited:
      return OnExited(message.As<shim::Exited>());
    case shim::Type::kTreeEmpty:
      return OnTreeEmpty(message);
    case shim::Type::kError:
      return Log(4, absl::StrCat("the shim refused message ", message.header.reply_to, ": ",
                                 message.Text<shim::Error>(message.As<shim::Error>().length)));
    default:
      return;
  }
}

// ---- adoption ------------------------------------------------------------------------------------------------------------------------

void Supervisor::AdoptJournal(const JournalSnapshot& snapshot) {
  for (const PipelineRow& row : snapshot.pipelines) {
    auto pipeline = std::make_unique<PipelineRec>();
    pipeline->row = row;
    if (!pipeline->spec.ParseFromString(row.spec)) Log(4, absl::StrCat("the journal's spec of pipeline ", row.name, " can't be read"));
    model_.pipelines[row.name] = std::move(pipeline);
  }
  for (const GroupRow& row : snapshot.groups) {
    if (PipelineRec* pipeline = model_.pipeline(row.pipeline)) pipeline->group = row;
  }
  for (const TaskRow& row : snapshot.tasks) {
    PipelineRec* pipeline = model_.pipeline(row.pipeline);
    if (pipeline == nullptr) {
      turn_.delete_tasks.push_back(row.uid);
      turn_dirty_ = true;
      continue;
    }
    auto task = std::make_unique<TaskRec>();
    task->row = row;
    task->full_name = TaskName(row.pipeline, row.name);
    if (auto spec = pipeline->spec.tasks().find(row.base); spec != pipeline->spec.tasks().end()) task->spec = spec->second;
    task->policy = PolicyOf(task->spec);
    task->life = LifeFromRow(row, boot_id_);
    task->lanes_ended = task->life.state == v1::TASK_STATE_SUCCEEDED || task->life.state == v1::TASK_STATE_FAILED;
    task->gates_removed = task->lanes_ended;
    task->rewired = true;  // a change of its spec may have been the last host's last act
    pipeline->tasks[row.name] = row.uid;
    model_.tasks[row.uid] = std::move(task);
  }
  for (const RequestRow& row : snapshot.requests) requests_[row.id] = row;
  drained_ = snapshot.drained;
  AdoptLetters(snapshot.dead_letters);
}

void Supervisor::OnWelcome(const shim::Welcome& welcome) {
  welcome_ = welcome;
  const std::string theirs(reinterpret_cast<const char*>(welcome.store_id), sizeof(welcome.store_id));
  const std::string ours = journal_.store_id();
  if (theirs != std::string(sizeof(welcome.store_id), '\0') && ours.compare(0, theirs.size(), theirs) != 0) {
    Log(3, "the running tasks were started from another journal: an apply of the same names takes them over");
  }
  shim_->Send(shim::Type::kGetInventory, shim::GetInventory{});
}

void Supervisor::OnRunItem(ShimMessage& message) {
  const auto item = message.As<shim::RunItem>();
  if (message.fds.size() < 2) return;
  auto worker = std::make_unique<WorkerRec>();
  worker->id = item.id;
  worker->pid = item.pid;
  worker->slots.assign(item.slots, 0);
  const std::string label = CString(item.label, sizeof(item.label));
  absl::StatusOr<std::unique_ptr<control::HostControl>> control = control::HostControl::Adopt(std::move(message.fds[0]));
  if (!control.ok()) {
    Log(4, absl::StrCat("run of ", label, " can't be adopted: ", std::string(control.status().message()), "; it is ended"));
    return KillTree(*worker);
  }
  worker->control = *std::move(control);
  worker->control->CloseHostFd();
  worker->doorbell = std::move(message.fds[1]);
  if (message.fds.size() > 2 && item.state == shim::RunState::kLive) worker->pidfd = std::move(message.fds[2]);
  worker->ending = item.state != shim::RunState::kLive;
  worker->describes = absl::StartsWith(label, "describe ");
  for (const auto& [name, pipeline] : model_.pipelines) {
    if (pipeline->group.uid != item.id.key) continue;
    worker->group = true;
    worker->pipeline = name;
  }
  if (const TaskRec* task = model_.task(item.id.key)) worker->pipeline = task->row.pipeline;
  if (!worker->group && !worker->describes && worker->pipeline.empty()) unmanaged_[item.id.key] = label;
  model_.workers[item.id.key] = std::move(worker);
}

void Supervisor::OnInventoryEnd() {
  AdoptRuns();
  BecomeReady();
}

void Supervisor::AdoptRuns() {
  size_t adopted = 0;
  for (auto& [key, worker] : model_.workers) {
    for (uint32_t slot = 0; slot < worker->slots.size() && worker->control->connected(); ++slot) {
      const control::HostControl::SlotView view = worker->control->View(slot);
      TaskRec* task = model_.task(view.task);
      const bool theirs =
          worker->group ? task != nullptr && task->row.pipeline == worker->pipeline : view.task == key && view.run == worker->id.run;
      const bool present = view.state != control::SlotState::kFree && task != nullptr && task->worker == 0 && theirs;
      // A slot of a group keeps the end of its last task until the next one enters: that end is news only if no host has committed it.
      const bool news = view.state < control::SlotState::kCompleted || static_cast<int64_t>(view.run) > task->life.exit.run();
      if (!present || !news || static_cast<int64_t>(view.run) < task->life.run) continue;
      worker->slots[slot] = view.task;
      auto source = std::make_shared<v1::LogSource>();
      source->set_task(task->row.name);
      source->set_run(static_cast<int64_t>(view.run));
      worker->slot_sources[slot] = std::move(source);
      task->worker = key;
      task->slot = slot;
      task->ticket = view.ticket;
      task->start_sent = true;
      task->seen = control::SlotState::kFree;
      task->grown_seen = ~uint64_t{0};  // the inventory has them all
      task->life.run = static_cast<int64_t>(view.run);
      task->life.run_started = true;
      task->life.state = v1::TASK_STATE_STARTING;
      task->life.deadline = BootNanos() + task->policy.start_deadline_ns;
      ++adopted;
    }
    // What a young group was told to start is not known.
    if (worker->group && !worker->ending && !worker->control->connected()) KillTree(*worker);
    if (TaskRec* task = model_.task(key);
        task != nullptr && task->worker == 0 && !worker->group &&
        static_cast<int64_t>(worker->id.run) > task->life.exit.run()) {  // too young to have a W with its task in it
      worker->slots[0] = key;
      task->worker = key;
      task->life.run = static_cast<int64_t>(worker->id.run);
      EndUncounted(*task, *worker);
    }
    if (worker->describes) KillTree(*worker);
    if (!unmanaged_.contains(key)) continue;
    // Of our own journal, but no longer in it: it was deleted, and the order to end it did not arrive. Else it is left alone.
    const std::string theirs(reinterpret_cast<const char*>(welcome_.store_id), sizeof(welcome_.store_id));
    if (journal_.store_id().compare(0, theirs.size(), theirs) == 0) KillTree(*worker);
  }
  for (auto& [id, lane] : model_.lanes) {
    const TaskRec* publisher = model_.task(lane->publisher);
    const bool over = publisher == nullptr || publisher->worker == 0 || lane->epoch != static_cast<uint32_t>(publisher->life.run);
    lane->ended = over || Superseded(model_, *lane);
  }
  for (auto& [uid, task] : model_.tasks) {
    const bool lost = task->worker == 0 && task->life.run > task->life.exit.run() && task->life.run > 0;
    if (lost) {
      task->life.run_started = true;
      task->life.state = v1::TASK_STATE_STARTING;
    }
  }
  if (adopted > 0) {
    settle_at_ = BootNanos() + kSettleNs;
    Log(2, absl::StrCat("adopted ", adopted, " running tasks"));
  }
}

// A run that this host can't lead is ended by us; that is no fault of the task's.
void Supervisor::EndUncounted(TaskRec& task, WorkerRec& worker) {
  task.life.run_started = true;
  if (worker.ending) {
    task.life.state = v1::TASK_STATE_STARTING;  // it has ended by itself: that is judged
    return;
  }
  task.life.state = v1::TASK_STATE_STOPPING;
  task.life.why = Why::kSibling;
  task.life.stage = 2;
  KillTree(worker);
}

void Supervisor::BecomeReady() {
  serving_ = true;
  std::vector<uint64_t> uids;
  for (const auto& [uid, task] : model_.tasks) uids.push_back(uid);
  for (uint64_t uid : uids) {
    TaskRec& task = *model_.task(uid);
    if (task.worker == 0 && task.life.run_started) {
      Feed(task, Event::Kind::kAdoptedNothing, [](Event& event) { event.exit.set_cause(v1::EXIT_CAUSE_LOST); });
    }
    if (model_.task(uid) == nullptr) continue;
    const bool deleting = task.life.deleting;
    if (deleting) {
      Feed(task, Event::Kind::kDelete, [](Event& event) { event.run = 0; });
    } else if (!task.life.desired) {
      Feed(task, Event::Kind::kStop, [](Event& event) { event.run = 0; });
    }
    if (model_.task(uid) != nullptr) {
      ArmTimer(task);
      Show(task);
    }
  }
  std::vector<uint64_t> keys;
  for (const auto& [key, worker] : model_.workers) keys.push_back(key);
  for (uint64_t key : keys) {
    WorkerRec* worker = model_.worker(key);
    if (worker == nullptr) continue;
    WatchDoorbell(*worker);
    OnDoorbell(key);
  }
  for (const auto& [name, pipeline] : model_.pipelines) reconsider_.insert(name);
  std::vector<std::string> empty;
  for (const auto& [name, pipeline] : model_.pipelines) {
    if (model_.IsOver(*pipeline)) empty.push_back(name);
  }
  for (const std::string& name : empty) ForgetPipeline(name);
  collect_ = pipelines_changed_ = true;
  Log(2, absl::StrCat("ready: incarnation ", incarnation_, ", ", model_.tasks.size(), " tasks in ", model_.pipelines.size(), " pipelines"));
  TellHost(
      absl::StrCat("serves: incarnation ", incarnation_, ", ", model_.tasks.size(), " tasks in ", model_.pipelines.size(), " pipelines"));
  for (auto& work : std::exchange(when_ready_, {})) work();
}

// The page tags now show all that earlier hosts have connected; what is missing is connected.
void Supervisor::Settle() {
  settle_at_ = 0;
  for (auto& [uid, task] : model_.tasks) {
    auto page = model_.pages.find(task->page);
    if (task->worker == 0 || page == model_.pages.end()) continue;
    for (uint32_t slot = 0; slot < TaskPage::kSlots; ++slot) {
      const uint64_t tag = page->second->view.slot(slot).tag.load(std::memory_order_acquire);
      if (tag != 0 && model_.lanes.contains(tag)) task->page_slots[tag] = slot;
    }
    ConnectReader(*task);
  }
}

// ---- segments ------------------------------------------------------------------------------------------------------------------------

void Supervisor::OnSegment(ShimMessage& message, bool adopted) {
  const auto item = message.As<shim::SegmentItem>();
  if (message.fds.size() != 1) return;
  switch (item.kind) {
    case shim::SegmentKind::kControl:
      return OnControl(item, std::move(message.fds[0]));
    case shim::SegmentKind::kPage:
      return OnPage(item, std::move(message.fds[0]));
    case shim::SegmentKind::kLane:
      return OnLane(item, std::move(message.fds[0]), adopted);
  }
}

void Supervisor::OnControl(const shim::SegmentItem& item, UniqueFd fd) {
  WorkerRec* worker = model_.worker(item.owner.key);
  if (worker == nullptr || worker->id.run != item.owner.run || worker->control == nullptr) {
    if (!serving_) DropSegments({item.segment});  // runs come before segments: it is nobody's
    return;
  }
  worker->control_segment = item.segment;
  if (worker->control->connected()) return;  // told twice
  if (absl::Status connected = worker->control->ConnectWorker(std::move(fd)); !connected.ok()) return Quarantine(*worker, connected);
  // Where earlier hosts have got to; what a dead worker left in its pipes is numbered from there on.
  const uint64_t position = worker->control->host().log_position.load(std::memory_order_relaxed);
  if (position != 0) worker->last_sequence = position - 1;
  if (serving_) OnDoorbell(worker->id.key);
}

void Supervisor::OnPage(const shim::SegmentItem& item, UniqueFd fd) {
  TaskRec* task = model_.task(item.task);
  if (task == nullptr) return DropSegments({item.segment});
  absl::StatusOr<TaskPageView> view = TaskPageView::Open(std::move(fd));
  if (!view.ok()) {
    Log(4, absl::StrCat("task page of ", task->full_name, " is quarantined: ", std::string(view.status().message())));
    return DropSegments({item.segment});
  }
  auto newest = model_.pages.find(task->page);
  const bool newer = newest == model_.pages.end() || newest->second->task_run < item.task_run;
  auto page = std::make_unique<PageRec>();
  page->id = item.segment;
  page->task = item.task;
  page->task_run = item.task_run;
  page->view = *std::move(view);
  model_.pages[item.segment] = std::move(page);
  if (!newer) return;
  task->page = item.segment;
  if (item.task_run == static_cast<uint64_t>(task->life.run)) task->rejoins = false;  // from here on its own page says where it stands
  collect_ = true;
  if (serving_) ConnectReader(*task);
}

void Supervisor::OnLane(const shim::SegmentItem& item, UniqueFd fd, bool adopted) {
  auto lane = std::make_unique<LaneRec>();
  lane->id = item.segment;
  absl::StatusOr<Segment> segment = Segment::MapReadOnly(std::move(fd), Seals::kOneWriter, sizeof(RingHeader));
  absl::StatusOr<RingReader> ring =
      segment.ok() ? RingReader::Open(std::span<const std::byte>(segment->data(), segment->size())) : segment.status();
  const bool labelled = ParseLaneLabel(CString(item.label, sizeof(item.label)), *lane);
  if (!ring.ok() || !labelled || ring->constants().lane_id != item.segment || ring->constants().epoch != lane->epoch) {
    SeenLane(item.task, item.segment, labelled && lane->part > 0);
    DropSegments({item.segment});
    return RefuseLane(model_.task(item.task), static_cast<int64_t>(item.task_run),
                      ring.ok() ? "its label, id or epoch is not the granted one" : std::string(ring.status().message()));
  }
  (void)segment->TakeFd();
  lane->segment = std::make_shared<const Segment>(*std::move(segment));
  lane->ring = *std::move(ring);
  lane->since_ns = MonotonicNanos();
  lane->seen_tail = lane->ring.tail();
  LaneRec& added = *lane;
  TaskRec* publisher = model_.task(added.publisher);
  added.ended = publisher == nullptr || publisher->worker == 0 || added.epoch != static_cast<uint32_t>(publisher->life.run);
  added.ended = added.ended || Superseded(model_, added);
  model_.lanes[added.id] = std::move(lane);
  if (const std::string buffer = BufferOfLane(model_, added); !buffer.empty())
    taps_.Add(BufferName(publisher->row.pipeline, buffer), publisher->full_name, types_.RendererOf(publisher->spec.type(), added.port),
              added);
  if (adopted) return;
  EndEarlierParts(added);
  ConnectLane(added);
  TellWhoIsOut(added);
  SeenLane(item.task, added.id, added.part > 0);
}

// The doorbell may have told the end of a group's task before the shim told of its lanes: the end had to wait.
void Supervisor::SeenLane(uint64_t uid, uint64_t lane, bool grown) {
  TaskRec* task = model_.task(uid);
  if (task == nullptr) return;
  if (grown) ++task->grown_seen;
  const bool last = task->unseen.erase(lane) > 0 && task->unseen.empty();
  if (last || grown) loop_.Post([this, key = task->worker] { OnDoorbell(key); });
}

// ---- runs ----------------------------------------------------------------------------------------------------------------------------

void Supervisor::OnSpawnResult(ShimMessage& message) {
  const auto result = message.As<shim::SpawnResult>();
  WorkerRec* worker = model_.worker(result.id.key);
  if (worker == nullptr || worker->id.run != result.id.run) return;
  if (result.error == 0 && message.fds.size() == 2) {
    worker->pid = result.pid;
    worker->doorbell = std::move(message.fds[0]);
    worker->pidfd = std::move(message.fds[1]);
    WatchDoorbell(*worker);
    for (uint64_t uid : worker->slots) {
      if (TaskRec* task = model_.task(uid)) Show(*task);
    }
    return OnDoorbell(worker->id.key);
  }
  static constexpr const char* kSteps[] = {"",
                                           "refused",
                                           "making its pipes",
                                           "forking",
                                           "setting its limits",
                                           "entering its cgroup",
                                           "executing puma-worker",
                                           "entering its directory"};
  const uint32_t step = std::min<uint32_t>(static_cast<uint32_t>(result.step), std::size(kSteps) - 1);
  const std::string why = absl::StrCat("its process could not be started (", kSteps[step], "): ", strerror(result.error));
  std::unique_ptr<WorkerRec> gone = std::move(model_.workers[result.id.key]);
  model_.workers.erase(result.id.key);
  if (auto describing = describing_.find(result.id.key); describing != describing_.end()) {
    auto done = std::move(describing->second);
    describing_.erase(describing);
    done(absl::InternalError(why));
  }
  for (uint64_t uid : gone->slots) {
    if (TaskRec* task = model_.task(uid)) FailStart(*task, why);
  }
  for (uint64_t uid : gone->waiting) {
    if (TaskRec* task = model_.task(uid)) Launch(uid, task->life.run);
  }
  const PipelineRec* pipeline = model_.pipeline(gone->pipeline);
  if (pipeline != nullptr && model_.IsOver(*pipeline)) ForgetPipeline(gone->pipeline);
}

void Supervisor::OnWorkerFailed(const ShimMessage& message) {
  const auto failed = message.As<shim::WorkerFailed>();
  const std::string text = message.Text<shim::WorkerFailed>(failed.length);
  WorkerRec* worker = model_.worker(failed.id.key);
  if (worker == nullptr || worker->id.run != failed.id.run) return;
  Log(4, absl::StrCat("worker ", worker->id.key, " (pid ", worker->pid, "): ", text));
  const uint64_t uid = failed.slot < worker->slots.size() ? worker->slots[failed.slot] : 0;
  if (TaskRec* task = model_.task(uid)) {
    Feed(*task, Event::Kind::kFailed, [&](Event& event) {
      event.exit.set_cause(v1::EXIT_CAUSE_START_FAILED);
      event.exit.mutable_error()->set_code("INTERNAL");
      event.exit.mutable_error()->set_message(text);
      event.exit.set_summary(absl::StrCat("could not be started: ", text));
    });
  }
}

void Supervisor::FeedExit(TaskRec& task, const v1::RunExit& exit) {
  const auto message = MessageInHand(model_, task);
  Feed(task, Event::Kind::kExited, [&](Event& event) {
    event.exit = exit;
    if (message && !exit.suspect()) std::tie(event.poison_lane, event.poison_number) = *message;
  });
}

void Supervisor::OnExited(const shim::Exited& exited) {
  WorkerRec* worker = model_.worker(exited.id.key);
  if (worker == nullptr || worker->id.run != exited.id.run || !serving_) return;  // before that, TreeEmpty says it again
  worker->ending = true;
  worker->exited = exited;
  Drain(*worker, false);
  const std::vector<uint64_t> slots = worker->slots;
  for (uint64_t uid : slots) {
    TaskRec* task = model_.task(uid);
    if (task != nullptr) FeedExit(*task, ExitOf(*worker, *task, exited));
  }
}

void Supervisor::OnTreeEmpty(ShimMessage& message) {
  const shim::Exited exited = message.As<shim::TreeEmpty>().exit;
  WorkerRec* worker = model_.worker(exited.id.key);
  if (worker == nullptr || worker->id.run != exited.id.run) {
    if (serving_) return AckExit(exited);
    when_ready_.push_back([this, exited] {  // the inventory says it again, unless it is nobody's
      const WorkerRec* late = model_.worker(exited.id.key);
      if (late == nullptr || late->id.run != exited.id.run) AckExit(exited);
    });
    return;
  }
  worker->tree_empty = true;
  worker->exited = exited;
  if (message.fds.size() == 2) {
    worker->out = std::move(message.fds[0]);
    worker->err = std::move(message.fds[1]);
  }
  if (serving_) return WorkerIsOver(*worker);
  when_ready_.push_back([this, key = exited.id.key, run = exited.id.run] {
    WorkerRec* over = model_.worker(key);
    if (over != nullptr && over->id.run == run) WorkerIsOver(*over);
  });
}

v1::RunExit Supervisor::ExitOf(const WorkerRec& worker, const TaskRec& task, const shim::Exited& exited) const {
  v1::RunExit exit;
  const uint32_t culprit = worker.control->connected() ? worker.control->worker().culprit.slot_plus_one.load(std::memory_order_acquire) : 0;
  if (worker.group && (exited.killed_by_host != 0 || (culprit != 0 && culprit != task.slot + 1))) {
    exit.set_cause(v1::EXIT_CAUSE_SIBLING);
    const TaskRec* other = culprit != 0 && culprit <= worker.slots.size() ? model_.task(worker.slots[culprit - 1]) : nullptr;
    exit.set_summary(other == nullptr ? "its group worker was replaced" : absl::StrCat(other->row.name, " ended their group worker"));
    return exit;
  }
  exit.set_cause(exited.out_of_memory != 0 ? v1::EXIT_CAUSE_OUT_OF_MEMORY
                 : exited.signal != 0      ? v1::EXIT_CAUSE_SIGNAL
                                           : v1::EXIT_CAUSE_EXIT_CODE);
  exit.set_code(exited.code);
  exit.set_signal(exited.signal);
  exit.set_core_dumped(exited.core_dumped != 0);
  // Killed from outside, or ended by a call: the crash handler named nobody.
  exit.set_suspect(culprit == 0 && std::count_if(worker.slots.begin(), worker.slots.end(), [](uint64_t uid) { return uid != 0; }) > 1);
  return exit;
}

// Its process tree is gone: take what it left, tell its tasks, and acknowledge when all of that is durable.
void Supervisor::WorkerIsOver(WorkerRec& worker) {
  const uint64_t key = worker.id.key;
  const shim::Exited exited = *worker.exited;
  loop_.Unwatch(worker.doorbell.get());
  Drain(worker, true);
  const std::vector<uint64_t> slots = std::exchange(worker.slots, {});
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    TaskRec* task = model_.task(slots[slot]);
    if (task == nullptr || task->worker != key) continue;
    worker.slots = slots;
    const v1::RunExit exit = ExitOf(worker, *task, exited);
    worker.slots.clear();
    FeedExit(*task, exit);
    if (model_.task(slots[slot]) != nullptr) RunIsOver(*task);
  }
  if (auto describing = describing_.find(key); describing != describing_.end()) {
    auto done = std::move(describing->second);
    describing_.erase(describing);
    done(absl::UnavailableError(
        exited.signal != 0 ? absl::StrCat("loading it killed its process with signal ", exited.signal, " (", strsignal(exited.signal), ")")
                           : absl::StrCat("loading it ended its process with exit code ", exited.code)));
  }
  AfterCommit([this, key, exited](const absl::Status& committed) {
    if (!committed.ok()) return;
    intake_.Write({}, [this, key, exited] {
      loop_.Post([this, key, exited] {
        AckExit(exited);
        auto it = model_.workers.find(key);
        if (it == model_.workers.end() || it->second->id.run != exited.id.run) return;
        const std::unique_ptr<WorkerRec> gone = std::move(it->second);
        model_.workers.erase(it);
        if (gone->control_segment != 0) DropSegments({gone->control_segment});
        unmanaged_.erase(key);
        for (uint64_t uid : gone->waiting) {
          if (TaskRec* task = model_.task(uid)) Launch(uid, task->life.run);
        }
        PipelineRec* pipeline = model_.pipeline(gone->pipeline);
        if (pipeline != nullptr && model_.IsOver(*pipeline)) ForgetPipeline(gone->pipeline);
      });
    });
  });
}

void Supervisor::AckExit(const shim::Exited& exited) {
  shim::AckExit ack{};
  ack.id = exited.id;
  ack.exit_sequence = exited.exit_sequence;
  shim_->Send(shim::Type::kAckExit, ack);
}

}  // namespace puma::server
