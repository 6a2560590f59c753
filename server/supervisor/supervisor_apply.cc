// A spec becomes tasks: what is wrong with it, what it changes, and the change.
#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/config/check_spec.h"
#include "server/config/error_details.h"
#include "server/supervisor/planner.h"
#include "server/supervisor/supervisor.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
std::string RandomHex() {
  std::random_device random;
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8));
}
}  // namespace

void Supervisor::CheckApply(const v1::PipelineSpec& asked, const std::string& etag, Checked done) {
  v1::PipelineSpec spec;
  if (absl::Status checked = CheckSpec(asked, &spec); !checked.ok()) return done(checked);
  const std::vector<std::string> modules(spec.modules().begin(), spec.modules().end());
  DescribeModules(modules, [this, spec, etag, done = std::move(done)] {
    const absl::Status checked = CheckDescribed(spec, etag);
    done(checked.ok() ? absl::StatusOr<v1::PipelineSpec>(spec) : checked);
  });
}

// Its modules have been described by now.
absl::Status Supervisor::CheckDescribed(const v1::PipelineSpec& spec, const std::string& etag) {
  FieldViolations violations;
  std::map<std::string, v1::RunnableType> types;
  for (int i = 0; i < spec.modules_size(); ++i) {
    absl::StatusOr<std::vector<v1::RunnableType>> described = types_.TypesOf(spec.modules(i));
    if (described.ok()) {
      for (const v1::RunnableType& type : *described) types[std::string(absl::StripPrefix(type.name(), "types/"))] = type;
    } else {
      violations.Add(absl::StrCat("modules[", i, "]"),
                     absl::StrCat("module ", spec.modules(i), ": ", std::string(described.status().message())));
    }
  }
  if (!violations.empty()) return violations.ToStatus(absl::StrCat("pipeline ", spec.pipeline()));
  if (absl::Status checked = CheckTypes(spec, types, options_.commands); !checked.ok()) return checked;
  const PipelineRec* pipeline = model_.pipeline(spec.pipeline());
  if (!etag.empty() && etag != (pipeline == nullptr ? "" : EtagOf(pipeline->row)))
    return absl::AbortedError(absl::StrCat("pipeline ", spec.pipeline(), " has changed since its etag was read; read it again"));
  const auto being_deleted = [](const std::string& what) {
    return WithRetryInfo(absl::FailedPreconditionError(absl::StrCat(what, " is being deleted; apply again when it is gone")),
                         absl::Milliseconds(500));
  };
  if (pipeline != nullptr && pipeline->row.deleting) return being_deleted("pipeline " + spec.pipeline());
  for (const auto& [name, planned] : TasksOf(spec)) {
    const TaskRec* old = model_.FindTask(TaskName(spec.pipeline(), name));
    if (old != nullptr && old->row.deleting) return being_deleted("task " + old->full_name);
  }
  return absl::OkStatus();
}

std::vector<v1::PlannedChange> Supervisor::PlanOf(const v1::PipelineSpec& spec) const {
  const PipelineRec* pipeline = model_.pipeline(spec.pipeline());
  return PlanChanges(pipeline == nullptr ? v1::PipelineSpec() : pipeline->spec, spec);
}

v1::ApplyPipelineResponse Supervisor::CommitApply(const v1::PipelineSpec& spec) {
  PipelineRec* pipeline = model_.pipeline(spec.pipeline());
  const int64_t now = RealNanos();
  if (pipeline == nullptr) {
    auto created = std::make_unique<PipelineRec>();
    created->row.name = spec.pipeline();
    created->row.uid = RandomHex();
    created->row.generation = 0;
    created->row.create_unix_ns = now;
    pipeline = created.get();
    model_.pipelines[spec.pipeline()] = std::move(created);
    TakeOverGroup(*pipeline);
  }
  v1::ApplyPipelineResponse response;
  const std::vector<v1::PlannedChange> changes = PlanChanges(pipeline->spec, spec);
  const bool any = pipeline->row.generation == 0 || std::any_of(changes.begin(), changes.end(), [](const auto& change) {
                     return change.action() != v1::PlannedChange::ACTION_NONE;
                   });
  if (any) {
    ++pipeline->row.generation;
    pipeline->row.update_unix_ns = now;
  }
  pipeline->spec = spec;
  pipeline->row.spec = spec.SerializeAsString();
  turn_.put_pipelines.push_back(pipeline->row);
  turn_dirty_ = true;
  const std::map<std::string, PlannedTask> planned = TasksOf(spec);
  for (const v1::PlannedChange& change : changes) {
    *response.add_changes() = change;
    const std::string prefix = PipelineName(spec.pipeline()) + "/tasks/";
    if (!absl::StartsWith(change.name(), prefix)) continue;
    const std::string local = change.name().substr(prefix.size());
    if (change.action() == v1::PlannedChange::ACTION_CREATE) {
      AddTask(*pipeline, planned.at(local).base, local, planned.at(local).replica);
    } else if (change.action() == v1::PlannedChange::ACTION_DELETE) {
      DeleteTask(*model_.FindTask(change.name()));
    } else {
      ChangeTask(*pipeline, *model_.FindTask(change.name()), change.action());
    }
  }
  reconsider_.insert(spec.pipeline());
  ShowPipelines();
  *response.mutable_pipeline() = *GetPipeline(PipelineName(spec.pipeline()));
  return response;
}

