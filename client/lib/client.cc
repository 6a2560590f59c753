#include "puma/client/client.h"

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include <mutex>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "client/lib/credentials.h"
#include "client/lib/probe.h"
#include "client/lib/resume.h"
#include "client/lib/resuming_stream.h"
#include "client/lib/status_details.h"
#include "client/lib/waiting.h"
#include "puma/v1/services.grpc.pb.h"

namespace puma::client {
namespace {

constexpr int kMaxReceiveBytes = 64 << 20;  // a page of a list may be larger than gRPC's default

std::string RandomId() {
  std::random_device random;
  const auto word = [&] { return static_cast<uint32_t>(random()); };
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%04x%08x", word(), word() & 0xffff, word() & 0xfff, 0x8000 | (word() & 0x3fff),
                         word() & 0xffff, word());
}

template <class Request>
Request WithId(const Request& request) {
  Request copy = request;
  if (copy.request_id().empty()) copy.set_request_id(RandomId());
  return copy;
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const Options& options, const Credentials& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // ours know what is safe
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // each client has a connection of its own
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  if (options.tls.has_value() && !options.tls->server_name.empty()) arguments.SetSslTargetNameOverride(options.tls->server_name);
  return grpc::CreateCustomChannel(target, credentials.channel, arguments);
}

}  // namespace

class Client::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(std::string target, const Options& options, const Credentials& credentials)
      : target(std::move(target)),
        options(options),
        authorization(credentials.authorization),
        channel(MakeChannel(this->target, options, credentials)),
        hosts(channel),
        pipelines(channel),
        tasks(channel),
        buffers(channel),
        events(channel),
        logs(channel) {}

  absl::Status Translate(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    absl::Status translated(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
    // Without details it may be gRPC's own error: is there a host at all?
    if (absl::IsUnavailable(translated) && status.error_details().empty()) {
      if (absl::Status probed = ProbeHost(target); !probed.ok()) return probed;
      if (!absl::StartsWith(target, "unix:")) {
        return absl::UnavailableError(
            absl::StrCat("no host answers at ", target,
                         options.tls ? " over TLS" : " without TLS; if it wants TLS, bring certificates (puma-ctl: --ca, --cert, --key)",
                         ": ", status.error_message()));
      }
    }
    AddDetails(status.error_details(), translated);
    return translated;
  }

  // `waits`: it may be served for long, and has all the time to find the next host again after that.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request, const CallOptions& call, bool waits = false) const {
    const absl::Time start = absl::Now();
    const absl::Time deadline = call.deadline == absl::InfiniteFuture() ? start + options.timeout : call.deadline;
    absl::Time give_up = std::min(deadline, start + options.retry_for);
    Backoff backoff;
    for (;;) {
      const absl::Time attempt = absl::Now();
      grpc::ClientContext context;
      Authorize(context);
      if (deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(deadline));
      Response response;
      grpc::Status status;
      {
        std::stop_callback cancel(call.stop, [&] { context.TryCancel(); });
        status = (stub.*method)(&context, request, &response);
      }
      if (status.ok()) return response;
      if (call.stop.stop_requested()) return absl::CancelledError("cancelled");
      if (waits && absl::Now() - attempt > absl::Seconds(1)) give_up = std::min(deadline, absl::Now() + options.retry_for);
      if (status.error_code() != grpc::StatusCode::UNAVAILABLE || !backoff.Wait(give_up, call.stop)) return Translate(status);
      Reconnect(give_up);
    }
  }

  void Authorize(grpc::ClientContext& context) const {
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
  }

  // A channel makes progress while somebody polls it: a call, this, or else a timer of gRPC's that comes every 5 s.
  void Reconnect(absl::Time until) const {
    channel->WaitForConnected(absl::ToChronoTime(std::min(until, absl::Now() + absl::Milliseconds(500))));
  }

  template <class Resume, class Request, class Batch, class Stub>
  std::unique_ptr<Stream<Batch>> Open(Stub& stub,
                                      std::unique_ptr<grpc::ClientReader<Batch>> (Stub::*method)(grpc::ClientContext*, const Request&),
                                      const Request& request, const CallOptions& call) {
    auto self = shared_from_this();
    return std::make_unique<ResumingStream<Request, Batch, Resume>>(
        Resume(request),
        [self, &stub, method](grpc::ClientContext* context, const Request& next) {
          self->Reconnect(absl::InfiniteFuture());
          self->Authorize(*context);
          return (stub.*method)(context, next);
        },
        [self](const grpc::Status& status) { return self->Translate(status); }, call.deadline, options.resume_for, call.stop);
  }

  const std::string target;
  const Options options;
  const std::string authorization;
  const std::shared_ptr<grpc::Channel> channel;
  v1::HostService::Stub hosts;
  v1::PipelineService::Stub pipelines;
  v1::TaskService::Stub tasks;
  v1::BufferService::Stub buffers;
  v1::EventService::Stub events;
  v1::LogService::Stub logs;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& address, const Options& options) {
  const std::string target = absl::StartsWith(address, "/") ? absl::StrCat("unix:", address) : address;
  static std::once_flag once;  // gRPC's locks are absl's; their order checking aborts on what is none of our business
  std::call_once(once, [] {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc_init();  // and never the opposite: when the last client goes, gRPC may wait 10 s for a poller of its own
  });
  absl::StatusOr<Credentials> credentials = ReadCredentials(target, options);
  if (!credentials.ok()) return credentials.status();
  const absl::Time give_up = absl::Now() + options.retry_for;
  Backoff backoff;
  absl::Status status = ProbeHost(target);
  while (!status.ok() && MayComeBack(target) && backoff.Wait(give_up, {})) status = ProbeHost(target);
  if (!status.ok()) return status;
  return std::unique_ptr<Client>(new Client(std::make_shared<Impl>(target, options, *credentials)));
}

