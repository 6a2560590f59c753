// Every unary method, over a real socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/rpc/fake_host.h"
#include "tests/rpc/stubs.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UnaryTest : public ::testing::Test {
 protected:
  // Calls with a fresh context.
  template <class Stub, class Request, class Response>
  static grpc::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                           const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub.*method)(&context, request, response);
  }
  void Apply() {
    v1::ApplyPipelineRequest request;
    *request.mutable_spec() = EdgesSpec();
    v1::ApplyPipelineResponse response;
    ASSERT_TRUE(Call(stubs_.pipelines, &v1::PipelineService::Stub::ApplyPipeline, request, &response).ok());
  }
  grpc::Status Invoke(const std::string& command, v1::InvokeCommandResponse* response, const std::string& task = "loader") {
    v1::InvokeCommandRequest request;
    request.set_name("pipelines/edges/tasks/" + task);
    request.set_command(command);
    (*request.mutable_arguments())["threshold"].set_number_value(0.4);
    return Call(stubs_.tasks, &v1::TaskService::Stub::InvokeCommand, request, response);
  }

  FakeHost host_;
  Stubs stubs_{host_.target()};
};

// The details that a client finds in grpc-status-details-bin.
template <class Detail>
Detail DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  Detail detail;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), status.error_code());
  EXPECT_EQ(details.message(), status.error_message());
  for (const auto& any : details.details()) any.UnpackTo(&detail);
  return detail;
}

TEST_F(UnaryTest, TheHostSaysWhatItIs) {
  v1::GetHostResponse response;
  ASSERT_TRUE(Call(stubs_.host, &v1::HostService::Stub::GetHost, v1::GetHostRequest(), &response).ok());
  EXPECT_EQ(response.host().name(), "host");
  v1::ListTypesResponse types;
  ASSERT_TRUE(Call(stubs_.host, &v1::HostService::Stub::ListTypes, v1::ListTypesRequest(), &types).ok());
  EXPECT_EQ(types.types(0).name(), "types/edges.EdgeDetector");
  EXPECT_EQ(types.broken(0).module(), "broken");
}

