#include "server/rpc/services.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "puma/v1/services.grpc.pb.h"
#include "server/rpc/filter.h"
#include "server/rpc/names.h"
#include "server/rpc/status_codec.h"
#include "server/rpc/stream_call.h"
#include "server/rpc/unary_call.h"

namespace puma::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

Reactor* Finish(Context* context, const absl::Status& status) {
  Reactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc<grpc::Status>(status));
  return reactor;
}

// Answers with a whole response.
template <class Response>
Reactor* Finish(Context* context, absl::StatusOr<Response> answer, Response* response) {
  if (answer.ok()) *response = *std::move(answer);
  return Finish(context, answer.status());
}

// Answers with a response that has the answer in one field, which `set` fills.
template <class Resource, class Set>
Reactor* FinishWith(Context* context, absl::StatusOr<Resource> answer, Set set) {
  if (answer.ok()) set(*std::move(answer));
  return Finish(context, answer.status());
}

absl::Status CheckPage(int page_size) {
  return page_size < 0 ? BadField("page_size", "must not be negative; 0 means the default of 100") : absl::OkStatus();
}

absl::Status CheckLevel(v1::LogLevel level, const char* field) {
  return v1::LogLevel_IsValid(level) ? absl::OkStatus() : BadField(field, absl::StrCat(level, " is not a level"));
}

size_t PageSize(int asked) { return static_cast<size_t>(asked == 0 ? 100 : std::min(asked, 1000)); }

// Whether the call may be made, and names things in the right form.
template <class Request>
absl::Status Admit(const Backends& backends, const Context& context, const Request& request) {
  return backends.gate->Check(context, request).status();
}
template <class Request>
absl::Status Admit(const Backends& backends, const Context& context, const Request& request, NameForm form) {
  if (absl::Status status = Admit(backends, context, request); !status.ok()) return status;
  return CheckName(form, request.name(), "name");
}
template <class Request>
absl::Status AdmitParent(const Backends& backends, const Context& context, const Request& request, NameForm form) {
  if (absl::Status status = Admit(backends, context, request); !status.ok()) return status;
  return CheckName(form, request.parent(), "parent");
}
template <class Request>
absl::Status AdmitList(const Backends& backends, const Context& context, const Request& request) {
  if (absl::Status status = AdmitParent(backends, context, request, NameForm::kParent); !status.ok()) return status;
  return CheckPage(request.page_size());
}

template <class Resource>
absl::StatusOr<Filter> ParseFilter(const std::string& text) {
  absl::StatusOr<Filter> filter = Filter::Parse(text, *Resource::descriptor());
  if (!filter.ok()) return BadField("filter", filter.status().message());
  return filter;
}

// Pages of `list`, until so many resources match as were asked for.
template <class Response, class Resource, class Request, class List>
absl::StatusOr<Response> ListMatching(const Request& request, google::protobuf::RepeatedPtrField<Resource>* (Response::*resources)(),
                                      const List& list) {
  constexpr size_t kMostLooked = 10'000;
  const absl::StatusOr<Filter> filter = ParseFilter<Resource>(request.filter());
  if (!filter.ok()) return filter.status();
  if (filter->empty()) return list(request);
  const auto wanted = static_cast<int>(PageSize(request.page_size()));
  Request next = request;
  Response matching;
  for (size_t looked = 0;;) {
    next.set_page_size(wanted - (matching.*resources)()->size());
    absl::StatusOr<Response> page = list(next);
    if (!page.ok()) return page.status();
    for (Resource& resource : *((*page).*resources)()) {
      ++looked;
      if (filter->Matches(resource)) *(matching.*resources)()->Add() = std::move(resource);
    }
    next.set_page_token(page->next_page_token());
    const bool full = (matching.*resources)()->size() >= wanted || looked >= kMostLooked;
    if (!full && !next.page_token().empty()) continue;
    matching.set_next_page_token(next.page_token());
    return matching;
  }
}

