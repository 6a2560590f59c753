#include "client/cli/apply.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"
#include "client/cli/wait.h"
#include "puma/client/details.h"

namespace puma::client {
namespace {

std::string Count(int count, const char* noun) { return absl::StrCat(count, " ", noun, count == 1 ? "" : "s"); }

// "2 created, 1 restarted"
std::string SummaryOf(const Repeated<v1::PlannedChange>& changes) {
  int created = 0, updated = 0, deleted = 0, restarted = 0;
  for (const v1::PlannedChange& change : changes) {
    created += change.action() == v1::PlannedChange::ACTION_CREATE;
    updated += change.action() == v1::PlannedChange::ACTION_UPDATE;
    deleted += change.action() == v1::PlannedChange::ACTION_DELETE;
    restarted += change.action() == v1::PlannedChange::ACTION_RESTART;
  }
  std::vector<std::string> parts;
  if (created) parts.push_back(absl::StrCat(created, " created"));
  if (updated) parts.push_back(absl::StrCat(updated, " updated"));
  if (restarted) parts.push_back(absl::StrCat(restarted, " restarted"));
  if (deleted) parts.push_back(absl::StrCat(deleted, " deleted"));
  return parts.empty() ? "unchanged" : absl::StrJoin(parts, ", ");
}

int TasksOf(const v1::PipelineSpec& spec) {
  int count = 0;
  for (const auto& [name, task] : spec.tasks()) count += static_cast<int>(std::max(1u, task.replicas()));
  return count;
}

// The tasks of the spec, and from which generation on their state is that of this apply.
Expected ExpectedOf(const v1::ApplyPipelineResponse& applied) {
  Expected expected;
  const v1::Pipeline& pipeline = applied.pipeline();
  for (const auto& [name, task] : pipeline.spec().tasks()) {
    const std::string full = absl::StrCat(pipeline.name(), "/tasks/", name);
    if (task.replicas() <= 1) expected[full] = 0;
    for (uint32_t i = 0; task.replicas() > 1 && i < task.replicas(); ++i) expected[absl::StrCat(full, ".", i)] = 0;
  }
  for (const v1::PlannedChange& change : applied.changes()) {
    const bool is_new = change.action() == v1::PlannedChange::ACTION_CREATE || change.action() == v1::PlannedChange::ACTION_UPDATE;
    const auto it = expected.find(change.name());
    if (is_new && it != expected.end()) it->second = pipeline.generation();
  }
  return expected;
}

ExitCode ShowPlan(const Output& output, const v1::ApplyPipelineResponse& plan) {
  if (output.json()) {
    output.Json(plan);
  } else if (plan.changes().empty()) {
    output.Words("nothing would change");
  } else {
    output.Data(ChangeTable(plan.changes()).Print(output.colours()));
  }
  return kDone;
}

}  // namespace

ExitCode Refused(const Output& output, const SpecFile& file, const absl::Status& status) {
  const auto violations = FieldViolations(status);
  if (violations.empty()) return output.Error(status);
  for (const FieldViolation& violation : violations) output.Words(EscapeLines(file.Explain(violation.field, violation.description), "  "));
  return kUsage;
}

ExitCode Apply(Session& session, const ApplyArguments& arguments) {
  const Output& output = session.output;
  const absl::Time start = absl::Now();
  const auto file = SpecFile::Read(arguments.file);
  if (!file.ok()) return output.Words(EscapeLines(std::string(file.status().message()), "")), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());

  v1::ApplyPipelineRequest request;
  *request.mutable_spec() = file->spec();
  request.set_validate_only(arguments.validate_only);
  const auto applied = (*host)->ApplyPipeline(request);
  if (!applied.ok()) return Refused(output, *file, applied.status());
  if (arguments.validate_only) return ShowPlan(output, *applied);

  const v1::PipelineSpec& spec = applied->pipeline().has_spec() ? applied->pipeline().spec() : file->spec();
  const std::string what =
      absl::StrCat("pipeline ", Escape(spec.pipeline()), ": ", Count(TasksOf(spec), "task"), ", ", Count(spec.buffers_size(), "buffer"));
  std::string became = SummaryOf(applied->changes());
  if (arguments.wait) {
    const absl::Status status = WaitFor(**host, output, applied->pipeline().name(), "running", ExpectedOf(*applied), arguments.timeout);
    if (!status.ok()) return output.Error(status);
    became = absl::StrFormat("running in %s", For(absl::Now() - start));
  }
  if (output.json()) {
    output.Json(*applied);
  } else if (output.format() == Format::kName) {
    output.Data(absl::StrCat(applied->pipeline().name(), "\n"));
  } else {
    output.Data(absl::StrFormat("%-55s  %s\n", what, became));
  }
  return kDone;
}

}  // namespace puma::client
