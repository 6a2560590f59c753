#include "server/supervisor/planner.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/supervisor/model.h"
#include "server/supervisor/wiring.h"

namespace puma::server {
namespace {
using google::protobuf::util::MessageDifferencer;
using Change = v1::PlannedChange;

Change Make(std::string name, Change::Action action, std::string reason) {
  Change change;
  change.set_name(std::move(name));
  change.set_action(action);
  change.set_reason(std::move(reason));
  return change;
}

// The fields that differ, by name.
std::string Differences(const v1::TaskSpec& before, const v1::TaskSpec& after) {
  std::string names;
  const auto* descriptor = v1::TaskSpec::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    v1::TaskSpec one = before, other = after;
    for (int j = 0; j < descriptor->field_count(); ++j) {
      if (i == j) continue;
      one.GetReflection()->ClearField(&one, descriptor->field(j));
      other.GetReflection()->ClearField(&other, descriptor->field(j));
    }
    if (!MessageDifferencer::Equals(one, other)) absl::StrAppend(&names, names.empty() ? "" : ", ", descriptor->field(i)->name());
  }
  return names;
}

Change PlanTask(const v1::PipelineSpec& before, const v1::PipelineSpec& after, const std::string& local, const PlannedTask* old_task,
                const PlannedTask* new_task) {
  const std::string name = TaskName(after.pipeline(), local);
  if (old_task == nullptr) return Make(name, Change::ACTION_CREATE, "");
  if (new_task == nullptr) return Make(name, Change::ACTION_DELETE, "");
  const v1::TaskSpec& old_spec = before.tasks().at(old_task->base);
  const v1::TaskSpec& new_spec = after.tasks().at(new_task->base);
  if (const std::string fields = Differences(old_spec, new_spec); !fields.empty())
    return Make(name, Change::ACTION_UPDATE, absl::StrCat("changed: ", fields));
  if (WiringSignature(before, old_task->base) != WiringSignature(after, new_task->base))
    return Make(name, Change::ACTION_RESTART, "its wiring changes");
  return Make(name, Change::ACTION_NONE, "");
}
}  // namespace

std::map<std::string, PlannedTask> TasksOf(const v1::PipelineSpec& spec) {
  std::map<std::string, PlannedTask> tasks;
  for (const auto& [base, task] : spec.tasks()) {
    if (task.replicas() <= 1) tasks[base] = {base, 0};
    for (uint32_t i = 0; task.replicas() > 1 && i < task.replicas(); ++i)
      tasks[absl::StrCat(base, ".", i)] = {base, static_cast<int32_t>(i)};
  }
  return tasks;
}

std::vector<Change> PlanChanges(const v1::PipelineSpec& before, const v1::PipelineSpec& after) {
  const std::map<std::string, PlannedTask> old_tasks = TasksOf(before), new_tasks = TasksOf(after);
  std::set<std::string> names;
  for (const auto& [name, task] : old_tasks) names.insert(name);
  for (const auto& [name, task] : new_tasks) names.insert(name);
  std::vector<Change> changes;
  for (const std::string& name : names) {
    auto was = old_tasks.find(name), is = new_tasks.find(name);
    changes.push_back(
        PlanTask(before, after, name, was == old_tasks.end() ? nullptr : &was->second, is == new_tasks.end() ? nullptr : &is->second));
  }
  std::set<std::string> buffers;
  for (const auto& [name, buffer] : before.buffers()) buffers.insert(name);
  for (const auto& [name, buffer] : after.buffers()) buffers.insert(name);
  for (const std::string& buffer : buffers) {
    const std::string name = absl::StrCat(PipelineName(after.pipeline()), "/buffers/", buffer);
    auto was = before.buffers().find(buffer), is = after.buffers().find(buffer);
    const bool same = was != before.buffers().end() && is != after.buffers().end() && MessageDifferencer::Equals(was->second, is->second);
    const Change::Action action = was == before.buffers().end() ? Change::ACTION_CREATE
                                  : is == after.buffers().end() ? Change::ACTION_DELETE
                                  : same                        ? Change::ACTION_NONE
                                                                : Change::ACTION_UPDATE;
    changes.push_back(Make(name, action, ""));
  }
  return changes;
}

}  // namespace puma::server