// All types are there at once: the page that was asked for. The token is the last type of the page before it.
v1::ListTypesResponse PageOf(v1::ListTypesResponse all, const v1::ListTypesRequest& request, const Filter& filter) {
  v1::ListTypesResponse page;
  if (request.page_token().empty()) page.mutable_broken()->Swap(all.mutable_broken());
  std::sort(all.mutable_types()->begin(), all.mutable_types()->end(), [](const auto& a, const auto& b) { return a.name() < b.name(); });
  for (v1::RunnableType& type : *all.mutable_types()) {
    if (type.name() <= request.page_token() || !filter.Matches(type)) continue;
    if (static_cast<size_t>(page.types_size()) == PageSize(request.page_size())) {
      page.set_next_page_token(page.types().rbegin()->name());
      break;
    }
    *page.add_types() = std::move(type);
  }
  return page;
}

absl::Time DeadlineOf(const Context& context) {
  const auto deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture() : absl::FromChrono(deadline);
}

// Asks the engine for something that it answers later.
template <class Response, class Ask>
Reactor* Later(Response* response, Ask ask) {
  auto* call = new UnaryCall<Response>(response);
  ask(call->MakeReply());
  return call;  // alive until OnDone, which gRPC calls only after this has returned
}

class HostService final : public v1::HostService::CallbackService {
 public:
  explicit HostService(const Backends& backends) : backends_(backends), engine_(backends.engine) {}

  Reactor* GetHost(Context* context, const v1::GetHostRequest* request, v1::GetHostResponse* response) override {
    const auto caller = backends_.gate->Check(*context, *request);
    if (!caller.ok()) return Finish(context, caller.status());
    *response->mutable_host() = engine_->GetHost();
    *response->mutable_caller() = (*caller)->ToProto();
    return Finish(context, absl::OkStatus());
  }
  Reactor* ListTypes(Context* context, const v1::ListTypesRequest* request, v1::ListTypesResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request); !status.ok()) return Finish(context, status);
    if (absl::Status status = CheckPage(request->page_size()); !status.ok()) return Finish(context, status);
    absl::StatusOr<Filter> filter = ParseFilter<v1::RunnableType>(request->filter());
    if (!filter.ok()) return Finish(context, filter.status());
    return Later(response, [&](auto reply) {
      engine_->ListTypes(*request, [request = *request, filter = *std::move(filter), reply = std::move(reply)](auto all) {
        if (!all.ok()) return reply(all.status());
        reply(PageOf(*std::move(all), request, filter));
      });
    });
  }
  Reactor* GetType(Context* context, const v1::GetTypeRequest* request, v1::GetTypeResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kType); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->GetType(*request, std::move(reply)); });
  }
  Reactor* DrainHost(Context* context, const v1::DrainHostRequest* request, v1::DrainHostResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Drain(*request, std::move(reply)); });
  }

 private:
  const Backends backends_;
  Engine* const engine_;
};

class PipelineService final : public v1::PipelineService::CallbackService {
 public:
  explicit PipelineService(const Backends& backends) : backends_(backends), engine_(backends.engine) {}

  Reactor* ApplyPipeline(Context* context, const v1::ApplyPipelineRequest* request, v1::ApplyPipelineResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Apply(*request, std::move(reply)); });
  }
  Reactor* DeletePipeline(Context* context, const v1::DeletePipelineRequest* request, v1::DeletePipelineResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kPipeline); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Delete(*request, std::move(reply)); });
  }
  Reactor* GetPipeline(Context* context, const v1::GetPipelineRequest* request, v1::GetPipelineResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kPipeline); !status.ok()) return Finish(context, status);
    return FinishWith(context, engine_->GetPipeline(request->name()),
                      [&](v1::Pipeline p) { *response->mutable_pipeline() = std::move(p); });
  }
  Reactor* ListPipelines(Context* context, const v1::ListPipelinesRequest* request, v1::ListPipelinesResponse* response) override {
    const auto caller = backends_.gate->Check(*context, *request);
    if (!caller.ok()) return Finish(context, caller.status());
    if (absl::Status status = CheckPage(request->page_size()); !status.ok()) return Finish(context, status);
    absl::StatusOr<v1::ListPipelinesResponse> page = ListMatching(*request, &v1::ListPipelinesResponse::mutable_pipelines,
                                                                  [&](const auto& next) { return engine_->ListPipelines(next); });
    if (page.ok() && !(*caller)->MayEverywhere(v1::ROLE_VIEWER)) {
      auto& shown = *page->mutable_pipelines();
      shown.erase(std::remove_if(shown.begin(), shown.end(),
                                 [&](const v1::Pipeline& pipeline) {
                                   return !(*caller)->May(v1::ROLE_VIEWER, std::string(absl::StripPrefix(pipeline.name(), "pipelines/")));
                                 }),
                  shown.end());
    }
    return Finish(context, std::move(page), response);
  }

 private:
  const Backends backends_;
  Engine* const engine_;
};

