#include "client/cli/wait.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

// What a task is, for who waited for something else.
std::string HowItIs(const v1::Task& task) {
  std::string how = absl::StrCat("task ", ShortName(task.name()), " is ", StateName(task.status().state()));
  if (task.status().has_last_exit() && !task.status().last_exit().summary().empty()) {
    absl::StrAppend(&how, ": ", task.status().last_exit().summary());
  } else if (!task.status().reason().empty()) {
    absl::StrAppend(&how, ": ", task.status().reason());
  }
  return how;
}

// Its tasks are gone; the pipeline itself follows.
absl::Status WaitUntilPipelineIsGone(Client& host, const std::string& name, absl::Time deadline) {
  v1::GetPipelineRequest request;
  request.set_name(name);
  for (;;) {
    const auto pipeline = host.GetPipeline(request);
    if (absl::IsNotFound(pipeline.status())) return absl::OkStatus();
    if (!pipeline.ok()) return pipeline.status();
    if (absl::Now() > deadline) return absl::DeadlineExceededError(absl::StrCat("pipeline ", ShortName(name), " is still there"));
    absl::SleepFor(absl::Milliseconds(50));
  }
}

}  // namespace

Awaited::Awaited(std::string name, std::string condition, Expected expected)
    : name_(std::move(name)), condition_(std::move(condition)), expected_(std::move(expected)) {}

bool Awaited::Concerns(const std::string& task) const { return task == name_ || absl::StartsWith(task, absl::StrCat(name_, "/tasks/")); }

void Awaited::Observe(const v1::TaskEvent& event) {
  if (event.has_task() && Concerns(event.task().name())) tasks_[event.task().name()] = event.task();
  if (event.event_case() == v1::TaskEvent::kDeleted) tasks_.erase(event.deleted());
  if (event.snapshot_complete()) snapshot_ = true;
}

Awaited::Verdict Awaited::VerdictOn(const v1::Task& task) const {
  if (const auto it = expected_.find(task.name()); it != expected_.end() && task.generation() < it->second) return Verdict::kNotYet;
  const v1::TaskState state = task.status().state();
  const bool succeeded = state == v1::TASK_STATE_SUCCEEDED;
  const bool failed = state == v1::TASK_STATE_FAILED;
  const bool stopped = state == v1::TASK_STATE_STOPPED;
  const bool asked_to_be_stopped = !expected_.empty() && task.spec().stopped();  // an apply that leaves it so
  bool yes = false, never = false;
  if (condition_ == "running") {
    yes = state == v1::TASK_STATE_RUNNING || succeeded || (stopped && asked_to_be_stopped);
    never = failed;
  } else if (condition_ == "succeeded") {
    yes = succeeded;
    never = failed || stopped;
  } else if (condition_ == "stopped") {
    yes = stopped || succeeded || failed;
  } else if (condition_ == "failed") {
    yes = failed;
    never = succeeded;
  }
  return yes ? Verdict::kYes : never ? Verdict::kNever : Verdict::kNotYet;
}

absl::StatusOr<bool> Awaited::Reached() const {
  if (!snapshot_) return false;
  if (condition_ == "deleted") return tasks_.empty();
  for (const auto& [name, generation] : expected_) {
    if (!tasks_.count(name)) return false;
  }
  if (tasks_.empty()) {
    if (!IsTask(name_))
      return absl::NotFoundError(
          absl::StrCat("pipeline ", ShortName(name_), " does not exist, or has no tasks; see: puma-ctl get pipelines"));
    return absl::NotFoundError(absl::StrCat("task ", ShortName(name_), " does not exist; see: puma-ctl get tasks"));
  }
  bool all = true;
  for (const auto& [name, task] : tasks_) {
    const Verdict verdict = VerdictOn(task);
    if (verdict == Verdict::kNever) return absl::FailedPreconditionError(HowItIs(task));
    all = all && verdict == Verdict::kYes;
  }
  return all;
}

std::string Awaited::Progress() const {
  const auto count =
      std::count_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) { return VerdictOn(entry.second) == Verdict::kYes; });
  std::string text = condition_ == "deleted" ? absl::StrCat(tasks_.size(), " tasks left")
                                             : absl::StrCat(count, " of ", std::max(tasks_.size(), expected_.size()), " ", condition_);
  for (const auto& [name, task] : tasks_) {
    if (condition_ != "deleted" && VerdictOn(task) == Verdict::kYes) continue;
    return absl::StrCat(text, "; ", HowItIs(task));
  }
  return text;
}

absl::Status WaitFor(Client& host, const Output& output, const std::string& name, const std::string& condition, const Expected& expected,
                     absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  Awaited awaited(name, condition, expected);
  v1::WatchTasksRequest request;
  request.set_parent(ParentOf(name));
  const auto watch = host.WatchTasks(request, {.deadline = deadline});
  for (;;) {
    const auto batch = watch->Next();
    if (absl::IsDeadlineExceeded(batch.status())) {
      return absl::DeadlineExceededError(absl::StrCat("not reached within ", For(timeout), ": ", awaited.Progress()));
    }
    if (!batch.ok()) return batch.status();
    if (!batch->has_value()) return absl::UnavailableError("the host has ended the watch; try again");
    for (const v1::TaskEvent& event : (*batch)->events()) awaited.Observe(event);
    const auto reached = awaited.Reached();
    if (!reached.ok()) return reached.status();
    if (*reached) break;
    output.Progress(Escape(awaited.Progress()));
  }
  output.Progress("");
  if (condition == "deleted" && !IsTask(name)) return WaitUntilPipelineIsGone(host, name, deadline);
  return absl::OkStatus();
}

ExitCode Wait(Session& session, const WaitArguments& arguments) {
  const auto name = TaskOrPipelineName(arguments.name);
  if (!name.ok()) return session.output.Error(name.status()), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return session.output.Error(host.status());
  const absl::Status status = WaitFor(**host, session.output, *name, arguments.condition, {}, arguments.timeout);
  return status.ok() ? kDone : session.output.Error(status);
}

}  // namespace puma::client
