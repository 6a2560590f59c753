#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

// Lines of "Name:  value", indented by level.
class Page {
 public:
  void Line(int level, const std::string& name, const std::string& value) {
    const std::string indent(2 * level, ' ');
    const std::string label = absl::StrCat(indent, Escape(name), ":");
    absl::StrAppend(&text_, label, std::string(std::max<int>(1, 18 - static_cast<int>(Width(label))), ' '),
                    EscapeLines(value, std::string(18, ' ')), "\n");
  }
  void LineIf(int level, const std::string& name, const std::string& value) {
    if (!value.empty()) Line(level, name, value);
  }
  void Title(int level, const std::string& title) { absl::StrAppend(&text_, std::string(2 * level, ' '), Escape(title), ":\n"); }
  void Raw(int level, const std::string& text) {
    absl::StrAppend(&text_, std::string(2 * level, ' '), EscapeLines(text, std::string(2 * level + 2, ' ')), "\n");
  }
  void Append(const Table& table, bool colours) { text_ += table.Print(colours); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string Time(const google::protobuf::Timestamp& time, absl::Time now) {
  if (!IsSet(time)) return "";
  return absl::StrCat(absl::FormatTime("%Y-%m-%d %H:%M:%S", ToTime(time), absl::LocalTimeZone()), " (", Ago(time, now), ")");
}

std::string FrameText(int index, const v1::StackFrame& frame) {
  std::string text = absl::StrFormat("#%-2d %s", index, frame.function().empty() ? "??" : frame.function());
  if (!frame.file().empty()) return absl::StrCat(text, " at ", frame.file(), ":", frame.line());
  if (!frame.module().empty()) absl::StrAppendFormat(&text, " in %s+0x%x", frame.module(), frame.offset());
  return text;
}

void DescribeError(Page& page, int level, const v1::RunError& error) {
  page.LineIf(level, "Code", error.code());
  page.LineIf(level, "Message", error.message());
  for (int i = 0; i < error.types_size(); ++i) page.Line(level, i == 0 ? "Type" : "  derived from", error.types(i));
  for (int i = 0; i < error.path_size(); ++i) page.Line(level, i == 0 ? "Failed in" : "  then in", error.path(i));
  if (error.stack_size() > 0) page.Title(level, "Stack");
  for (int i = 0; i < error.stack_size(); ++i) page.Raw(level + 1, FrameText(i, error.stack(i)));
  for (const v1::RunError& cause : error.causes()) {
    page.Title(level, "Caused by");
    DescribeError(page, level + 1, cause);
  }
}

void DescribeExit(Page& page, const v1::RunExit& exit, absl::Time now) {
  page.Title(0, "Last exit");
  page.LineIf(1, "Summary", exit.summary());
  page.Line(1, "Cause", Without("EXIT_CAUSE_", v1::ExitCause_Name(exit.cause())));
  page.Line(1, "Run", absl::StrCat(exit.run()));
  page.LineIf(1, "Time", Time(exit.time(), now));
  if (exit.cause() == v1::EXIT_CAUSE_EXIT_CODE) page.Line(1, "Exit code", absl::StrCat(exit.code()));
  if (exit.signal() != 0) page.Line(1, "Signal", absl::StrCat(exit.signal(), exit.core_dumped() ? " (core dumped)" : ""));
  if (exit.suspect()) page.Line(1, "Suspect", "one of several tasks of its process; what it had in hand does not count as delivered");
  if (!exit.has_error()) return;
  page.Title(1, "Error");
  DescribeError(page, 2, exit.error());
}

void DescribePorts(Page& page, const v1::TaskStatus& status, bool colours) {
  if (status.ports().empty()) return;
  Table table({"PORT", "DIRECTION", "BUFFER", ">MESSAGES", ">WAITING", ">RATE/s"});
  for (const v1::PortStatus& port : status.ports()) {
    table.Add({port.port(), port.output() ? "out" : "in", port.buffer(), absl::StrCat(port.messages()), absl::StrCat(port.waiting()),
               Rate(port.rate())});
  }
  page.Title(0, "Ports");
  page.Append(table, colours);
}

void DescribeTaskSpec(Page& page, const v1::TaskSpec& spec) {
  std::vector<std::pair<std::string, google::protobuf::Value>> params(spec.params().begin(), spec.params().end());
  std::sort(params.begin(), params.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (!params.empty()) page.Title(0, "Parameters");
  for (const auto& [name, value] : params) page.Line(1, name, JsonText(value));
  if (!spec.depends_on().empty()) page.Title(0, "Depends on");
  for (const auto& [name, condition] : std::map<std::string, v1::Condition>(spec.depends_on().begin(), spec.depends_on().end())) {
    page.Line(
        1, name,
        condition == v1::CONDITION_UNSPECIFIED ? "running" : absl::AsciiStrToLower(Without("CONDITION_", v1::Condition_Name(condition))));
  }
}

std::string DescribeTask(const v1::Task& task, bool colours, absl::Time now) {
  Page page;
  const v1::TaskStatus& status = task.status();
  page.Line(0, "Task", ShortName(task.name()));
  page.Line(0, "Type", task.spec().type());
  page.Line(0, "State", StateName(status.state()));
  page.LineIf(0, "Reason", status.reason());
  page.LineIf(0, "Since", Time(status.since(), now));
  page.Line(0, "Wanted", status.desired_running() ? "running" : "stopped");
  page.Line(0, "Run", absl::StrCat(status.run()));
  page.Line(0, "Restarts", absl::StrCat(status.restarts()));
  page.Line(0, "Placement", PlacementOf(task));
  page.LineIf(0, "Group", status.group());
  if (status.has_busy()) page.Line(0, "Busy for", Duration(status.busy()));
  page.LineIf(0, "Next start", Time(status.next_start(), now));
  page.Line(0, "Generation", absl::StrCat(task.generation()));
  page.LineIf(0, "UID", task.uid());
  DescribeTaskSpec(page, task.spec());
  if (status.has_last_exit()) DescribeExit(page, status.last_exit(), now);
  DescribePorts(page, status, colours);
  return page.text();
}

std::string DescribePipeline(const v1::Pipeline& pipeline, const v1::ListTasksResponse& tasks, const v1::ListBuffersResponse& buffers,
                             bool colours, absl::Time now) {
  Page page;
  page.Line(0, "Pipeline", ShortName(pipeline.name()));
  if (pipeline.deleting()) page.Line(0, "Deleting", "waits for its tasks to end");
  page.Line(0, "Ready", absl::StrCat(pipeline.ready_count(), "/", pipeline.task_count()));
  page.Line(0, "Failed", absl::StrCat(pipeline.failed_count()));
  page.Line(0, "Generation", absl::StrCat(pipeline.generation()));
  page.LineIf(0, "Created", Time(pipeline.create_time(), now));
  page.LineIf(0, "Updated", Time(pipeline.update_time(), now));
  page.LineIf(0, "UID", pipeline.uid());
  const auto strategy = pipeline.spec().strategy();
  page.Line(
      0, "Strategy",
      strategy == v1::STRATEGY_UNSPECIFIED ? "one_for_one" : absl::AsciiStrToLower(Without("STRATEGY_", v1::Strategy_Name(strategy))));
  for (const std::string& module : pipeline.spec().modules()) page.Line(0, "Module", module);
  if (tasks.tasks_size() > 0) page.Title(0, "Tasks");
  if (tasks.tasks_size() > 0) page.Append(TaskTable(tasks.tasks(), false, now), colours);
  if (buffers.buffers_size() > 0) page.Title(0, "Buffers");
  if (buffers.buffers_size() > 0) page.Append(BufferTable(buffers.buffers(), false), colours);
  return page.text();
}

std::string DescribeBuffer(const v1::Buffer& buffer, bool colours, absl::Time now) {
  Page page;
  page.Line(0, "Buffer", ShortName(buffer.name()));
  if (buffer.spec().has_capacity()) page.Line(0, "Capacity", absl::StrCat(Bytes(buffer.spec().capacity().bytes()), " in each lane"));
  if (buffer.spec().capacity_items() > 0)
    page.Line(0, "Messages", absl::StrCat("at most ", buffer.spec().capacity_items(), " in each lane"));
  page.Line(0, "On full", OnFullName(buffer.spec().on_full()));
  if (buffer.spec().wake() == v1::WAKE_STREAM) page.Line(0, "Wake", "stream");
  if (const v1::BufferTotals& totals = buffer.totals(); totals.published() > 0) {
    page.Line(0, "Published", absl::StrCat(totals.published(), ", at most ", totals.high_water(), " waiting in a lane"));
    if (totals.dropped() > 0) page.Line(0, "Dropped", absl::StrCat(totals.dropped()));
    if (totals.blocked_times() > 0) {
      page.Line(0, "Blocked", absl::StrCat(BlockedShare(totals), " of the time, ", totals.blocked_times(), " times"));
    }
  }
  const auto append = [&](const char* title, const Table& table) {
    if (table.empty()) return;
    page.Title(0, title);
    page.Append(table, colours);
  };
  append("Lanes", LaneTable(buffer, now));
  for (const v1::LaneStatus& lane : buffer.lanes()) {
    if (lane.quarantined().empty()) continue;
    page.Line(0, "Quarantined", absl::StrCat(ShortName(lane.publisher()), ", epoch ", lane.epoch(), ": ", lane.quarantined()));
  }
  append("Subscriptions", SubscriptionTable(buffer));
  if (buffer.lanes_size() > 1) append("Lags", LagTable(buffer));
  return page.text();
}

std::string Signature(const v1::CommandInfo& command) {
  std::string text = command.name() + "(";
  for (int i = 0; i < command.arguments_size(); ++i) {
    absl::StrAppend(&text, i ? ", " : "", command.arguments(i).name(), ": ", command.arguments(i).type());
  }
  return absl::StrCat(text, ")", command.result().empty() ? "" : " -> " + command.result());
}

// " {x: double, frame: char[8]}" of a struct that names its fields, " (puma.v1.Task)" of a protobuf message.
std::string FieldsOf(const v1::PayloadSchema& schema) {
  if (schema.has_protobuf()) return absl::StrCat(" (", schema.protobuf().message(), ")");
  if (!schema.has_structure()) return "";
  std::vector<std::string> fields;
  for (const v1::FieldSchema& field : schema.structure().fields())
    fields.push_back(absl::StrCat(field.name(), ": ", field.type(), field.has_count() ? absl::StrCat("[", field.count(), "]") : ""));
  return absl::StrCat(" {", absl::StrJoin(fields, ", "), "}");
}

std::string DescribeType(const v1::RunnableType& type) {
  Page page;
  page.Line(0, "Type", ShortName(type.name()));
  page.Line(0, "Module", type.module());
  if (type.parameters_size() > 0) page.Title(0, "Parameters");
  for (const v1::ParameterInfo& parameter : type.parameters()) {
    page.Line(
        1, parameter.name(),
        absl::StrCat(parameter.type(), parameter.has_default_value() ? ", default " + JsonText(parameter.default_value()) : ", required",
                     parameter.help().empty() ? "" : "; ", parameter.help()));
  }
  const auto ports = [&](const char* title, const auto& list) {
    if (!list.empty()) page.Title(0, title);
    for (const v1::PortInfo& port : list) {
      page.Line(1, port.name(),
                absl::StrCat(port.type(), FieldsOf(port.schema()), port.optional() ? ", optional" : "", port.help().empty() ? "" : "; ",
                             port.help()));
    }
  };
  ports("Inputs", type.inputs());
  ports("Outputs", type.outputs());
  if (type.commands_size() > 0) page.Title(0, "Commands");
  for (const v1::CommandInfo& command : type.commands())
    page.Raw(1, absl::StrCat(Signature(command), command.help().empty() ? "" : "  " + command.help()));
  return page.text();
}

absl::StatusOr<std::string> DescribeOne(Client& host, const GetArguments& arguments, bool colours) {
  const absl::Time now = absl::Now();
  if (absl::StartsWith(arguments.kind, "task")) {
    v1::GetTaskRequest request;
    request.set_name(*TaskName(arguments.name));
    const auto task = host.GetTask(request);
    return task.ok() ? absl::StatusOr<std::string>(DescribeTask(task->task(), colours, now)) : task.status();
  }
  if (absl::StartsWith(arguments.kind, "buffer")) {
    v1::GetBufferRequest request;
    request.set_name(*BufferName(arguments.name));
    const auto buffer = host.GetBuffer(request);
    return buffer.ok() ? absl::StatusOr<std::string>(DescribeBuffer(buffer->buffer(), colours, now)) : buffer.status();
  }
  v1::GetPipelineRequest request;
  request.set_name(*PipelineName(arguments.name));
  const auto pipeline = host.GetPipeline(request);
  if (!pipeline.ok()) return pipeline.status();
  const auto tasks = AllTasks(host, request.name());
  if (!tasks.ok()) return tasks.status();
  const auto buffers = AllBuffers(host, request.name());
  if (!buffers.ok()) return buffers.status();
  return DescribePipeline(pipeline->pipeline(), *tasks, *buffers, colours, now);
}

ExitCode DescribeHost(const Output& output, Client& client) {
  const auto answer = client.GetHost();
  if (!answer.ok()) return output.Error(answer.status());
  if (output.json()) return output.Json(answer->host()), kDone;
  const v1::Host& host = answer->host();
  Page page;
  page.Line(0, "Version", host.version());
  page.Line(0, "Process", absl::StrCat(host.pid(), ", shim ", host.shim_pid()));
  page.Line(0, "Started", Time(host.start_time(), absl::Now()));
  page.Line(0, "Incarnation", absl::StrCat(host.incarnation()));
  page.Line(0, "Tasks",
            absl::StrCat(host.task_count(), " in ", host.pipeline_count(), " pipelines, ", host.running_count(), " run",
                         host.drained() ? "; drained: none is started until puma-ctl drain --undo" : ""));
  page.Line(0, "Isolation", absl::StrJoin(host.isolation(), ", "));
  page.Line(0, "State", host.state_directory());
  page.Line(0, "Log", host.log_file());
  page.Line(0, "Modules", absl::StrJoin(host.module_directories(), ", "));
  page.Line(0, "Machine", absl::StrCat(host.cpu_count(), " processors, ", Bytes(host.memory_bytes())));
  return output.Data(page.text()), kDone;
}

ExitCode DescribeTypeOf(const Output& output, Client& host, const std::string& typed) {
  const std::string wanted = absl::StartsWith(typed, "types/") ? typed.substr(6) : typed;
  v1::ListTypesRequest request;
  request.set_module(wanted.substr(0, wanted.find('.')));
  const auto types = host.ListTypes(request);
  if (!types.ok()) return output.Error(types.status());
  for (const v1::RunnableType& type : types->types()) {
    if (ShortName(type.name()) == wanted) return output.Data(DescribeType(type)), kDone;
  }
  for (const v1::BrokenModule& broken : types->broken()) {
    output.Words(absl::StrCat("module ", Escape(broken.module()), " can't be used: ", EscapeLines(broken.reason(), "  ")));
  }
  return output.Error(absl::NotFoundError(absl::StrCat("there is no type ", Escape(wanted), "; see: puma-ctl get types")));
}

absl::Status CheckName(const GetArguments& arguments) {
  if (absl::StartsWith(arguments.kind, "task")) return TaskName(arguments.name).status();
  if (absl::StartsWith(arguments.kind, "buffer")) return BufferName(arguments.name).status();
  if (absl::StartsWith(arguments.kind, "pipeline")) return PipelineName(arguments.name).status();
  return absl::OkStatus();
}

}  // namespace

ExitCode Describe(Session& session, const GetArguments& arguments) {
  if (arguments.kind == "host") {
    const auto host = session.Host();
    return host.ok() ? DescribeHost(session.output, **host) : session.output.Error(host.status());
  }
  if (session.output.json()) return Get(session, arguments);  // JSON is whole anyway
  if (absl::Status status = CheckName(arguments); !status.ok()) return session.output.Error(status), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return session.output.Error(host.status());
  if (absl::StartsWith(arguments.kind, "type")) return DescribeTypeOf(session.output, **host, arguments.name);
  const auto text = DescribeOne(**host, arguments, session.output.colours());
  if (!text.ok()) return session.output.Error(text.status());
  session.output.Data(*text);
  return kDone;
}

}  // namespace puma::client
