#include "tests/rpc/fake_engine.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"

namespace puma::server {
namespace {

void AddDetail(absl::Status& status, const google::protobuf::Message& detail) {
  status.SetPayload(absl::StrCat("type.googleapis.com/", detail.GetDescriptor()->full_name()), absl::Cord(detail.SerializeAsString()));
}

absl::Status NoSuch(const std::string& name) { return absl::NotFoundError(absl::StrCat(name, " does not exist")); }

absl::Status Check(const v1::PipelineSpec& spec) {
  google::rpc::BadRequest bad;
  const auto add = [&](const std::string& field, const std::string& description) {
    bad.add_field_violations()->set_field(field);
    bad.mutable_field_violations()->rbegin()->set_description(description);
  };
  if (spec.pipeline().empty()) add("pipeline", "must be given");
  for (int i = 0; i < spec.modules_size(); ++i) {
    if (spec.modules(i) == "missing") add(absl::StrCat("modules[", i, "]"), "there is no module \"missing\"");
  }
  for (const auto& [name, task] : spec.tasks()) {
    if (absl::EndsWith(task.type(), "Unknown")) add(absl::StrCat("tasks.", name, ".type"), "there is no type " + task.type());
    for (const auto& [port, input] : task.inputs()) {
      const std::string& buffer = input.buffer();
      if (!spec.buffers().count(buffer)) add(absl::StrCat("tasks.", name, ".inputs.", port), "there is no buffer \"" + buffer + "\"");
    }
  }
  if (bad.field_violations().empty()) return absl::OkStatus();
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(bad.field_violations_size(), " mistakes"));
  AddDetail(status, bad);
  return status;
}

// One page of a map's values whose names begin with `prefix`.
template <class Item, class Items>
std::string Page(const std::map<std::string, Item>& all, const std::string& prefix, int size, const std::string& token, Items* items) {
  const int at_most = size == 0 ? 100 : size;
  for (auto it = all.upper_bound(token); it != all.end(); ++it) {
    if (!absl::StartsWith(it->first, prefix)) continue;
    if (items->size() == at_most) return items->rbegin()->name();
    *items->Add() = it->second;
  }
  return "";
}

std::string PrefixOf(const std::string& parent) { return parent.empty() ? "" : parent + "/"; }

std::map<std::string, v1::Buffer> BuffersOf(const std::map<std::string, v1::Pipeline>& pipelines) {
  std::map<std::string, v1::Buffer> buffers;
  for (const auto& [pipeline_name, pipeline] : pipelines) {
    for (const auto& [name, spec] : pipeline.spec().buffers()) {
      v1::Buffer& buffer = buffers[absl::StrCat(pipeline_name, "/buffers/", name)];
      buffer.set_name(absl::StrCat(pipeline_name, "/buffers/", name));
      *buffer.mutable_spec() = spec;
    }
  }
  return buffers;
}

// A "wait" command: answers when it is cancelled.
class Waiting final : public CallHandle {
 public:
  Waiting(FakeEngine* engine, Reply<v1::InvokeCommandResponse> reply) : engine_(engine), reply_(std::move(reply)) { ++engine_->waiting; }
  void Cancel() override {
    if (done_.exchange(true)) return;
    --engine_->waiting;
    ++engine_->cancelled;
    reply_(absl::CancelledError("cancelled"));
  }

 private:
  FakeEngine* const engine_;
  const Reply<v1::InvokeCommandResponse> reply_;
  std::atomic<bool> done_{false};
};

}  // namespace

FakeEngine::FakeEngine(TaskFeed* feed)
    : feed_(feed), thread_([this] {
        std::unique_lock<std::mutex> lock(work_mutex_);
        for (;;) {
          wake_.wait(lock, [this] { return quit_ || !work_.empty(); });
          if (work_.empty()) return;
          const auto work = std::move(work_.front());
          work_.pop_front();
          lock.unlock();
          work();
          lock.lock();
        }
      }) {}

