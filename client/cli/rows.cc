#include "client/cli/rows.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/names.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

constexpr char kNothing[] = "–";

// The sum over the ports of one direction; a dash where there are none.
std::string RateOf(const v1::TaskStatus& status, bool output) {
  double rate = 0;
  bool any = false;
  for (const v1::PortStatus& port : status.ports()) {
    if (port.output() != output) continue;
    any = true;
    rate += port.rate();
  }
  return any ? Rate(rate) : kNothing;
}

std::string LastExit(const v1::TaskStatus& status, absl::Time now) {
  if (!status.has_last_exit()) return kNothing;
  const v1::RunExit& exit = status.last_exit();
  return IsSet(exit.time()) ? absl::StrCat(exit.summary(), " ", Ago(exit.time(), now)) : exit.summary();
}

template <class Items, class NameOf>
std::string JoinNames(const Items& items, NameOf name_of) {
  if (items.empty()) return kNothing;
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(name_of(item));
  return absl::StrJoin(names, ",");
}

}  // namespace

std::string StateName(v1::TaskState state) { return Without("TASK_STATE_", v1::TaskState_Name(state)); }

Table::Colour StateColour(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_RUNNING:
    case v1::TASK_STATE_SUCCEEDED:
      return Table::Colour::kGreen;
    case v1::TASK_STATE_FAILED:
      return Table::Colour::kRed;
    case v1::TASK_STATE_STOPPED:
      return Table::Colour::kDim;
    default:
      return Table::Colour::kYellow;
  }
}

std::string PlacementOf(const v1::Task& task) {
  const bool thread = task.spec().placement() == v1::PLACEMENT_THREAD;
  if (task.status().pid() == 0) return thread ? "thread" : "process";
  return absl::StrCat(thread ? "group " : "pid ", task.status().pid());
}

std::string OnFullName(v1::OnFull on_full) {
  return on_full == v1::ON_FULL_UNSPECIFIED ? "block" : absl::AsciiStrToLower(Without("ON_FULL_", v1::OnFull_Name(on_full)));
}

Table TaskTable(const Repeated<v1::Task>& tasks, bool wide, absl::Time now) {
  std::vector<std::string> titles = {"TASK", "STATE", "RUN", "RESTARTS", "PLACEMENT", ">IN/s", ">OUT/s", "LAST EXIT"};
  if (wide) titles.insert(titles.end(), {"TYPE", "SINCE", "REASON"});
  Table table(titles);
  for (const v1::Task& task : tasks) {
    const v1::TaskStatus& status = task.status();
    std::vector<Table::Cell> row = {ShortName(task.name()),     {StateName(status.state()), StateColour(status.state())},
                                    absl::StrCat(status.run()), absl::StrCat(status.restarts()),
                                    PlacementOf(task),          RateOf(status, false),
                                    RateOf(status, true),       LastExit(status, now)};
    if (wide) {
      row.insert(row.end(), {task.spec().type(), IsSet(status.since()) ? Ago(status.since(), now) : kNothing,
                             status.reason().empty() ? kNothing : status.reason()});
    }
    table.Add(std::move(row));
  }
  return table;
}

Table PipelineTable(const Repeated<v1::Pipeline>& pipelines, bool wide, absl::Time now) {
  std::vector<std::string> titles = {"PIPELINE", "READY", "FAILED", "BUFFERS", "GENERATION", "CREATED"};
  if (wide) titles.insert(titles.end(), {"UPDATED", "UID"});
  Table table(titles);
  for (const v1::Pipeline& pipeline : pipelines) {
    const auto colour = pipeline.failed_count() > 0                      ? Table::Colour::kRed
                        : pipeline.ready_count() < pipeline.task_count() ? Table::Colour::kYellow
                                                                         : Table::Colour::kGreen;
    std::vector<Table::Cell> row = {absl::StrCat(ShortName(pipeline.name()), pipeline.deleting() ? " (deleting)" : ""),
                                    {absl::StrCat(pipeline.ready_count(), "/", pipeline.task_count()), colour},
                                    absl::StrCat(pipeline.failed_count()),
                                    absl::StrCat(pipeline.spec().buffers_size()),
                                    absl::StrCat(pipeline.generation()),
                                    IsSet(pipeline.create_time()) ? Ago(pipeline.create_time(), now) : kNothing};
    if (wide) row.insert(row.end(), {IsSet(pipeline.update_time()) ? Ago(pipeline.update_time(), now) : kNothing, pipeline.uid()});
    table.Add(std::move(row));
  }
  return table;
}

Table TypeTable(const Repeated<v1::RunnableType>& types, bool wide) {
  std::vector<std::string> titles = {"TYPE", "INPUTS", "OUTPUTS", "COMMANDS"};
  if (wide) titles.push_back("PARAMETERS");
  Table table(titles);
  const auto name = [](const auto& item) { return item.name(); };
  for (const v1::RunnableType& type : types) {
    std::vector<Table::Cell> row = {ShortName(type.name()), JoinNames(type.inputs(), name), JoinNames(type.outputs(), name),
                                    JoinNames(type.commands(), name)};
    if (wide) row.push_back(JoinNames(type.parameters(), name));
    table.Add(std::move(row));
  }
  return table;
}

Table DeadLetterTable(const Repeated<v1::DeadLetter>& letters, bool wide, absl::Time now) {
  std::vector<std::string> titles = {"TASK", "BUFFER", "PUBLISHER", "MESSAGE", "DELIVERIES", "BYTES", "WHEN", "CAUSE"};
  if (wide) titles.insert(titles.begin() + 4, {"EPOCH", "REPLICA", "PART"});
  Table table(titles);
  for (const v1::DeadLetter& letter : letters) {
    std::vector<Table::Cell> row = {ShortName(letter.task()),      ShortName(letter.buffer()),        ShortName(letter.publisher()),
                                    absl::StrCat(letter.number()), absl::StrCat(letter.deliveries()), Bytes(letter.payload_bytes()),
                                    Ago(letter.time(), now),       letter.cause().summary()};
    if (wide) {
      row.insert(row.begin() + 4, {absl::StrCat(letter.epoch()), absl::StrCat(letter.replica()), absl::StrCat(letter.part())});
    }
    table.Add(std::move(row));
  }
  return table;
}

Table ChangeTable(const Repeated<v1::PlannedChange>& changes) {
  Table table({"CHANGE", "NAME", "WHY"});
  for (const v1::PlannedChange& change : changes) {
    const std::string action = absl::AsciiStrToLower(Without("ACTION_", v1::PlannedChange::Action_Name(change.action())));
    const std::string name = ShortName(change.name());
    table.Add({action, name, change.reason().empty() ? kNothing : change.reason()});
  }
  return table;
}

}  // namespace puma::client
