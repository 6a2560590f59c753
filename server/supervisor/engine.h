#ifndef PUMA_SERVER_SUPERVISOR_ENGINE_H_
#define PUMA_SERVER_SUPERVISOR_ENGINE_H_
// What the API asks of the host. Implemented by the supervisor; the rpc room knows only this.
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "puma/v1/services.pb.h"

namespace puma::server {

template <class T>
using Reply = std::function<void(absl::StatusOr<T>)>;  // called once, on a thread of the engine; must not block

// Gives an asynchronous call up. Thread-safe; idempotent.
class CallHandle {
 public:
  virtual ~CallHandle() = default;
  virtual void Cancel() = 0;
};

// An open tap of a buffer. Only one thread at a time calls.
class BufferTap {
 public:
  virtual ~BufferTap() = default;
  // What has come since the last time, as much as a batch takes; the first time also when it is nothing. False: nothing. NOT_FOUND: the
  // buffer was deleted. Never blocks.
  virtual absl::StatusOr<bool> Take(v1::TapBufferResponse& batch) = 0;
};

// Thread-safe: any thread calls. Reads answer from the newest published snapshot and don't wait for the reconcile thread.
// Statuses carry google.rpc details (ErrorInfo, BadRequest, PreconditionFailure, RetryInfo) as payloads: see error_details.h.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual v1::Host GetHost() = 0;
  virtual void ListTypes(const v1::ListTypesRequest& request, Reply<v1::ListTypesResponse> reply) = 0;
  virtual void GetType(const v1::GetTypeRequest& request, Reply<v1::GetTypeResponse> reply) = 0;

  virtual void Drain(const v1::DrainHostRequest& request, Reply<v1::DrainHostResponse> reply) = 0;

  virtual void Apply(const v1::ApplyPipelineRequest& request, Reply<v1::ApplyPipelineResponse> reply) = 0;
  virtual void Delete(const v1::DeletePipelineRequest& request, Reply<v1::DeletePipelineResponse> reply) = 0;
  virtual absl::StatusOr<v1::Pipeline> GetPipeline(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListPipelinesResponse> ListPipelines(const v1::ListPipelinesRequest& request) = 0;

  virtual absl::StatusOr<v1::Task> GetTask(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request) = 0;
  virtual void Create(const v1::CreateTaskRequest& request, Reply<v1::CreateTaskResponse> reply) = 0;
  virtual void Delete(const v1::DeleteTaskRequest& request, Reply<v1::DeleteTaskResponse> reply) = 0;
  virtual void Start(const v1::StartTaskRequest& request, Reply<v1::StartTaskResponse> reply) = 0;
  virtual void Stop(const v1::StopTaskRequest& request, Reply<v1::StopTaskResponse> reply) = 0;
  virtual void Restart(const v1::RestartTaskRequest& request, Reply<v1::RestartTaskResponse> reply) = 0;
  virtual std::unique_ptr<CallHandle> Wait(const v1::WaitTaskRequest& request, Reply<v1::WaitTaskResponse> reply) = 0;
  virtual std::unique_ptr<CallHandle> Invoke(const v1::InvokeCommandRequest& request, absl::Time deadline,
                                             Reply<v1::InvokeCommandResponse> reply) = 0;

  virtual void SetLogLevel(const v1::SetLogLevelRequest& request, Reply<v1::SetLogLevelResponse> reply) = 0;

  virtual absl::StatusOr<v1::Buffer> GetBuffer(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListBuffersResponse> ListBuffers(const v1::ListBuffersRequest& request) = 0;
  virtual absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(const v1::ListDeadLettersRequest& request) = 0;
  virtual absl::StatusOr<std::unique_ptr<BufferTap>> Tap(const v1::TapBufferRequest& request) = 0;

  // SERVING: adoption is over. Per pipeline: NOT_FOUND, else true when no task of it has failed for good.
  virtual bool serving() = 0;
  virtual absl::StatusOr<bool> PipelineHealthy(const std::string& pipeline) = 0;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_ENGINE_H_