TEST_F(UnaryTest, PipelinesAreAppliedFoundListedAndDeleted) {
  Apply();
  v1::GetPipelineRequest get;
  get.set_name("pipelines/edges");
  v1::GetPipelineResponse got;
  ASSERT_TRUE(Call(stubs_.pipelines, &v1::PipelineService::Stub::GetPipeline, get, &got).ok());
  EXPECT_EQ(got.pipeline().task_count(), 4);
  v1::ListPipelinesResponse list;
  ASSERT_TRUE(Call(stubs_.pipelines, &v1::PipelineService::Stub::ListPipelines, v1::ListPipelinesRequest(), &list).ok());
  EXPECT_EQ(list.pipelines_size(), 1);
  v1::DeletePipelineRequest remove;
  remove.set_name("pipelines/edges");
  v1::DeletePipelineResponse removed;
  ASSERT_TRUE(Call(stubs_.pipelines, &v1::PipelineService::Stub::DeletePipeline, remove, &removed).ok());
  EXPECT_EQ(Call(stubs_.pipelines, &v1::PipelineService::Stub::GetPipeline, get, &got).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(UnaryTest, TasksAndBuffersAreFoundListedStartedAndStopped) {
  Apply();
  v1::ListTasksRequest list;
  list.set_parent("pipelines/edges");
  list.set_page_size(3);
  v1::ListTasksResponse page, rest;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::ListTasks, list, &page).ok());
  EXPECT_EQ(page.tasks_size(), 3);
  list.set_page_token(page.next_page_token());
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::ListTasks, list, &rest).ok());
  EXPECT_EQ(rest.tasks_size(), 1);
  EXPECT_EQ(rest.next_page_token(), "");

  v1::StopTaskRequest stop;
  stop.set_name("pipelines/edges/tasks/detector.1");
  v1::StopTaskResponse stopped;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::StopTask, stop, &stopped).ok());
  EXPECT_EQ(stopped.task().status().state(), v1::TASK_STATE_STOPPED);
  v1::StartTaskRequest start;
  start.set_name(stop.name());
  v1::StartTaskResponse started;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::StartTask, start, &started).ok());
  v1::GetTaskRequest get;
  get.set_name(stop.name());
  v1::GetTaskResponse got;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::GetTask, get, &got).ok());
  EXPECT_EQ(got.task().status().state(), v1::TASK_STATE_RUNNING);

  v1::GetBufferRequest buffer;
  buffer.set_name("pipelines/edges/buffers/frames");
  v1::GetBufferResponse found;
  ASSERT_TRUE(Call(stubs_.buffers, &v1::BufferService::Stub::GetBuffer, buffer, &found).ok());
  EXPECT_EQ(found.buffer().spec().capacity().bytes(), 64u << 20);
  v1::ListBuffersResponse buffers;
  ASSERT_TRUE(Call(stubs_.buffers, &v1::BufferService::Stub::ListBuffers, v1::ListBuffersRequest(), &buffers).ok());
  EXPECT_EQ(buffers.buffers_size(), 2);
  v1::ListDeadLettersResponse letters;
  ASSERT_TRUE(Call(stubs_.buffers, &v1::BufferService::Stub::ListDeadLetters, v1::ListDeadLettersRequest(), &letters).ok());
  EXPECT_EQ(letters.dead_letters(0).number(), 41u);
  v1::ListDeadLettersRequest wrong;
  wrong.set_parent("pipelines/edges/buffers/frames");
  EXPECT_EQ(Call(stubs_.buffers, &v1::BufferService::Stub::ListDeadLetters, wrong, &letters).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UnaryTest, ListsAreFiltered) {
  Apply();
  v1::StopTaskRequest stop;
  stop.set_name("pipelines/edges/tasks/sink");
  v1::StopTaskResponse stopped;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::StopTask, stop, &stopped).ok());
  v1::ListTasksRequest tasks;
  tasks.set_filter("state=stopped");
  tasks.set_page_size(2);  // it lies on the second page of all
  v1::ListTasksResponse found;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::ListTasks, tasks, &found).ok());
  ASSERT_EQ(found.tasks_size(), 1);
  EXPECT_EQ(found.tasks(0).name(), stop.name());
  EXPECT_EQ(found.next_page_token(), "");

  tasks.set_filter("name=*detector*");
  tasks.set_page_size(1);
  std::vector<std::string> names;
  do {
    ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::ListTasks, tasks, &found).ok());
    for (const v1::Task& task : found.tasks()) names.push_back(task.name());
    ASSERT_LE(found.tasks_size(), 1);
    tasks.set_page_token(found.next_page_token());
  } while (!tasks.page_token().empty());
  EXPECT_THAT(names, ElementsAre("pipelines/edges/tasks/detector.0", "pipelines/edges/tasks/detector.1"));

  v1::ListPipelinesRequest pipelines;
  pipelines.set_filter("name=*else");
  v1::ListPipelinesResponse none;
  ASSERT_TRUE(Call(stubs_.pipelines, &v1::PipelineService::Stub::ListPipelines, pipelines, &none).ok());
  EXPECT_EQ(none.pipelines_size(), 0);
  v1::ListTypesRequest types;
  types.set_filter("name:Detector");
  v1::ListTypesResponse detectors;
  ASSERT_TRUE(Call(stubs_.host, &v1::HostService::Stub::ListTypes, types, &detectors).ok());
  EXPECT_EQ(detectors.types_size(), 1);
  types.set_page_token(detectors.types(0).name());
  ASSERT_TRUE(Call(stubs_.host, &v1::HostService::Stub::ListTypes, types, &detectors).ok());
  EXPECT_EQ(detectors.types_size() + detectors.broken_size(), 0) << "the first page had them";

  tasks.set_filter("state=faild");
  const grpc::Status wrong = Call(stubs_.tasks, &v1::TaskService::Stub::ListTasks, tasks, &found);
  EXPECT_EQ(wrong.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(wrong.error_message(), HasSubstr("did you mean"));
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(wrong).field_violations(0).field(), "filter");
}

TEST_F(UnaryTest, CommandsBringResults) {
  Apply();
  v1::InvokeCommandResponse response;
  ASSERT_TRUE(Invoke("echo", &response).ok());
  EXPECT_EQ(response.result().struct_value().fields().at("threshold").number_value(), 0.4);
  EXPECT_EQ(host_.engine().last_deadline(), absl::InfiniteFuture()) << "none was given";
}