class TaskService final : public v1::TaskService::CallbackService {
 public:
  explicit TaskService(const Backends& backends) : backends_(backends), engine_(backends.engine) {}

  Reactor* GetTask(Context* context, const v1::GetTaskRequest* request, v1::GetTaskResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    return FinishWith(context, engine_->GetTask(request->name()), [&](v1::Task t) { *response->mutable_task() = std::move(t); });
  }
  Reactor* ListTasks(Context* context, const v1::ListTasksRequest* request, v1::ListTasksResponse* response) override {
    if (absl::Status status = AdmitList(backends_, *context, *request); !status.ok()) return Finish(context, status);
    return Finish(context,
                  ListMatching(*request, &v1::ListTasksResponse::mutable_tasks, [&](const auto& next) { return engine_->ListTasks(next); }),
                  response);
  }
  Reactor* CreateTask(Context* context, const v1::CreateTaskRequest* request, v1::CreateTaskResponse* response) override {
    if (absl::Status status = AdmitParent(backends_, *context, *request, NameForm::kPipeline); !status.ok()) return Finish(context, status);
    if (request->task_id().empty()) return Finish(context, BadField("task_id", "must be given"));
    return Later(response, [&](auto reply) { engine_->Create(*request, std::move(reply)); });
  }
  Reactor* DeleteTask(Context* context, const v1::DeleteTaskRequest* request, v1::DeleteTaskResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Delete(*request, std::move(reply)); });
  }
  Reactor* StartTask(Context* context, const v1::StartTaskRequest* request, v1::StartTaskResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Start(*request, std::move(reply)); });
  }
  Reactor* StopTask(Context* context, const v1::StopTaskRequest* request, v1::StopTaskResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Stop(*request, std::move(reply)); });
  }
  Reactor* RestartTask(Context* context, const v1::RestartTaskRequest* request, v1::RestartTaskResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { engine_->Restart(*request, std::move(reply)); });
  }
  Reactor* WaitTask(Context* context, const v1::WaitTaskRequest* request, v1::WaitTaskResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    if (request->run() < 0) return Finish(context, BadField("run", "must not be negative; 0 means any"));
    for (const int state : request->states()) {
      if (!v1::TaskState_IsValid(state) || state == v1::TASK_STATE_UNSPECIFIED)
        return Finish(context, BadField("states", absl::StrCat(state, " is not a state")));
    }
    auto* call = new UnaryCall<v1::WaitTaskResponse>(response);
    call->Keep(engine_->Wait(*request, call->MakeReply()));
    return call;
  }
  Reactor* InvokeCommand(Context* context, const v1::InvokeCommandRequest* request, v1::InvokeCommandResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kTask); !status.ok()) return Finish(context, status);
    if (request->command().empty()) return Finish(context, BadField("command", "must be given"));
    auto* call = new UnaryCall<v1::InvokeCommandResponse>(response);
    call->Keep(engine_->Invoke(*request, DeadlineOf(*context), call->MakeReply()));
    return call;
  }
  grpc::ServerWriteReactor<v1::WatchTasksResponse>* WatchTasks(Context* context, const v1::WatchTasksRequest* request) override {
    using Call = StreamCall<v1::WatchTasksResponse>;
    if (absl::Status status = AdmitParent(backends_, *context, *request, NameForm::kParent); !status.ok()) return Call::Refuse(status);
    auto position = backends_.feeds.tasks->Begin(request->revision());
    if (!position.ok()) return Call::Refuse(position.status());
    auto permit = StreamLimit::Take(backends_.limit, ConnectionOf(*context));
    if (!permit.ok()) return Call::Refuse(permit.status());
    return Call::Open(
        backends_.pump, StreamPump::kTasks, *std::move(permit),
        [tasks = backends_.feeds.tasks, parent = request->parent(), position = *position](v1::WatchTasksResponse& batch) mutable {
          return tasks->Take(parent, position, batch) ? Taken::kBatch : Taken::kNothing;
        });
  }

 private:
  const Backends backends_;
  Engine* const engine_;
};

