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

ExitCode DeletePipeline(Session& session, const std::vector<std::string>& words) {
  const Output& output = session.output;
  const std::string& typed = words.back();
  if (words.size() == 2 && words[0] != "pipeline" && words[0] != "pipelines") {
    return output.Error(absl::InvalidArgumentError(absl::StrCat("only pipelines can be deleted, not \"", Escape(words[0]), "\""))), kUsage;
  }
  const auto name = PipelineName(typed);
  if (!name.ok()) {
    const bool task = TaskName(typed).ok();
    return output.Error(task
                            ? absl::InvalidArgumentError("tasks are deleted by applying a spec without them; only pipelines can be deleted")
                            : name.status()),
           kUsage;
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  v1::DeletePipelineRequest request;
  request.set_name(*name);
  const auto deleted = (*host)->DeletePipeline(request);
  if (!deleted.ok()) return output.Error(deleted.status());
  output.Words(absl::StrCat("pipeline ", ShortName(*name), ": its tasks are being stopped, then it is gone"));
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