TEST_F(UnaryTest, ErrorsBringTheirDetails) {
  Apply();
  v1::InvokeCommandResponse response;
  const grpc::Status failed = Invoke("fail", &response);
  EXPECT_EQ(failed.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(failed).reason(), "NOT_NOW");
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(failed).domain(), "puma");

  v1::ApplyPipelineRequest request;
  *request.mutable_spec() = EdgesSpec();
  request.mutable_spec()->add_modules("missing");
  v1::ApplyPipelineResponse applied;
  const grpc::Status refused = Call(stubs_.pipelines, &v1::PipelineService::Stub::ApplyPipeline, request, &applied);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_EQ(DetailOf<google::rpc::BadRequest>(refused).field_violations_size(), 1);
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(refused).field_violations(0).field(), "modules[1]");
}

TEST_F(UnaryTest, NamesOfAWrongFormAreToldWithTheField) {
  v1::GetTaskRequest get;
  get.set_name("edges/loader");
  v1::GetTaskResponse got;
  const grpc::Status status = Call(stubs_.tasks, &v1::TaskService::Stub::GetTask, get, &got);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status).field_violations(0).field(), "name");
  EXPECT_THAT(status.error_message(), HasSubstr("pipelines/"));

  v1::ListTasksRequest list;
  list.set_page_size(-1);
  v1::ListTasksResponse listed;
  const grpc::Status negative = Call(stubs_.tasks, &v1::TaskService::Stub::ListTasks, list, &listed);
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(negative).field_violations(0).field(), "page_size");

  v1::InvokeCommandResponse response;
  EXPECT_EQ(Invoke("", &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UnaryTest, RequestIdsReachTheEngine) {
  v1::StopTaskRequest stop;
  stop.set_name("pipelines/edges/tasks/loader");
  stop.set_request_id("the-id");
  v1::StopTaskResponse stopped;
  EXPECT_EQ(Call(stubs_.tasks, &v1::TaskService::Stub::StopTask, stop, &stopped).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(host_.engine().request_ids(), ElementsAre("the-id"));
}

TEST_F(UnaryTest, TheClientsCancelReachesTheEngine) {
  grpc::ClientContext context;
  v1::InvokeCommandRequest request;
  request.set_name("pipelines/edges/tasks/loader");
  request.set_command("wait");
  v1::InvokeCommandResponse response;
  grpc::Status status;
  std::thread caller([&] { status = stubs_.tasks.InvokeCommand(&context, request, &response); });
  EXPECT_TRUE(Eventually([&] { return host_.engine().waiting == 1; }));
  context.TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return host_.engine().cancelled == 1 && host_.engine().waiting == 0; }));
}

TEST_F(UnaryTest, TheDeadlineReachesTheEngineAndEndsTheCall) {
  grpc::ClientContext context;
  const absl::Time deadline = absl::Now() + absl::Milliseconds(50);
  context.set_deadline(absl::ToChronoTime(deadline));
  v1::InvokeCommandRequest request;
  request.set_name("pipelines/edges/tasks/loader");
  request.set_command("wait");
  v1::InvokeCommandResponse response;
  EXPECT_EQ(stubs_.tasks.InvokeCommand(&context, request, &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return host_.engine().cancelled == 1; }));
  EXPECT_LT(host_.engine().last_deadline(), absl::Now() + absl::Minutes(1));
}

v1::WaitTaskRequest WaitFor(const std::string& task, std::initializer_list<v1::TaskState> states, int64_t run = 0) {
  v1::WaitTaskRequest request;
  request.set_name("pipelines/edges/tasks/" + task);
  for (const v1::TaskState state : states) request.add_states(state);
  request.set_run(run);
  return request;
}