class BufferService final : public v1::BufferService::CallbackService {
 public:
  explicit BufferService(const Backends& backends) : backends_(backends), engine_(backends.engine) {}

  Reactor* GetBuffer(Context* context, const v1::GetBufferRequest* request, v1::GetBufferResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kBuffer); !status.ok()) return Finish(context, status);
    return FinishWith(context, engine_->GetBuffer(request->name()), [&](v1::Buffer b) { *response->mutable_buffer() = std::move(b); });
  }
  Reactor* ListBuffers(Context* context, const v1::ListBuffersRequest* request, v1::ListBuffersResponse* response) override {
    if (absl::Status status = AdmitList(backends_, *context, *request); !status.ok()) return Finish(context, status);
    return Finish(
        context,
        ListMatching(*request, &v1::ListBuffersResponse::mutable_buffers, [&](const auto& next) { return engine_->ListBuffers(next); }),
        response);
  }
  Reactor* ListDeadLetters(Context* context, const v1::ListDeadLettersRequest* request, v1::ListDeadLettersResponse* response) override {
    if (absl::Status status = AdmitList(backends_, *context, *request); !status.ok()) return Finish(context, status);
    return Finish(context,
                  ListMatching(*request, &v1::ListDeadLettersResponse::mutable_dead_letters,
                               [&](const auto& next) { return engine_->ListDeadLetters(next); }),
                  response);
  }
  grpc::ServerWriteReactor<v1::TapBufferResponse>* TapBuffer(Context* context, const v1::TapBufferRequest* request) override {
    using Call = StreamCall<v1::TapBufferResponse>;
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kBuffer); !status.ok()) return Call::Refuse(status);
    if (absl::Status status = Check(*request); !status.ok()) return Call::Refuse(status);
    auto permit = StreamLimit::Take(backends_.limit, ConnectionOf(*context));
    if (!permit.ok()) return Call::Refuse(permit.status());
    absl::StatusOr<std::unique_ptr<BufferTap>> tap = engine_->Tap(*request);
    if (!tap.ok()) return Call::Refuse(tap.status());
    return Call::Open(backends_.pump, StreamPump::kPoll, *std::move(permit),
                      [tap = std::shared_ptr<BufferTap>(*std::move(tap))](v1::TapBufferResponse& batch) -> absl::StatusOr<Taken> {
                        const absl::StatusOr<bool> taken = tap->Take(batch);
                        if (!taken.ok()) return taken.status();
                        return *taken ? Taken::kBatch : Taken::kNothing;
                      });
  }

 private:
  static absl::Status Check(const v1::TapBufferRequest& request) {
    constexpr uint32_t kMostBytes = 1 << 20;
    if (request.max_bytes() > kMostBytes) return BadField("max_bytes", absl::StrCat("must be at most ", kMostBytes, " (1 MiB)"));
    return request.publisher().empty() ? absl::OkStatus() : CheckName(NameForm::kTask, request.publisher(), "publisher");
  }

  const Backends backends_;
  Engine* const engine_;
};

class EventService final : public v1::EventService::CallbackService {
 public:
  explicit EventService(const Backends& backends) : backends_(backends) {}

  Reactor* ListEvents(Context* context, const v1::ListEventsRequest* request, v1::ListEventsResponse* response) override {
    if (absl::Status status = AdmitParent(backends_, *context, *request, NameForm::kLogParent); !status.ok())
      return Finish(context, status);
    if (absl::Status status = CheckPage(request->page_size()); !status.ok()) return Finish(context, status);
    return Finish(context,
                  ListMatching(*request, &v1::ListEventsResponse::mutable_events,
                               [&](const v1::ListEventsRequest& next) {
                                 return backends_.feeds.events->List(next.parent(), next.page_token(), PageSize(next.page_size()));
                               }),
                  response);
  }
  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(Context* context, const v1::WatchEventsRequest* request) override {
    using Call = StreamCall<v1::WatchEventsResponse>;
    if (absl::Status status = AdmitParent(backends_, *context, *request, NameForm::kLogParent); !status.ok()) return Call::Refuse(status);
    if (request->history() < -1) return Call::Refuse(BadField("history", "must be a number of events, or -1 for all"));
    auto position = backends_.feeds.events->Begin(*request);
    if (!position.ok()) return Call::Refuse(position.status());
    auto permit = StreamLimit::Take(backends_.limit, ConnectionOf(*context));
    if (!permit.ok()) return Call::Refuse(permit.status());
    return Call::Open(
        backends_.pump, StreamPump::kEvents, *std::move(permit),
        [events = backends_.feeds.events, parent = request->parent(), position = *position](v1::WatchEventsResponse& batch) mutable {
          return events->Take(parent, position, batch) ? Taken::kBatch : Taken::kNothing;
        });
  }

