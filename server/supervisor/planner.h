#ifndef PUMA_SERVER_SUPERVISOR_PLANNER_H_
#define PUMA_SERVER_SUPERVISOR_PLANNER_H_
// What an apply changes: two specs in, changes by task out. Pure.
#include <map>
#include <string>
#include <vector>

#include "puma/v1/services.pb.h"

namespace puma::server {

struct PlannedTask {
  std::string base;  // the spec's name
  int32_t replica = 0;
};
// The tasks that a spec asks for, replicas spread out: "detector.0" and so on.
std::map<std::string, PlannedTask> TasksOf(const v1::PipelineSpec& spec);

// By task name, then by buffer name; both with full resource names. ACTION_NONE is listed too.
std::vector<v1::PlannedChange> PlanChanges(const v1::PipelineSpec& before, const v1::PipelineSpec& after);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_PLANNER_H_
