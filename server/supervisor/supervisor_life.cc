// Events into the machines, and what follows from them: starting and ending runs.
#include <signal.h>

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
constexpr uint32_t kGroupSlots = 64;
constexpr size_t kMaxUndrainedEpochs = 3;

double Jitter() {
  static thread_local std::mt19937 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

shim::Limits LimitsOf(const v1::ResourceSpec& resources) {
  shim::Limits limits{};
  limits.address_space_bytes = resources.memory().bytes();
  limits.files = resources.files();
  limits.processes = resources.pids();
  limits.cpu_milli = static_cast<uint64_t>(resources.cpu() * 1000);
  return limits;
}

bool Terminal(v1::TaskState state) { return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED; }
}  // namespace

void Supervisor::Feed(TaskRec& task, Event::Kind kind, std::function<void(Event&)> fill) {
  Event event;
  event.kind = kind;
  event.now = BootNanos();
  event.run = task.life.run;
  event.jitter = Jitter();
  if (fill) fill(event);
  if (event.exit.cause() != v1::EXIT_CAUSE_UNSPECIFIED && !event.exit.has_time()) {
    const int64_t now = RealNanos();
    event.exit.mutable_time()->set_seconds(now / 1'000'000'000);
    event.exit.mutable_time()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  }
  const uint64_t uid = task.row.uid;
  for (const Action& action : Step(task.life, task.policy, event)) {
    if (model_.task(uid) == nullptr) return;
    Perform(task, action.kind);
  }
  if (model_.task(uid) == nullptr) return;
  ArmTimer(task);
  if (task.life.state == v1::TASK_STATE_PENDING) reconsider_.insert(task.row.pipeline);
}

void Supervisor::Perform(TaskRec& task, Action::Kind action) {
  const uint64_t uid = task.row.uid;
  switch (action) {
    case Action::Kind::kReserveAndSpawn: {
      const int64_t run = task.life.run;
      PutTask(task);
      AfterCommit([this, uid, run](const absl::Status& status) {
        if (status.ok()) Launch(uid, run);
      });
      return;
    }
    case Action::Kind::kSendStop:
      if (WorkerRec* worker = model_.worker(task.worker); worker != nullptr && task.start_sent) worker->control->SendStop(task.slot);
      return;
    case Action::Kind::kSignalTerm:
      if (!RunsInGroup(task)) Signal(task, SIGTERM);
      return;
    case Action::Kind::kSignalAbort:
      Signal(task, SIGABRT);
      return;
    case Action::Kind::kKillTree:
      KillRun(task);
      return;
    case Action::Kind::kCommitExit:
      PutTask(task);
      TellExit(task);
      return;
    case Action::Kind::kEndLanes:
      task.lanes_ended = true;
      PutTask(task);
      EndLanes(task);
      return;
    case Action::Kind::kRemove:
      std::erase_if(turn_.put_tasks, [&](const TaskRow& row) { return row.uid == uid; });  // a change deletes before it puts
      turn_.delete_tasks.push_back(uid);
      turn_dirty_ = true;
      TaskGone(uid);
      return;
    case Action::Kind::kWakeDependants:
      reconsider_.insert(task.row.pipeline);
      return;
    case Action::Kind::kStrategy:
      Strategy(task);
      return;
    case Action::Kind::kChanged:
      Show(task);
      pipelines_changed_ = true;
      return;
  }
}

void Supervisor::Strategy(TaskRec& failed) {
  const PipelineRec& pipeline = *model_.pipeline(failed.row.pipeline);
  if (pipeline.spec.strategy() != v1::STRATEGY_ONE_FOR_ALL && pipeline.spec.strategy() != v1::STRATEGY_REST_FOR_ONE) return;
  std::set<uint64_t> affected;
  if (pipeline.spec.strategy() == v1::STRATEGY_ONE_FOR_ALL) {
    for (const auto& [name, uid] : pipeline.tasks) affected.insert(uid);
  } else {
    std::vector<uint64_t> todo{failed.row.uid};
    while (!todo.empty()) {
      const TaskRec* from = model_.task(todo.back());
      todo.pop_back();
      for (const auto& [port, buffer] : from->spec.outputs()) {
        for (const Port& reader : ReadersOf(model_, pipeline, buffer)) {
          if (affected.insert(reader.task->row.uid).second) todo.push_back(reader.task->row.uid);
        }
      }
    }
  }
  affected.erase(failed.row.uid);
  for (uint64_t uid : affected) {
    Feed(*model_.task(uid), Event::Kind::kStrategy, [&](Event& event) {
      event.run = 0;
      event.reason = absl::StrCat("restarted with ", failed.row.name, ": ", failed.life.exit.summary());
    });
  }
}

// ---- starting ------------------------------------------------------------------------------------------------------------------------

std::string Supervisor::WaitsFor(const TaskRec& task) const {
  if (drained_) return kDrained;
  const PipelineRec& pipeline = *model_.pipeline(task.row.pipeline);
  for (const auto& [name, condition] : task.spec.depends_on()) {
    for (const auto& [local, uid] : pipeline.tasks) {
      const TaskRec& other = *model_.task(uid);
      if (other.row.base != name) continue;
      const v1::TaskState state = other.life.state;
      const bool met = state == v1::TASK_STATE_SUCCEEDED || (condition != v1::CONDITION_SUCCEEDED && state == v1::TASK_STATE_RUNNING);
      if (!met) return absl::StrCat("waits for ", local, " to be ", condition == v1::CONDITION_SUCCEEDED ? "SUCCEEDED" : "RUNNING");
    }
  }
  if (UndrainedEpochs(task) >= kMaxUndrainedEpochs)
    return "LANES_NOT_DRAINED: waits for its readers to take what its earlier runs published";
  return "";
}

void Supervisor::Reconsider(const std::string& name) {
  PipelineRec* pipeline = model_.pipeline(name);
  if (!serving_ || shutting_down_ || pipeline == nullptr) return;
  const std::map<std::string, uint64_t> tasks = pipeline->tasks;  // events may remove some
  for (const auto& [local, uid] : tasks) {
    TaskRec* task = model_.task(uid);
    if (task == nullptr || task->life.state != v1::TASK_STATE_PENDING || !task->life.desired || task->life.deleting) continue;
    const std::string waits = WaitsFor(*task);
    if (waits.empty()) {
      Feed(*task, Event::Kind::kRunnable, [](Event& event) { event.run = 0; });
    } else if (task->life.reason != waits) {
      Feed(*task, Event::Kind::kNotRunnable, [&](Event& event) {
        event.run = 0;
        event.reason = waits;
      });
    }
  }
  EndIdleGroup(name);
}

void Supervisor::Launch(uint64_t uid, int64_t run) {
  TaskRec* task = model_.task(uid);
  if (task == nullptr || task->life.run != run || !task->life.run_started || task->worker != 0) return;
  if (task->life.state != v1::TASK_STATE_STARTING) {  // stopped before anything was there to be stopped
    Feed(*task, Event::Kind::kTreeEmpty);
    return;
  }
  if (!IsThread(*task)) {
    if (WorkerRec* last = model_.worker(uid)) {  // its last run has not been acknowledged yet
      last->waiting.push_back(uid);
      return;
    }
  }
  task->lanes_ended = false;
  if (std::exchange(task->gates_removed, false)) task->rejoins = true;
  const std::string module = task->spec.type().substr(0, task->spec.type().find('.'));
  absl::StatusOr<std::string> path = modules_.Find(module);
  if (!path.ok()) return FailStart(*task, std::string(path.status().message()));
  if (IsThread(*task)) return LaunchInGroup(*task, *path);
  std::map<std::string, std::string> params;
  if (task->spec.type() == kExecType) {
    absl::StatusOr<Command> command = options_.commands.CommandOf(task->spec);
    if (!command.ok()) return FailStart(*task, std::string(command.status().message()));
    params = HostParams(*command);
  }
  const shim::RunId id{uid, static_cast<uint64_t>(run), NewId()};
  absl::StatusOr<WorkerRec*> worker =
      SpawnWorker(id, 1, task->row.name, absl::StrCat("task ", task->full_name), LimitsOf(task->spec.resources()));
  if (!worker.ok()) return FailStart(*task, std::string(worker.status().message()));
  (*worker)->pipeline = task->row.pipeline;
  StartOn(**worker, *task, 0, *path, params);
}

void Supervisor::FailStart(TaskRec& task, const std::string& why) {
  const uint64_t uid = task.row.uid;
  task.worker = 0;
  Feed(task, Event::Kind::kSpawnError, [&](Event& event) {
    event.exit.set_cause(v1::EXIT_CAUSE_START_FAILED);
    event.exit.mutable_error()->set_message(why);
    event.exit.set_summary(absl::StrCat("could not be started: ", why));
  });
  if (model_.task(uid) == nullptr || !Terminal(task.life.state)) return;
  task.gates_removed = true;  // it will not read: nobody waits for it
  if (!task.spec.inputs().empty()) LogFor(task, 9, "its subscriptions have left: publishers wait for it no more");
  GateDown(task);
}

void Supervisor::LaunchInGroup(TaskRec& task, const std::string& module) {
  PipelineRec& pipeline = *model_.pipeline(task.row.pipeline);
  WorkerRec* group = pipeline.group.uid == 0 ? nullptr : model_.worker(pipeline.group.uid);
  if (group != nullptr && (group->ending || group->control == nullptr)) {
    group->waiting.push_back(task.row.uid);  // its successor takes it, or it takes it when it is there
    return;
  }
  if (group != nullptr) {
    for (uint32_t slot = 0; slot < group->slots.size(); ++slot) {
      if (group->slots[slot] == 0) return StartOn(*group, task, slot, module);
    }
    return FailStart(task, absl::StrCat("the group worker of pipeline ", pipeline.row.name, " holds ", group->slots.size(),
                                        " thread tasks already; use placement: process"));
  }
  if (pipeline.group.uid == 0) {
    absl::StatusOr<uint64_t> uid = journal_.NewUid();
    if (!uid.ok()) return FailStart(task, std::string(uid.status().message()));
    pipeline.group = {*uid, pipeline.row.name, 0};
  }
  ++pipeline.group.run;
  turn_.put_groups.push_back(pipeline.group);
  turn_dirty_ = true;
  auto record = std::make_unique<WorkerRec>();
  record->id = {pipeline.group.uid, static_cast<uint64_t>(pipeline.group.run), 0};
  record->pipeline = pipeline.row.name;
  record->group = true;
  record->waiting.push_back(task.row.uid);
  const uint64_t key = record->id.key;
  model_.workers[key] = std::move(record);
  AfterCommit([this, key](const absl::Status& status) {
    if (status.ok()) SpawnGroup(key);
  });
}

void Supervisor::SpawnGroup(uint64_t key) {
  std::unique_ptr<WorkerRec> placeholder = std::move(model_.workers[key]);
  model_.workers.erase(key);
  shim::RunId id = placeholder->id;
  id.ticket = NewId();
  absl::StatusOr<WorkerRec*> group =
      SpawnWorker(id, kGroupSlots, placeholder->pipeline, absl::StrCat("group ", PipelineName(placeholder->pipeline)), {});
  if (group.ok()) {
    (*group)->pipeline = placeholder->pipeline;
    (*group)->group = true;
  }
  for (uint64_t uid : placeholder->waiting) {
    TaskRec* task = model_.task(uid);
    if (task == nullptr) continue;
    if (group.ok()) {
      Launch(uid, task->life.run);
    } else {
      FailStart(*task, std::string(group.status().message()));
    }
  }
}

absl::StatusOr<WorkerRec*> Supervisor::SpawnWorker(shim::RunId id, uint32_t slots, const std::string& name, const std::string& label,
                                                   const shim::Limits& limits) {
  absl::StatusOr<std::unique_ptr<control::HostControl>> control = control::HostControl::Create(slots);
  if (!control.ok()) return control.status();
  auto record = std::make_unique<WorkerRec>();
  WorkerRec& worker = *record;
  worker.id = id;
  worker.slots.assign(slots, 0);
  worker.control_segment = NewId();
  worker.control = *std::move(control);
  model_.workers[id.key] = std::move(record);
  shim::Spawn spawn{};
  spawn.id = id;
  spawn.limits = limits;
  spawn.slots = slots;
  spawn.control_segment = worker.control_segment;
  std::snprintf(spawn.name, sizeof(spawn.name), "%.15s", name.c_str());
  std::snprintf(spawn.label, sizeof(spawn.label), "%s", label.c_str());
  const int fd = worker.control->host_fd();
  shim_->Send(shim::Type::kSpawn, spawn, {}, std::span(&fd, 1));
  worker.control->CloseHostFd();
  return &worker;
}

void Supervisor::StartOn(WorkerRec& worker, TaskRec& task, uint32_t slot, const std::string& module,
                         const std::map<std::string, std::string>& params) {
  worker.slots[slot] = task.row.uid;
  auto source = std::make_shared<v1::LogSource>();
  source->set_task(task.row.name);
  source->set_run(task.life.run);
  worker.slot_sources[slot] = std::move(source);
  task.worker = worker.id.key;
  task.slot = slot;
  task.ticket = NewId();
  task.seen = control::SlotState::kFree;
  struct Launch launch = PlanLaunch(model_, task, module, !worker.group, [this] { return NewId(); });
  for (const auto& [name, value] : params) launch.spec.params[name] = value;
  worker.control->ResetSlot(slot, launch.spec.log_level);
  absl::StatusOr<UniqueFd> memfd = control::ToMemfd(launch.spec);
  if (!memfd.ok()) {
    worker.slots[slot] = 0;
    if (!worker.group) KillTree(worker);
    return FailStart(task, std::string(memfd.status().message()));
  }
  shim::StartTask start{};
  start.id = worker.id;
  start.slot = slot;
  start.grant_count = static_cast<uint32_t>(launch.grants.size());
  start.task = task.row.uid;
  start.task_run = static_cast<uint64_t>(task.life.run);
  const int fd = memfd->get();
  shim_->Send(shim::Type::kStartTask, start, std::as_bytes(std::span(launch.grants)), std::span(&fd, 1));
  task.start_sent = true;
  task.unseen.clear();
  task.grown_seen = 0;
  for (const control::OutputSpec& output : launch.spec.outputs) {
    for (const control::LaneSpec& lane : output.lanes) task.unseen.insert(lane.lane);
  }
}

// ---- ending --------------------------------------------------------------------------------------------------------------------------

void Supervisor::Signal(TaskRec& task, int signal) {
  WorkerRec* worker = model_.worker(task.worker);
  if (worker == nullptr) return;
  shim::Signal message{};
  message.id = worker->id;
  message.signal = signal;
  shim_->Send(shim::Type::kSignal, message);
}

void Supervisor::KillRun(TaskRec& task) {
  if (RunsInGroup(task) && task.seen >= control::SlotState::kCompleted)
    return;  // its thread has ended; only a stuck one takes its group along
  if (WorkerRec* worker = model_.worker(task.worker)) return KillTree(*worker);
  const uint64_t uid = task.row.uid;
  AfterCommit([this, uid, run = task.life.run](const absl::Status&) {  // nothing was started that could be killed
    TaskRec* ended = model_.task(uid);
    if (ended != nullptr && ended->life.run == run && ended->worker == 0) Feed(*ended, Event::Kind::kTreeEmpty);
  });
}

void Supervisor::KillTree(WorkerRec& worker) {
  worker.ending = true;
  shim_->Send(shim::Type::kKillTree, shim::KillTree{worker.id});
}

// What a run held is let go of: its lanes are ended ones from now on, nobody waits for its commands.
void Supervisor::RunIsOver(TaskRec& task) {
  const uint64_t uid = task.row.uid;
  for (auto& [id, lane] : model_.lanes) {
    if (lane->publisher == uid && lane->epoch <= static_cast<uint32_t>(task.life.run)) lane->ended = true;
  }
  invocations_.RunEnded(uid, task.life.run);
  task.worker = 0;
  task.start_sent = false;
  task.connected.clear();
  task.paged.clear();
  collect_ = true;
  for (auto& [id, lane] : model_.lanes) {  // who waited for an answer of this run gets the lane as it is
    if (lane->publisher == uid) ConnectLane(*lane);
  }
  Feed(task, Event::Kind::kTreeEmpty, [&](Event& event) { event.run = task.life.run; });
  if (model_.task(uid) == nullptr) return;  // it was deleted
  JudgeDelivery(task);
  if (Terminal(task.life.state) && !std::exchange(task.gates_removed, true) && !task.spec.inputs().empty())
    LogFor(task, 9, "its subscriptions have left: publishers wait for it no more");
  GateDown(task);
}

void Supervisor::ForgetPipeline(const std::string& name) {
  PipelineRec* pipeline = model_.pipeline(name);
  std::erase_if(turn_.put_pipelines, [&](const PipelineRow& row) { return row.name == name; });
  turn_.delete_pipelines.push_back(name);
  if (pipeline->group.uid != 0) turn_.delete_groups.push_back(pipeline->group.uid);
  turn_dirty_ = pipelines_changed_ = true;
  ForgetLetters(name);
  model_.pipelines.erase(name);
}

bool Supervisor::RunsInGroup(const TaskRec& task) const {
  const WorkerRec* worker = model_.worker(task.worker);
  return worker != nullptr && worker->group;
}

void Supervisor::TaskGone(uint64_t uid) {
  TaskRec& task = *model_.task(uid);
  feed_.Remove(task.full_name);
  waiters_.Gone(task.full_name);
  TellGone(task);
  PipelineRec& pipeline = *model_.pipeline(task.row.pipeline);
  const std::string name = pipeline.row.name;
  task.gates_removed = true;
  GateDown(task);
  RememberWhoLeft(task, nullptr);
  std::vector<uint64_t> segments;
  for (const auto& [id, lane] : model_.lanes) {
    if (lane->publisher == uid) segments.push_back(id);
  }
  for (const auto& [id, page] : model_.pages) {
    if (page->task == uid) segments.push_back(id);
  }
  DropSegments(segments);
  if (auto it = pipeline.tasks.find(task.row.name); it != pipeline.tasks.end() && it->second == uid) pipeline.tasks.erase(it);
  if (auto armed = armed_.find(uid); armed != armed_.end()) {
    task.life.deadline = 0;
    ArmTimer(task);
  }
  model_.tasks.erase(uid);
  pipelines_changed_ = true;
  EndIdleGroup(name);
  if (model_.IsOver(pipeline)) ForgetPipeline(name);
}

// A group worker without tasks, present or to come, is ended: stopped means that nothing is left.
void Supervisor::EndIdleGroup(const std::string& name) {
  PipelineRec* pipeline = model_.pipeline(name);
  WorkerRec* group = pipeline == nullptr || pipeline->group.uid == 0 ? nullptr : model_.worker(pipeline->group.uid);
  if (group == nullptr || group->ending || group->control == nullptr) return;
  for (uint64_t uid : group->slots) {
    if (uid != 0) return;
  }
  for (const auto& [local, uid] : pipeline->tasks) {
    const TaskRec& task = *model_.task(uid);
    const v1::TaskState state = task.life.state;
    const bool soon = state == v1::TASK_STATE_PENDING || state == v1::TASK_STATE_BACKOFF;
    const bool comes = state == v1::TASK_STATE_STARTING || (soon && !drained_);
    if (IsThread(task) && comes && !task.life.deleting) return;
  }
  KillTree(*group);
}

}  // namespace puma::server