FakeEngine::~FakeEngine() {
  {
    std::lock_guard<std::mutex> lock(work_mutex_);
    quit_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void FakeEngine::Later(std::function<void()> work) {
  {
    std::lock_guard<std::mutex> lock(work_mutex_);
    work_.push_back(std::move(work));
  }
  wake_.notify_all();
}

v1::Host FakeEngine::GetHost() {
  v1::Host host;
  host.set_name("host");
  host.set_version("0.0.fake");
  host.set_pid(getpid());
  return host;
}

void FakeEngine::ListTypes(const v1::ListTypesRequest& request, Reply<v1::ListTypesResponse> reply) {
  v1::ListTypesResponse response;
  if (request.module().empty() || request.module() == "edges") {
    v1::RunnableType& type = *response.add_types();
    type.set_name("types/edges.EdgeDetector");
    type.set_module("edges");
    type.add_inputs()->set_name("frames");
    type.add_outputs()->set_name("edges");
    v1::CommandInfo& command = *type.add_commands();
    command.set_name("set_threshold");
    command.add_arguments()->set_name("threshold");
    command.mutable_arguments(0)->set_type("double");
    type.add_parameters()->set_name("threshold");
    type.mutable_parameters(0)->set_type("double");
    type.mutable_parameters(0)->mutable_default_value()->set_number_value(0.2);
  }
  if (request.module().empty() || request.module() == "broken") {
    response.add_broken()->set_module("broken");
    response.mutable_broken(0)->set_reason("it crashes when it is loaded");
  }
  Later([response, reply] { reply(response); });
}

void FakeEngine::GetType(const v1::GetTypeRequest& request, Reply<v1::GetTypeResponse> reply) {
  ListTypes({}, [request, reply](const absl::StatusOr<v1::ListTypesResponse>& types) {
    for (const v1::RunnableType& type : types->types()) {
      if (type.name() != request.name()) continue;
      v1::GetTypeResponse response;
      *response.mutable_type() = type;
      return reply(response);
    }
    reply(NoSuch(request.name()));
  });
}

v1::ApplyPipelineResponse FakeEngine::DoApply(const v1::ApplyPipelineRequest& request) {
  v1::ApplyPipelineResponse response;
  const v1::PipelineSpec& spec = request.spec();
  v1::Pipeline& pipeline = *response.mutable_pipeline();
  pipeline.set_name("pipelines/" + spec.pipeline());
  if (const auto it = pipelines_.find(pipeline.name()); it != pipelines_.end()) pipeline = it->second;
  pipeline.set_generation(pipeline.generation() + 1);
  *pipeline.mutable_spec() = spec;
  for (const auto& [name, task_spec] : std::map<std::string, v1::TaskSpec>(spec.tasks().begin(), spec.tasks().end())) {
    for (uint32_t replica = 0; replica < std::max(1u, task_spec.replicas()); ++replica) {
      v1::Task task;
      task.set_name(absl::StrCat(pipeline.name(), "/tasks/", name, task_spec.replicas() > 1 ? absl::StrCat(".", replica) : ""));
      task.set_generation(pipeline.generation());
      *task.mutable_spec() = task_spec;
      task.set_replica(static_cast<int32_t>(replica));
      task.mutable_status()->set_state(task_spec.stopped() ? v1::TASK_STATE_STOPPED : v1::TASK_STATE_RUNNING);
      task.mutable_status()->set_run(1);
      task.mutable_status()->set_pid(4711);
      v1::PlannedChange& change = *response.add_changes();
      change.set_name(task.name());
      change.set_action(tasks_.count(task.name()) ? v1::PlannedChange::ACTION_UPDATE : v1::PlannedChange::ACTION_CREATE);
      if (request.validate_only()) continue;
      tasks_[task.name()] = task;
      Show(task);
    }
  }
  pipeline.set_task_count(response.changes_size());
  pipeline.set_ready_count(response.changes_size());
  if (!request.validate_only()) pipelines_[pipeline.name()] = pipeline;
  return response;
}

void FakeEngine::Apply(const v1::ApplyPipelineRequest& request, Reply<v1::ApplyPipelineResponse> reply) {
  Later([this, request, reply] {
    if (absl::Status status = Check(request.spec()); !status.ok()) return reply(status);
    absl::StatusOr<v1::ApplyPipelineResponse> response;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      request_ids_.push_back(request.request_id());
      response = DoApply(request);
    }
    reply(std::move(response));
  });
}

void FakeEngine::Delete(const v1::DeletePipelineRequest& request, Reply<v1::DeletePipelineResponse> reply) {
  Later([this, request, reply] {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      request_ids_.push_back(request.request_id());
      if (pipelines_.erase(request.name()) == 0) return reply(NoSuch(request.name()));
      std::erase_if(tasks_, [&](const auto& entry) {
        if (!absl::StartsWith(entry.first, PrefixOf(request.name()))) return false;
        feed_->Remove(entry.first);
        waiters_.Gone(entry.first);
        return true;
      });
    }
    reply(v1::DeletePipelineResponse());
  });
}

