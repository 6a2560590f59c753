#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"
#include "client/lib/spec_scalar.h"

namespace puma::client {
namespace {

// The tasks that are meant: one, or all of a pipeline.
absl::StatusOr<std::vector<std::string>> TasksMeant(Client& host, const std::string& name) {
  if (IsTask(name)) return std::vector<std::string>{name};
  v1::GetPipelineRequest pipeline;
  pipeline.set_name(name);
  if (const auto found = host.GetPipeline(pipeline); !found.ok()) return found.status();
  const auto tasks = AllTasks(host, name);
  if (!tasks.ok()) return tasks.status();
  std::vector<std::string> names;
  for (const v1::Task& task : tasks->tasks()) names.push_back(task.name());
  return names;
}

template <class Request, class Response>
ExitCode ChangeTasks(Session& session, const std::string& typed,
                     absl::StatusOr<Response> (Client::*change)(const Request&, const CallOptions&)) {
  const Output& output = session.output;
  const auto name = TaskOrPipelineName(typed);
  if (!name.ok()) return output.Error(name.status()), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto tasks = TasksMeant(**host, *name);
  if (!tasks.ok()) return output.Error(tasks.status());
  ExitCode code = kDone;
  for (const std::string& task : *tasks) {
    Request request;
    request.set_name(task);
    const auto changed = ((*host)->*change)(request, CallOptions());
    if (!changed.ok()) {
      code = output.Error(changed.status());
    } else if (output.json()) {
      output.JsonLine(changed->task());
    } else {
      output.Words(absl::StrCat(ShortName(task), ": ", StateName(changed->task().status().state())));
    }
  }
  return code;
}

}  // namespace

absl::StatusOr<std::pair<std::string, google::protobuf::Value>> ParseArgument(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", Escape(text), "\" is not NAME=VALUE, as threshold=0.4"));
  }
  const std::string word = text.substr(equals + 1);
  std::pair<std::string, google::protobuf::Value> argument{text.substr(0, equals), {}};
  argument.second.set_string_value(word);
  if (word.empty() || word == "~") return argument;
  if (absl::StrContains("[{\"", word.substr(0, 1))) {
    google::protobuf::Value parsed;
    if (google::protobuf::util::JsonStringToMessage(word, &parsed).ok()) argument.second = std::move(parsed);
    return argument;
  }
  auto value = ParseValue(word);
  if (!value.ok()) return value.status();
  argument.second = *std::move(value);
  return argument;
}

ExitCode StartTasks(Session& session, const std::string& name) { return ChangeTasks(session, name, &Client::StartTask); }
ExitCode StopTasks(Session& session, const std::string& name) { return ChangeTasks(session, name, &Client::StopTask); }
ExitCode RestartTasks(Session& session, const std::string& name) { return ChangeTasks(session, name, &Client::RestartTask); }

ExitCode Delete(Session& session, const std::vector<std::string>& words) {
  const Output& output = session.output;
  const auto name = TaskOrPipelineName(words.back());
  if (!name.ok()) return output.Error(name.status()), kUsage;
  const std::string kind = IsTask(*name) ? "task" : "pipeline";
  if (words.size() == 2 && words[0] != kind && words[0] != kind + "s") {
    return output.Error(absl::InvalidArgumentError(absl::StrCat("\"", Escape(words.back()), "\" is a ", kind, ", no ", Escape(words[0]),
                                                                "; pipelines and tasks can be deleted"))),
           kUsage;
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto remove = [&](auto request, auto method) {
    request.set_name(*name);
    const auto deleted = ((**host).*method)(request, CallOptions());
    if (deleted.ok() && output.json()) output.Json(*deleted);
    return deleted.status();
  };
  const absl::Status status =
      IsTask(*name) ? remove(v1::DeleteTaskRequest(), &Client::DeleteTask) : remove(v1::DeletePipelineRequest(), &Client::DeletePipeline);
  if (!status.ok()) return output.Error(status);
  output.Words(absl::StrCat(kind, " ", ShortName(*name), IsTask(*name) ? ": it is being stopped" : ": its tasks are being stopped",
                            ", then it is gone"));
  return kDone;
}

ExitCode Drain(Session& session, const DrainArguments& arguments) {
  const Output& output = session.output;
  const auto connected = session.Host();
  if (!connected.ok()) return output.Error(connected.status());
  Client& host = **connected;
  v1::DrainHostRequest request;
  request.set_undo(arguments.undo);
  const auto drained = host.DrainHost(request);
  if (!drained.ok()) return output.Error(drained.status());
  v1::Host now = drained->host();
  const absl::Time deadline = absl::Now() + arguments.timeout;
  while (arguments.wait && now.drained() && now.running_count() > 0) {
    if (absl::Now() > deadline)
      return output.Error(
          absl::DeadlineExceededError(absl::StrCat(now.running_count(), " tasks still run after ", For(arguments.timeout))));
    output.Progress(absl::StrCat(now.running_count(), " tasks still run"));
    absl::SleepFor(absl::Milliseconds(50));
    const auto again = host.GetHost();
    if (!again.ok()) return output.Error(again.status());
    now = again->host();
  }
  output.Progress("");
  if (output.json()) return output.Json(now), kDone;
  output.Words(arguments.undo ? "runs are started again"
                              : absl::StrCat("the host is drained: ", now.running_count(),
                                             " tasks still run, none is started until: puma-ctl drain --undo"));
  return kDone;
}

ExitCode CallCommand(Session& session, const CallArguments& arguments) {
  const Output& output = session.output;
  const auto name = TaskName(arguments.task);
  if (!name.ok()) return output.Error(name.status()), kUsage;
  v1::InvokeCommandRequest request;
  request.set_name(*name);
  request.set_command(arguments.command);
  for (const std::string& text : arguments.values) {
    auto argument = ParseArgument(text);
    if (!argument.ok()) return output.Error(argument.status()), kUsage;
    if (request.arguments().contains(argument->first)) {
      return output.Error(absl::InvalidArgumentError(absl::StrCat("argument ", Escape(argument->first), " is given twice"))), kUsage;
    }
    (*request.mutable_arguments())[argument->first] = std::move(argument->second);
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto answer = (*host)->InvokeCommand(request, {.deadline = absl::Now() + arguments.timeout});
  if (!answer.ok()) return output.Error(answer.status());
  if (output.json()) {
    output.Json(*answer);
  } else if (answer->has_result() && answer->result().kind_case() != google::protobuf::Value::kNullValue) {
    output.Data(absl::StrCat(Escape(JsonText(answer->result())), "\n"));
  }
  return kDone;
}

}  // namespace puma::client