// A group worker that another journal's host left running is ended before this pipeline's own may start.
void Supervisor::TakeOverGroup(PipelineRec& pipeline) {
  for (auto it = unmanaged_.begin(); it != unmanaged_.end(); ++it) {
    if (it->second != absl::StrCat("group ", PipelineName(pipeline.row.name))) continue;
    WorkerRec& group = *model_.worker(it->first);
    group.group = true;
    group.pipeline = pipeline.row.name;
    pipeline.group = {group.id.key, pipeline.row.name, static_cast<int64_t>(group.id.run)};
    turn_.put_groups.push_back(pipeline.group);
    KillTree(group);
    unmanaged_.erase(it);
    return;
  }
}

uint64_t Supervisor::AddTask(PipelineRec& pipeline, const std::string& base, const std::string& name, int32_t replica) {
  auto task = std::make_unique<TaskRec>();
  task->full_name = TaskName(pipeline.row.name, name);
  task->spec = pipeline.spec.tasks().at(base);
  task->policy = PolicyOf(task->spec);
  task->row.pipeline = pipeline.row.name;
  task->row.name = name;
  task->row.base = base;
  task->row.replica = replica;
  task->row.generation = pipeline.row.generation;
  // A run that another journal's host left running is this task's now: it is ended first, so that there are never two.
  for (const auto& [key, label] : unmanaged_) {
    if (label != absl::StrCat("task ", task->full_name)) continue;
    WorkerRec& worker = *model_.worker(key);
    task->row.uid = key;
    task->life.run = static_cast<int64_t>(worker.id.run);
    task->worker = key;
    worker.slots.assign(1, key);
    EndUncounted(*task, worker);
    break;
  }
  unmanaged_.erase(task->row.uid);
  if (task->row.uid == 0) {
    absl::StatusOr<uint64_t> uid = journal_.NewUid();
    task->row.uid = uid.ok() ? *uid : NewId();
  }
  const uint64_t uid = task->row.uid;
  TaskRec& added = *task;
  model_.tasks[uid] = std::move(task);
  pipeline.tasks[name] = uid;
  if (added.spec.stopped()) Feed(added, Event::Kind::kStop, [](Event& event) { event.run = 0; });
  PutTask(added);
  Show(added);
  return uid;
}

void Supervisor::ChangeTask(PipelineRec& pipeline, TaskRec& task, v1::PlannedChange::Action action) {
  if (action == v1::PlannedChange::ACTION_NONE) return;
  RememberWhoLeft(task, &pipeline.spec.tasks().at(task.row.base));
  const v1::LogLevel level_before = task.spec.log_level();
  task.spec = pipeline.spec.tasks().at(task.row.base);
  task.policy = PolicyOf(task.spec);
  if (task.spec.log_level() != level_before) task.life.log_level = v1::LOG_LEVEL_UNSPECIFIED;
  if (action == v1::PlannedChange::ACTION_UPDATE) task.row.generation = pipeline.row.generation;
  Feed(task, Event::Kind::kSpecChanged, [](Event& event) { event.run = 0; });
  task.rewired = true;
  if (task.worker == 0) GateDown(task);  // else when its run is over: until then it reads in place
  task.lanes_ended = task.life.state == v1::TASK_STATE_SUCCEEDED || task.life.state == v1::TASK_STATE_FAILED;
  PutTask(task);
  Show(task);
}

}  // namespace puma::server