absl::StatusOr<v1::Pipeline> FakeEngine::GetPipeline(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = pipelines_.find(name);
  return it == pipelines_.end() ? absl::StatusOr<v1::Pipeline>(NoSuch(name)) : it->second;
}

absl::StatusOr<v1::ListPipelinesResponse> FakeEngine::ListPipelines(const v1::ListPipelinesRequest& request) {
  std::lock_guard<std::mutex> lock(mutex_);
  v1::ListPipelinesResponse response;
  response.set_next_page_token(Page(pipelines_, "", request.page_size(), request.page_token(), response.mutable_pipelines()));
  return response;
}

absl::StatusOr<v1::Task> FakeEngine::GetTask(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = tasks_.find(name);
  return it == tasks_.end() ? absl::StatusOr<v1::Task>(NoSuch(name)) : it->second;
}

absl::StatusOr<v1::ListTasksResponse> FakeEngine::ListTasks(const v1::ListTasksRequest& request) {
  std::lock_guard<std::mutex> lock(mutex_);
  v1::ListTasksResponse response;
  response.set_next_page_token(
      Page(tasks_, PrefixOf(request.parent()), request.page_size(), request.page_token(), response.mutable_tasks()));
  return response;
}

template <class Request, class Response>
void FakeEngine::Change(const Request& request, v1::TaskState state, Reply<Response> reply) {
  Later([this, request, state, reply] {
    Response response;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      request_ids_.push_back(request.request_id());
      const auto it = tasks_.find(request.name());
      if (it == tasks_.end()) return reply(NoSuch(request.name()));
      if (!request.validate_only()) {
        it->second.mutable_status()->set_state(state);
        Show(it->second);
      }
      *response.mutable_task() = it->second;
    }
    reply(std::move(response));
  });
}

void FakeEngine::Drain(const v1::DrainHostRequest& request, Reply<v1::DrainHostResponse> reply) {
  Later([this, request, reply] {
    v1::DrainHostResponse response;
    *response.mutable_host() = GetHost();
    response.mutable_host()->set_drained(!request.undo());
    {
      std::lock_guard<std::mutex> lock(mutex_);
      request_ids_.push_back(request.request_id());
    }
    reply(std::move(response));
  });
}

void FakeEngine::Create(const v1::CreateTaskRequest& request, Reply<v1::CreateTaskResponse> reply) {
  Later([this, request, reply] {
    v1::Task task;
    task.set_name(request.parent() + "/tasks/" + request.task_id());
    *task.mutable_spec() = request.spec();
    v1::CreateTaskResponse response;
    *response.add_tasks() = task;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      request_ids_.push_back(request.request_id());
      if (tasks_.count(task.name()) > 0) return reply(absl::AlreadyExistsError(task.name()));
      tasks_[task.name()] = task;
      Show(task);
    }
    reply(std::move(response));
  });
}

void FakeEngine::Delete(const v1::DeleteTaskRequest& request, Reply<v1::DeleteTaskResponse> reply) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    request_ids_.push_back(request.request_id());
    if (tasks_.count(request.name()) == 0) return Later([reply, request] { reply(NoSuch(request.name())); });
  }
  Forget(request.name());
  Later([reply] { reply(v1::DeleteTaskResponse()); });
}