Client::Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
const std::string& Client::target() const { return impl_->target; }

absl::StatusOr<v1::GetHostResponse> Client::GetHost(const v1::GetHostRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->hosts, &v1::HostService::Stub::GetHost, request, options);
}
absl::StatusOr<v1::ListTypesResponse> Client::ListTypes(const v1::ListTypesRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->hosts, &v1::HostService::Stub::ListTypes, request, options);
}
absl::StatusOr<v1::GetTypeResponse> Client::GetType(const v1::GetTypeRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->hosts, &v1::HostService::Stub::GetType, request, options);
}
absl::StatusOr<v1::ApplyPipelineResponse> Client::ApplyPipeline(const v1::ApplyPipelineRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->pipelines, &v1::PipelineService::Stub::ApplyPipeline, WithId(request), options);
}
absl::StatusOr<v1::GetPipelineResponse> Client::GetPipeline(const v1::GetPipelineRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->pipelines, &v1::PipelineService::Stub::GetPipeline, request, options);
}
absl::StatusOr<v1::ListPipelinesResponse> Client::ListPipelines(const v1::ListPipelinesRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->pipelines, &v1::PipelineService::Stub::ListPipelines, request, options);
}
absl::StatusOr<v1::DeletePipelineResponse> Client::DeletePipeline(const v1::DeletePipelineRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->pipelines, &v1::PipelineService::Stub::DeletePipeline, WithId(request), options);
}
absl::StatusOr<v1::GetTaskResponse> Client::GetTask(const v1::GetTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::GetTask, request, options);
}
absl::StatusOr<v1::ListTasksResponse> Client::ListTasks(const v1::ListTasksRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::ListTasks, request, options);
}
absl::StatusOr<v1::StartTaskResponse> Client::StartTask(const v1::StartTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::StartTask, WithId(request), options);
}
absl::StatusOr<v1::StopTaskResponse> Client::StopTask(const v1::StopTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::StopTask, WithId(request), options);
}
absl::StatusOr<v1::DrainHostResponse> Client::DrainHost(const v1::DrainHostRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->hosts, &v1::HostService::Stub::DrainHost, WithId(request), options);
}
absl::StatusOr<v1::CreateTaskResponse> Client::CreateTask(const v1::CreateTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::CreateTask, WithId(request), options);
}
absl::StatusOr<v1::DeleteTaskResponse> Client::DeleteTask(const v1::DeleteTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::DeleteTask, WithId(request), options);
}
absl::StatusOr<v1::RestartTaskResponse> Client::RestartTask(const v1::RestartTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::RestartTask, WithId(request), options);
}
absl::StatusOr<v1::WaitTaskResponse> Client::WaitTask(const v1::WaitTaskRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::WaitTask, request, options, /*waits=*/true);
}
absl::StatusOr<v1::InvokeCommandResponse> Client::InvokeCommand(const v1::InvokeCommandRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->tasks, &v1::TaskService::Stub::InvokeCommand, WithId(request), options);
}
absl::StatusOr<v1::GetBufferResponse> Client::GetBuffer(const v1::GetBufferRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->buffers, &v1::BufferService::Stub::GetBuffer, request, options);
}
absl::StatusOr<v1::ListBuffersResponse> Client::ListBuffers(const v1::ListBuffersRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->buffers, &v1::BufferService::Stub::ListBuffers, request, options);
}
absl::StatusOr<v1::ListDeadLettersResponse> Client::ListDeadLetters(const v1::ListDeadLettersRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->buffers, &v1::BufferService::Stub::ListDeadLetters, request, options);
}
std::unique_ptr<Stream<v1::TapBufferResponse>> Client::TapBuffer(const v1::TapBufferRequest& request, const CallOptions& options) {
  return impl_->Open<NoResume<v1::TapBufferRequest, v1::TapBufferResponse>>(impl_->buffers, &v1::BufferService::Stub::TapBuffer, request,
                                                                            options);
}
std::unique_ptr<Stream<v1::WatchTasksResponse>> Client::WatchTasks(const v1::WatchTasksRequest& request, const CallOptions& options) {
  return impl_->Open<TaskResume>(impl_->tasks, &v1::TaskService::Stub::WatchTasks, request, options);
}
absl::StatusOr<v1::ListEventsResponse> Client::ListEvents(const v1::ListEventsRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->events, &v1::EventService::Stub::ListEvents, request, options);
}
std::unique_ptr<Stream<v1::WatchEventsResponse>> Client::WatchEvents(const v1::WatchEventsRequest& request, const CallOptions& options) {
  return impl_->Open<EventResume>(impl_->events, &v1::EventService::Stub::WatchEvents, request, options);
}
absl::StatusOr<v1::QueryLogsResponse> Client::QueryLogs(const v1::QueryLogsRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->logs, &v1::LogService::Stub::QueryLogs, request, options);
}
absl::StatusOr<v1::SetLogLevelResponse> Client::SetLogLevel(const v1::SetLogLevelRequest& request, const CallOptions& options) {
  return impl_->Call(impl_->logs, &v1::LogService::Stub::SetLogLevel, WithId(request), options);
}
std::unique_ptr<Stream<v1::TailLogsResponse>> Client::TailLogs(const v1::TailLogsRequest& request, const CallOptions& options) {
  return impl_->Open<LogResume>(impl_->logs, &v1::LogService::Stub::TailLogs, request, options);
}

}  // namespace puma::client
