#ifndef PUMA_TESTS_RPC_FAKE_ENGINE_H_
#define PUMA_TESTS_RPC_FAKE_ENGINE_H_
// An engine without processes: what is applied runs at once. It answers from a thread of its own, as the real one does.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/supervisor/engine.h"
#include "server/supervisor/waiters.h"
#include "server/telemetry/task_feed.h"

namespace puma::server {

// Thread-safe. Mistakes that it knows: no pipeline name, module "missing", task types that end in "Unknown".
// Commands of all its tasks: "echo" (its arguments), "fail" (an error with details), "wait" (until it is cancelled), "forget" (no answer
// ever), and all others are unknown.
class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(TaskFeed* feed);
  ~FakeEngine() override;

  v1::Host GetHost() override;
  void ListTypes(const v1::ListTypesRequest& request, Reply<v1::ListTypesResponse> reply) override;
  void GetType(const v1::GetTypeRequest& request, Reply<v1::GetTypeResponse> reply) override;
  void Drain(const v1::DrainHostRequest& request, Reply<v1::DrainHostResponse> reply) override;
  void Apply(const v1::ApplyPipelineRequest& request, Reply<v1::ApplyPipelineResponse> reply) override;
  void Delete(const v1::DeletePipelineRequest& request, Reply<v1::DeletePipelineResponse> reply) override;
  absl::StatusOr<v1::Pipeline> GetPipeline(const std::string& name) override;
  absl::StatusOr<v1::ListPipelinesResponse> ListPipelines(const v1::ListPipelinesRequest& request) override;
  absl::StatusOr<v1::Task> GetTask(const std::string& name) override;
  absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request) override;
  void Create(const v1::CreateTaskRequest& request, Reply<v1::CreateTaskResponse> reply) override;
  void Delete(const v1::DeleteTaskRequest& request, Reply<v1::DeleteTaskResponse> reply) override;
  void Start(const v1::StartTaskRequest& request, Reply<v1::StartTaskResponse> reply) override;
  void Stop(const v1::StopTaskRequest& request, Reply<v1::StopTaskResponse> reply) override;
  void Restart(const v1::RestartTaskRequest& request, Reply<v1::RestartTaskResponse> reply) override;
  std::unique_ptr<CallHandle> Wait(const v1::WaitTaskRequest& request, Reply<v1::WaitTaskResponse> reply) override;
  std::unique_ptr<CallHandle> Invoke(const v1::InvokeCommandRequest& request, absl::Time deadline,
                                     Reply<v1::InvokeCommandResponse> reply) override;
  void SetLogLevel(const v1::SetLogLevelRequest& request, Reply<v1::SetLogLevelResponse> reply) override;
  absl::StatusOr<v1::Buffer> GetBuffer(const std::string& name) override;
  absl::StatusOr<v1::ListBuffersResponse> ListBuffers(const v1::ListBuffersRequest& request) override;
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(const v1::ListDeadLettersRequest& request) override;
  absl::StatusOr<std::unique_ptr<BufferTap>> Tap(const v1::TapBufferRequest& request) override;
  bool serving() override { return is_serving; }
  absl::StatusOr<bool> PipelineHealthy(const std::string& pipeline) override;

  // For tests.
  void Put(const v1::Task& task);                                       // a task as it is now
  void Publish(const std::string& buffer, const std::string& payload);  // open taps of the buffer bring it
  void PutPipeline(const v1::Pipeline& pipeline);
  void Forget(const std::string& task);
  void MoveTo(TaskFeed* feed);             // as after a restart of the host
  std::vector<std::string> request_ids();  // of all mutations, in order
  absl::Time last_deadline();              // of the last command
  std::atomic<bool> is_serving{true};
  std::atomic<int> waiting{0};    // "wait" commands that run
  std::atomic<int> cancelled{0};  // and those that were given up

 private:
  void Later(std::function<void()> work);
  template <class Request, class Response>
  void Change(const Request& request, v1::TaskState state, Reply<Response> reply);
  v1::ApplyPipelineResponse DoApply(const v1::ApplyPipelineRequest& request);

  void Show(const v1::Task& task);  // with mutex_ held

  std::mutex mutex_;
  TaskFeed* feed_;
  uint64_t waits_ = 0;
  std::map<std::string, std::vector<std::string>> published_;  // by buffer
  Waiters waiters_;
  std::map<std::string, v1::Pipeline> pipelines_;
  std::map<std::string, v1::Task> tasks_;
  std::vector<std::string> request_ids_;
  absl::Time last_deadline_;

  std::mutex work_mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> work_;
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace puma::server
#endif  // PUMA_TESTS_RPC_FAKE_ENGINE_H_