void FakeEngine::Start(const v1::StartTaskRequest& request, Reply<v1::StartTaskResponse> reply) {
  Change(request, v1::TASK_STATE_RUNNING, std::move(reply));
}
void FakeEngine::Stop(const v1::StopTaskRequest& request, Reply<v1::StopTaskResponse> reply) {
  Change(request, v1::TASK_STATE_STOPPED, std::move(reply));
}

void FakeEngine::SetLogLevel(const v1::SetLogLevelRequest& request, Reply<v1::SetLogLevelResponse> reply) {
  Later([this, request, reply] {
    v1::SetLogLevelResponse response;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      request_ids_.push_back(request.request_id());
      for (auto& [name, task] : tasks_) {
        if (name != request.name() && !absl::StartsWith(name, PrefixOf(request.name()))) continue;
        response.add_tasks(name);
        if (!request.validate_only()) task.mutable_status()->set_log_level(request.level());
      }
    }
    if (response.tasks().empty()) return reply(NoSuch(request.name()));
    reply(response);
  });
}

void FakeEngine::Restart(const v1::RestartTaskRequest& request, Reply<v1::RestartTaskResponse> reply) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto it = tasks_.find(request.name());
    if (it != tasks_.end() && !request.validate_only()) it->second.mutable_status()->set_run(it->second.status().run() + 1);
  }
  Change(request, v1::TASK_STATE_RUNNING, std::move(reply));
}

std::unique_ptr<CallHandle> FakeEngine::Wait(const v1::WaitTaskRequest& request, Reply<v1::WaitTaskResponse> reply) {
  class Handle final : public CallHandle {
   public:
    Handle(FakeEngine* engine, uint64_t id) : engine_(engine), id_(id) {}
    void Cancel() override {
      std::lock_guard<std::mutex> lock(engine_->mutex_);
      engine_->waiters_.Cancel(id_);
      ++engine_->cancelled;
    }

   private:
    FakeEngine* const engine_;
    const uint64_t id_;
  };
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = tasks_.find(request.name());
  if (it == tasks_.end()) {
    reply(NoSuch(request.name()));
    return nullptr;
  }
  waiters_.Add(++waits_, request, it->second, std::move(reply));
  return std::make_unique<Handle>(this, waits_);
}

std::unique_ptr<CallHandle> FakeEngine::Invoke(const v1::InvokeCommandRequest& request, absl::Time deadline,
                                               Reply<v1::InvokeCommandResponse> reply) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    last_deadline_ = deadline;
    request_ids_.push_back(request.request_id());
  }
  if (request.command() == "wait") return std::make_unique<Waiting>(this, std::move(reply));
  if (request.command() == "forget") return nullptr;
  absl::StatusOr<v1::InvokeCommandResponse> answer(v1::InvokeCommandResponse{});
  if (absl::Status found = GetTask(request.name()).status(); !found.ok()) {
    answer = found;
  } else if (request.command() == "echo") {
    answer->set_run(1);
    auto& fields = *answer->mutable_result()->mutable_struct_value()->mutable_fields();
    for (const auto& [name, value] : request.arguments()) fields[name] = value;
  } else if (request.command() == "fail") {
    absl::Status status = absl::FailedPreconditionError("not \x1b[31mnow");
    google::rpc::ErrorInfo info;
    info.set_reason("NOT_NOW");
    info.set_domain("puma");
    AddDetail(status, info);
    answer = status;
  } else {
    answer = absl::InvalidArgumentError("there is no command " + request.command());
  }
  Later([answer, reply] { reply(answer); });
  return nullptr;
}

absl::StatusOr<v1::Buffer> FakeEngine::GetBuffer(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto buffers = BuffersOf(pipelines_);
  const auto it = buffers.find(name);
  return it == buffers.end() ? absl::StatusOr<v1::Buffer>(NoSuch(name)) : it->second;
}

void FakeEngine::Publish(const std::string& buffer, const std::string& payload) {
  std::lock_guard<std::mutex> lock(mutex_);
  published_[buffer].push_back(payload);
}