 private:
  const Backends backends_;
};

class LogService final : public v1::LogService::CallbackService {
 public:
  explicit LogService(const Backends& backends) : backends_(backends) {}

  Reactor* QueryLogs(Context* context, const v1::QueryLogsRequest* request, v1::QueryLogsResponse* response) override {
    if (absl::Status status = AdmitParent(backends_, *context, *request, NameForm::kLogParent); !status.ok())
      return Finish(context, status);
    if (absl::Status status = CheckPage(request->page_size()); !status.ok()) return Finish(context, status);
    if (absl::Status status = CheckLevel(request->min_level(), "min_level"); !status.ok()) return Finish(context, status);
    return Finish(context, backends_.feeds.logs->Query(*request, PageSize(request->page_size())), response);
  }
  Reactor* SetLogLevel(Context* context, const v1::SetLogLevelRequest* request, v1::SetLogLevelResponse* response) override {
    if (absl::Status status = Admit(backends_, *context, *request, NameForm::kLogName); !status.ok()) return Finish(context, status);
    if (absl::Status status = CheckLevel(request->level(), "level"); !status.ok()) return Finish(context, status);
    return Later(response, [&](auto reply) { backends_.engine->SetLogLevel(*request, std::move(reply)); });
  }

  grpc::ServerWriteReactor<v1::TailLogsResponse>* TailLogs(Context* context, const v1::TailLogsRequest* request) override {
    using Call = StreamCall<v1::TailLogsResponse>;
    if (absl::Status status = AdmitParent(backends_, *context, *request, NameForm::kLogParent); !status.ok()) return Call::Refuse(status);
    if (absl::Status status = Check(*request); !status.ok()) return Call::Refuse(status);
    auto permit = StreamLimit::Take(backends_.limit, ConnectionOf(*context));
    if (!permit.ok()) return Call::Refuse(permit.status());
    const unsigned causes = request->follow() ? StreamPump::kLogs : 0;
    return Call::Open(backends_.pump, causes, *std::move(permit),
                      [logs = backends_.feeds.logs, request = *request,
                       position = backends_.feeds.logs->Begin(*request)](v1::TailLogsResponse& batch) mutable {
                        if (logs->Take(request, position, batch)) return Taken::kBatch;
                        return request.follow() ? Taken::kNothing : Taken::kEnd;
                      });
  }

 private:
  static absl::Status Check(const v1::TailLogsRequest& request) {
    if (request.history() < -1) return BadField("history", "must be a number of records, or -1 for all");
    return CheckLevel(request.min_level(), "min_level");
  }

  const Backends backends_;
};

}  // namespace

std::vector<std::unique_ptr<grpc::Service>> MakeServices(const Backends& backends) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(std::make_unique<HostService>(backends));
  services.push_back(std::make_unique<PipelineService>(backends));
  services.push_back(std::make_unique<TaskService>(backends));
  services.push_back(std::make_unique<BufferService>(backends));
  services.push_back(std::make_unique<EventService>(backends));
  services.push_back(std::make_unique<LogService>(backends));
  return services;
}

// gRPC 1.51 says "unix:" for the peer of every Unix socket's connection. But each connection has a security context of its own, whose
// properties lie at an address of their own.
std::string ConnectionOf(const grpc::CallbackServerContext& context) {
  const auto security = context.auth_context();
  if (!security) return context.peer();
  const auto values = security->FindPropertyValues("transport_security_type");
  return values.empty() ? context.peer() : absl::StrCat(context.peer(), "#", reinterpret_cast<uintptr_t>(values.front().data()));
}

}  // namespace puma::server
