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

template <class Response, class Request>
absl::StatusOr<Response> AllPages(Request request, absl::StatusOr<Response> (Client::*list)(const Request&, const CallOptions&),
                                  Client& host) {
  Response all;
  request.set_page_size(1000);
  do {
    const auto page = (host.*list)(request, CallOptions());
    if (!page.ok()) return page.status();
    request.set_page_token(page->next_page_token());
    all.MergeFrom(*page);
  } while (!request.page_token().empty());
  all.clear_next_page_token();
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

ExitCode OnlyOfLists(const Output& output) {
  output.Words("puma-ctl: --filter is for lists, not for one resource");
  return kUsage;
}

ExitCode GetTasks(const Output& output, Client& host, const std::string& typed, const std::string& filter) {
  const absl::Time now = absl::Now();
  const auto table = [&](const auto& items) { return TaskTable(items, output.wide(), now); };
  std::string name;
  if (!typed.empty()) {
    auto full = TaskOrPipelineName(typed);
    if (!full.ok()) return output.Error(full.status()), kUsage;
    name = *full;
  }
  if (IsTask(name)) {
    if (!filter.empty()) return OnlyOfLists(output);
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
  const auto tasks = AllTasks(host, name, filter);
  return tasks.ok() ? Show(output, *tasks, tasks->tasks(), table, "no tasks") : output.Error(tasks.status());
}

ExitCode GetPipelines(const Output& output, Client& host, const std::string& typed, const std::string& filter) {
  const absl::Time now = absl::Now();
  const auto table = [&](const auto& items) { return PipelineTable(items, output.wide(), now); };
  if (typed.empty()) {
    const auto pipelines = AllPipelines(host, filter);
    return pipelines.ok() ? Show(output, *pipelines, pipelines->pipelines(), table, "no pipelines") : output.Error(pipelines.status());
  }
  if (!filter.empty()) return OnlyOfLists(output);
  const auto full = PipelineName(typed);
  if (!full.ok()) return output.Error(full.status()), kUsage;
  v1::GetPipelineRequest request;
  request.set_name(*full);
  const auto pipeline = host.GetPipeline(request);
  return pipeline.ok() ? ShowOne(output, pipeline->pipeline(), table) : output.Error(pipeline.status());
}

ExitCode GetBuffers(const Output& output, Client& host, const std::string& typed, const std::string& filter) {
  const auto table = [&](const auto& items) { return BufferTable(items, output.wide()); };
  if (const auto full = BufferName(typed); full.ok()) {
    if (!filter.empty()) return OnlyOfLists(output);
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
  const auto buffers = AllBuffers(host, parent, filter);
  return buffers.ok() ? Show(output, *buffers, buffers->buffers(), table, "no buffers") : output.Error(buffers.status());
}

ExitCode GetDeadLetters(const Output& output, Client& host, const std::string& typed, const std::string& filter) {
  const absl::Time now = absl::Now();
  v1::ListDeadLettersRequest request;
  request.set_filter(filter);
  if (!typed.empty()) {
    const auto full = PipelineName(typed);
    if (!full.ok()) return output.Error(full.status()), kUsage;
    request.set_parent(*full);
  }
  const auto letters = AllPages(request, &Client::ListDeadLetters, host);
  if (!letters.ok()) return output.Error(letters.status());
  return Show(
      output, *letters, letters->dead_letters(), [&](const auto& items) { return DeadLetterTable(items, output.wide(), now); },
      "no dead letters");
}

ExitCode GetTypes(const Output& output, Client& host, const std::string& typed, const std::string& filter) {
  const auto table = [&](const auto& items) { return TypeTable(items, output.wide()); };
  const std::string wanted = absl::StartsWith(typed, "types/") ? typed.substr(6) : typed;
  v1::ListTypesRequest request;
  request.set_module(wanted.substr(0, wanted.find('.')));
  request.set_filter(filter);
  const auto types = AllPages(request, &Client::ListTypes, host);
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

absl::StatusOr<v1::ListTasksResponse> AllTasks(Client& host, const std::string& parent, const std::string& filter) {
  v1::ListTasksRequest request;
  request.set_parent(parent);
  request.set_filter(filter);
  return AllPages(request, &Client::ListTasks, host);
}

absl::StatusOr<v1::ListPipelinesResponse> AllPipelines(Client& host, const std::string& filter) {
  v1::ListPipelinesRequest request;
  request.set_filter(filter);
  return AllPages(request, &Client::ListPipelines, host);
}

absl::StatusOr<v1::ListBuffersResponse> AllBuffers(Client& host, const std::string& parent, const std::string& filter) {
  v1::ListBuffersRequest request;
  request.set_parent(parent);
  request.set_filter(filter);
  return AllPages(request, &Client::ListBuffers, host);
}

ExitCode Get(Session& session, const GetArguments& arguments) {
  const auto host = session.Host();
  if (!host.ok()) return session.output.Error(host.status());
  if (absl::StartsWith(arguments.kind, "task")) return GetTasks(session.output, **host, arguments.name, arguments.filter);
  if (absl::StartsWith(arguments.kind, "pipeline")) return GetPipelines(session.output, **host, arguments.name, arguments.filter);
  if (absl::StartsWith(arguments.kind, "buffer")) return GetBuffers(session.output, **host, arguments.name, arguments.filter);
  if (absl::StartsWith(arguments.kind, "dead-letter")) return GetDeadLetters(session.output, **host, arguments.name, arguments.filter);
  return GetTypes(session.output, **host, arguments.name, arguments.filter);
}

}  // namespace puma::client