absl::StatusOr<std::unique_ptr<BufferTap>> FakeEngine::Tap(const v1::TapBufferRequest& request) {
  // Brings all that was published since the tap was opened.
  class FakeTap final : public BufferTap {
   public:
    FakeTap(FakeEngine* engine, std::string buffer) : engine_(engine), buffer_(std::move(buffer)) {
      std::lock_guard<std::mutex> lock(engine_->mutex_);
      next_ = engine_->published_[buffer_].size();
    }
    absl::StatusOr<bool> Take(v1::TapBufferResponse& batch) override {
      std::lock_guard<std::mutex> lock(engine_->mutex_);
      if (!BuffersOf(engine_->pipelines_).contains(buffer_)) return NoSuch(buffer_);
      const std::vector<std::string>& published = engine_->published_[buffer_];
      for (; next_ < published.size(); ++next_) {
        if (batch.lanes_size() == 0) batch.add_lanes()->set_publisher("pipelines/edges/tasks/loader");
        v1::TappedMessage& message = *batch.add_messages();
        message.set_number(next_);
        message.set_payload(published[next_]);
        message.set_size(published[next_].size());
      }
      return !std::exchange(begun_, true) || batch.messages_size() > 0;
    }

   private:
    FakeEngine* const engine_;
    const std::string buffer_;
    size_t next_ = 0;
    bool begun_ = false;
  };
  if (absl::Status found = GetBuffer(request.name()).status(); !found.ok()) return found;
  return std::make_unique<FakeTap>(this, request.name());
}

absl::StatusOr<v1::ListBuffersResponse> FakeEngine::ListBuffers(const v1::ListBuffersRequest& request) {
  std::lock_guard<std::mutex> lock(mutex_);
  v1::ListBuffersResponse response;
  response.set_next_page_token(
      Page(BuffersOf(pipelines_), PrefixOf(request.parent()), request.page_size(), request.page_token(), response.mutable_buffers()));
  return response;
}

absl::StatusOr<v1::ListDeadLettersResponse> FakeEngine::ListDeadLetters(const v1::ListDeadLettersRequest& request) {
  v1::ListDeadLettersResponse response;
  v1::DeadLetter& letter = *response.add_dead_letters();
  letter.set_name(absl::StrCat(request.parent().empty() ? "pipelines/edges" : request.parent(), "/deadLetters/1"));
  letter.set_task("pipelines/edges/tasks/detector.0");
  letter.set_buffer("pipelines/edges/buffers/frames");
  letter.set_publisher("pipelines/edges/tasks/loader");
  letter.set_number(41);
  letter.set_deliveries(5);
  letter.set_payload_bytes(3);
  letter.set_payload("abc");
  letter.mutable_cause()->set_summary("killed by SIGSEGV");
  return response;
}

absl::StatusOr<bool> FakeEngine::PipelineHealthy(const std::string& pipeline) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!pipelines_.count(pipeline)) return NoSuch(pipeline);
  for (const auto& [name, task] : tasks_) {
    if (absl::StartsWith(name, PrefixOf(pipeline)) && task.status().state() == v1::TASK_STATE_FAILED) return false;
  }
  return true;
}

void FakeEngine::Put(const v1::Task& task) {
  std::lock_guard<std::mutex> lock(mutex_);
  tasks_[task.name()] = task;
  Show(task);
}

void FakeEngine::Show(const v1::Task& task) {
  feed_->Put(task);
  waiters_.Seen(task);
}

void FakeEngine::PutPipeline(const v1::Pipeline& pipeline) {
  std::lock_guard<std::mutex> lock(mutex_);
  pipelines_[pipeline.name()] = pipeline;
}

void FakeEngine::Forget(const std::string& task) {
  std::lock_guard<std::mutex> lock(mutex_);
  tasks_.erase(task);
  feed_->Remove(task);
  waiters_.Gone(task);
}

void FakeEngine::MoveTo(TaskFeed* feed) {
  std::lock_guard<std::mutex> lock(mutex_);
  feed_ = feed;
  for (const auto& [name, task] : tasks_) feed->Put(task);
}

std::vector<std::string> FakeEngine::request_ids() {
  std::lock_guard<std::mutex> lock(mutex_);
  return request_ids_;
}

absl::Time FakeEngine::last_deadline() {
  std::lock_guard<std::mutex> lock(mutex_);
  return last_deadline_;
}

}  // namespace puma::server
