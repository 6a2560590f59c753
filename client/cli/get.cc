#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

template <class Response, class Request, class Items>
absl::StatusOr<Response> AllPages(Request request, absl::StatusOr<Response> (Client::*list)(const Request&, const CallOptions&),
                                  Client& host, Items* (Response::*items)()) {
  Response all;
  request.set_page_size(1000);
  do {
    auto page = (host.*list)(request, CallOptions());
    if (!page.ok()) return page.status();
    request.set_page_token(page->next_page_token());
    for (auto& item : *((*page).*items)()) *(all.*items)()->Add() = std::move(item);
  } while (!request.page_token().empty());
  return all;
}

// Prints a list as the format wants it.
template <class Response, class Items, class MakeTable>
ExitCode Show(const Output& output, const Response& response, const Items& items, MakeTable table, const char* none) {
  if (output.json()) {
    output.Json(response);
  } else if (output.format() == Format::kName) {
    for (const auto& item : items) output.Data(Escape(item.name()) + "\n");
  } else if (items.empty()) {
    output.Words(none);
  } else {
    output.Data(table(items).Print(output.colours()));
  }
  return kDone;
}

// The same for one; as JSON it is the resource, not a list of one.
template <class Resource, class MakeTable>
ExitCode ShowOne(const Output& output, const Resource& resource, MakeTable table) {
  Repeated<Resource> items;
  *items.Add() = resource;
  if (!output.json()) return Show(output, resource, items, table, "");
  output.Json(resource);
  return kDone;
}

ExitCode GetTasks(const Output& output, Client& host, const std::string& typed) {
  const absl::Time now = absl::Now();
  const auto table = [&](const auto& items) { return TaskTable(items, output.wide(), now); };
  std::string name;
  if (!typed.empty()) {
    auto full = TaskOrPipelineName(typed);
    if (!full.ok()) return output.Error(full.status()), kUsage;
    name = *full;
  }
  if (IsTask(name)) {
    v1::GetTaskRequest request;
    request.set_name(name);
    const auto task = host.GetTask(request);
    return task.ok() ? ShowOne(output, task->task(), table) : output.Error(task.status());
  }
  if (!name.empty()) {  // a list of the tasks of nothing would be empty, without a word
    v1::GetPipelineRequest request;
    request.set_name(name);
    if (const auto pipeline = host.GetPipeline(request); !pipeline.ok()) return output.Error(pipeline.status());
  }
  const auto tasks = AllTasks(host, name);
  return tasks.ok() ? Show(output, *tasks, tasks->tasks(), table, "no tasks") : output.Error(tasks.status());
}

ExitCode GetPipelines(const Output& output, Client& host, const std::string& typed) {
  const absl::Time now = absl::Now();
  const auto table = [&](const auto& items) { return PipelineTable(items, output.wide(), now); };
  if (typed.empty()) {
    const auto pipelines = AllPipelines(host);
    return pipelines.ok() ? Show(output, *pipelines, pipelines->pipelines(), table, "no pipelines") : output.Error(pipelines.status());
  }
  const auto full = PipelineName(typed);
  if (!full.ok()) return output.Error(full.status()), kUsage;
  v1::GetPipelineRequest request;
  request.set_name(*full);
  const auto pipeline = host.GetPipeline(request);
  return pipeline.ok() ? ShowOne(output, pipeline->pipeline(), table) : output.Error(pipeline.status());
}

ExitCode GetBuffers(const Output& output, Client& host, const std::string& typed) {
  const auto table = [&](const auto& items) { return BufferTable(items, output.wide()); };
  if (const auto full = BufferName(typed); full.ok()) {
    v1::GetBufferRequest request;
    request.set_name(*full);
    const auto buffer = host.GetBuffer(request);
    return buffer.ok() ? ShowOne(output, buffer->buffer(), table) : output.Error(buffer.status());
  }
  std::string parent;
  if (!typed.empty()) {
    const auto full = PipelineName(typed);
    if (!full.ok()) return output.Error(BufferName(typed).status()), kUsage;
    parent = *full;
  }
  const auto buffers = AllBuffers(host, parent);
  return buffers.ok() ? Show(output, *buffers, buffers->buffers(), table, "no buffers") : output.Error(buffers.status());
}

ExitCode GetDeadLetters(const Output& output, Client& host, const std::string& typed) {
  const absl::Time now = absl::Now();
  v1::ListDeadLettersRequest request;
  if (!typed.empty()) {
    const auto full = PipelineName(typed);
    if (!full.ok()) return output.Error(full.status()), kUsage;
    request.set_parent(*full);
  }
  const auto letters = AllPages(request, &Client::ListDeadLetters, host, &v1::ListDeadLettersResponse::mutable_dead_letters);
  if (!letters.ok()) return output.Error(letters.status());
  return Show(
      output, *letters, letters->dead_letters(), [&](const auto& items) { return DeadLetterTable(items, output.wide(), now); },
      "no dead letters");
}

ExitCode GetTypes(const Output& output, Client& host, const std::string& typed) {
  const auto table = [&](const auto& items) { return TypeTable(items, output.wide()); };
  const std::string wanted = absl::StartsWith(typed, "types/") ? typed.substr(6) : typed;
  v1::ListTypesRequest request;
  request.set_module(wanted.substr(0, wanted.find('.')));
  const auto types = host.ListTypes(request);
  if (!types.ok()) return output.Error(types.status());
  for (const v1::BrokenModule& broken : types->broken()) {
    output.Words(absl::StrCat("module ", Escape(broken.module()), " can't be used: ", EscapeLines(broken.reason(), "  ")));
  }
  if (!absl::StrContains(wanted, ".")) return Show(output, *types, types->types(), table, "no types");
  for (const v1::RunnableType& type : types->types()) {
    if (ShortName(type.name()) == wanted) return ShowOne(output, type, table);
  }
  return output.Error(absl::NotFoundError(absl::StrCat("there is no type ", Escape(wanted), "; see: puma-ctl get types")));
}

}  // namespace

absl::StatusOr<v1::ListTasksResponse> AllTasks(Client& host, const std::string& parent) {
  v1::ListTasksRequest request;
  request.set_parent(parent);
  return AllPages(request, &Client::ListTasks, host, &v1::ListTasksResponse::mutable_tasks);
}

absl::StatusOr<v1::ListPipelinesResponse> AllPipelines(Client& host) {
  return AllPages(v1::ListPipelinesRequest(), &Client::ListPipelines, host, &v1::ListPipelinesResponse::mutable_pipelines);
}

absl::StatusOr<v1::ListBuffersResponse> AllBuffers(Client& host, const std::string& parent) {
  v1::ListBuffersRequest request;
  request.set_parent(parent);
  return AllPages(request, &Client::ListBuffers, host, &v1::ListBuffersResponse::mutable_buffers);
}

ExitCode Get(Session& session, const GetArguments& arguments) {
  const auto host = session.Host();
  if (!host.ok()) return session.output.Error(host.status());
  if (absl::StartsWith(arguments.kind, "task")) return GetTasks(session.output, **host, arguments.name);
  if (absl::StartsWith(arguments.kind, "pipeline")) return GetPipelines(session.output, **host, arguments.name);
  if (absl::StartsWith(arguments.kind, "buffer")) return GetBuffers(session.output, **host, arguments.name);
  if (absl::StartsWith(arguments.kind, "dead-letter")) return GetDeadLetters(session.output, **host, arguments.name);
  return GetTypes(session.output, **host, arguments.name);
}

}  // namespace puma::client