TEST_F(UnaryTest, ARestartIsTheNextRun) {
  Apply();
  v1::RestartTaskRequest restart;
  restart.set_name("pipelines/edges/tasks/loader");
  restart.set_validate_only(true);
  v1::RestartTaskResponse restarted;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::RestartTask, restart, &restarted).ok());
  EXPECT_EQ(restarted.task().status().run(), 1);
  restart.set_validate_only(false);
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::RestartTask, restart, &restarted).ok());
  EXPECT_EQ(restarted.task().status().run(), 2);
  restart.set_name("pipelines/edges");
  EXPECT_EQ(Call(stubs_.tasks, &v1::TaskService::Stub::RestartTask, restart, &restarted).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UnaryTest, WhoWaitsIsAnsweredWhenItComes) {
  Apply();
  v1::WaitTaskResponse now;
  ASSERT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::WaitTask, WaitFor("loader", {v1::TASK_STATE_RUNNING}), &now).ok());
  EXPECT_EQ(now.task().status().run(), 1);
  std::atomic<int> answered{0};
  std::thread ended([&] {
    v1::WaitTaskResponse response;
    EXPECT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::WaitTask, WaitFor("loader", {}), &response).ok());
    EXPECT_EQ(response.task().status().state(), v1::TASK_STATE_FAILED);
    ++answered;
  });
  std::thread next_run([&] {
    v1::WaitTaskResponse response;
    EXPECT_TRUE(Call(stubs_.tasks, &v1::TaskService::Stub::WaitTask, WaitFor("loader", {v1::TASK_STATE_RUNNING}, 2), &response).ok());
    EXPECT_EQ(response.task().status().run(), 2);
    ++answered;
  });
  v1::Task task = now.task();
  task.mutable_status()->set_state(v1::TASK_STATE_FAILED);
  ASSERT_TRUE(Eventually([&] {  // whoever came later sees it, too
    host_.engine().Put(task);
    return answered == 1;
  }));
  task.mutable_status()->set_state(v1::TASK_STATE_RUNNING);
  task.mutable_status()->set_run(2);
  host_.engine().Put(task);
  ended.join();
  next_run.join();
}

TEST_F(UnaryTest, WaitingEndsWithTheTaskOrTheDeadline) {
  Apply();
  v1::WaitTaskResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(stubs_.tasks.WaitTask(&context, WaitFor("loader", {}), &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return host_.engine().cancelled == 1; }));
  std::thread forget([&] { host_.engine().Forget("pipelines/edges/tasks/sink"); });
  EXPECT_EQ(Call(stubs_.tasks, &v1::TaskService::Stub::WaitTask, WaitFor("sink", {}), &response).error_code(), grpc::StatusCode::NOT_FOUND);
  forget.join();
  EXPECT_EQ(
      Call(stubs_.tasks, &v1::TaskService::Stub::WaitTask, WaitFor("loader", {static_cast<v1::TaskState>(77)}), &response).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(stubs_.tasks, &v1::TaskService::Stub::WaitTask, WaitFor("loader", {}, -1), &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UnaryTest, ATypeIsFoundByItsName) {
  v1::GetTypeRequest get;
  get.set_name("types/edges.EdgeDetector");
  v1::GetTypeResponse got;
  ASSERT_TRUE(Call(stubs_.host, &v1::HostService::Stub::GetType, get, &got).ok());
  EXPECT_EQ(got.type().commands(0).name(), "set_threshold");
  get.set_name("types/edges.Detector");
  EXPECT_EQ(Call(stubs_.host, &v1::HostService::Stub::GetType, get, &got).error_code(), grpc::StatusCode::NOT_FOUND);
  get.set_name("edges.EdgeDetector");
  EXPECT_EQ(Call(stubs_.host, &v1::HostService::Stub::GetType, get, &got).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UnaryTest, ACallThatTheEngineForgetsIsAnsweredAllTheSame) {
  v1::InvokeCommandResponse response;
  EXPECT_EQ(Invoke("forget", &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(UnaryTest, ManyCallersGetTheirOwnAnswers) {
  Apply();
  std::atomic<int> right{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      Stubs stubs(host_.target());
      for (int n = 0; n < 50; ++n) {
        v1::InvokeCommandRequest request;
        request.set_name("pipelines/edges/tasks/loader");
        request.set_command("echo");
        (*request.mutable_arguments())["n"].set_number_value(i * 1000 + n);
        v1::InvokeCommandResponse response;
        if (!Call(stubs.tasks, &v1::TaskService::Stub::InvokeCommand, request, &response).ok()) continue;
        right += response.result().struct_value().fields().at("n").number_value() == i * 1000 + n;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right, 400);
}

TEST_F(UnaryTest, ARequestThatIsTooLargeIsRefusedAndTheHostGoesOn) {
  v1::GetTaskRequest get;
  get.set_name(std::string(5 << 20, 'a'));
  v1::GetTaskResponse got;
  EXPECT_EQ(Call(stubs_.tasks, &v1::TaskService::Stub::GetTask, get, &got).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  Apply();
}

}  // namespace
}  // namespace puma::server
