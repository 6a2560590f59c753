// One task more or less in a running pipeline, and a host that is drained.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "client/include/puma/client/details.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ChangesTest : public HostTest {
 protected:
  void SetUp() override {
    StartHost();
    ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB}}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
  collector: {type: flow.Collector, placement: thread, inputs: {in: raw}}
)")
                    .ok());
    for (const char* task : {"p/teller", "p/collector"}) ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING));
  }
  static v1::CreateTaskRequest Servant(const std::string& name) {
    v1::CreateTaskRequest request;
    request.set_parent("pipelines/p");
    request.set_task_id(name);
    request.mutable_spec()->set_type("flow.Servant");
    return request;
  }
  static v1::DeleteTaskRequest Without(const std::string& name) {
    v1::DeleteTaskRequest request;
    request.set_name("pipelines/p/tasks/" + name);
    return request;
  }
  std::vector<std::string> Tasks() {
    std::vector<std::string> names;
    const auto list = client().ListTasks();
    for (const v1::Task& task : list->tasks()) names.push_back(task.name().substr(std::string("pipelines/p/tasks/").size()));
    return names;
  }
  std::vector<v1::TaskState> States() {
    std::vector<v1::TaskState> states;
    const auto list = client().ListTasks();
    for (const v1::Task& task : list->tasks()) states.push_back(task.status().state());
    return states;
  }
  int64_t Run(const std::string& task) { return Task("p/" + task).status().run(); }
};

TEST_F(ChangesTest, ATaskIsAddedAndTheOthersRunOn) {
  v1::CreateTaskRequest request = Servant("s");
  request.set_request_id("once");
  const auto created = client().CreateTask(request);
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_EQ(created->tasks_size(), 1);
  EXPECT_EQ(created->tasks(0).name(), "pipelines/p/tasks/s");
  EXPECT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  EXPECT_TRUE(client().CreateTask(request).ok()) << "the kept answer";
  EXPECT_TRUE(Call("p/s", "echo", {{"text", Of("here")}}).ok());
  EXPECT_EQ(Run("teller"), 1);
  EXPECT_EQ(Run("collector"), 1);
  EXPECT_EQ(client().CreateTask(Servant("s")).status().code(), absl::StatusCode::kAlreadyExists);

  v1::CreateTaskRequest other = Servant("exec");
  other.mutable_spec()->set_type("puma.Exec");
  const absl::Status wrong = client().CreateTask(other).status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument) << "its module is known, and says what is missing: " << wrong;
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("command"));
}

TEST_F(ChangesTest, ReplicasComeAndGoTogether) {
  v1::CreateTaskRequest request = Servant("s");
  request.mutable_spec()->set_replicas(2);
  const auto created = client().CreateTask(request);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->tasks_size(), 2);
  const absl::Status one = client().DeleteTask(Without("s.0")).status();
  EXPECT_EQ(one.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(one.message()), HasSubstr("pipelines/p/tasks/s,"));
  ASSERT_TRUE(client().DeleteTask(Without("s")).ok());
  EXPECT_TRUE(Eventually([&] { return Tasks().size() == 2; }));
}

TEST_F(ChangesTest, ATaskIsDeletedAndTheOthersRunOn) {
  ASSERT_TRUE(client().CreateTask(Servant("s")).ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  v1::DeleteTaskRequest request = Without("s");
  request.set_request_id("once");
  request.set_validate_only(true);
  const auto plan = client().DeleteTask(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(Tasks().size(), 3u) << "nothing has changed";
  request.set_request_id("really");
  request.set_validate_only(false);
  ASSERT_TRUE(client().DeleteTask(request).ok());
  EXPECT_TRUE(Eventually([&] { return Tasks().size() == 2; }));
  EXPECT_TRUE(client().DeleteTask(request).ok()) << "the kept answer";
  EXPECT_EQ(client().DeleteTask(Without("s")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Run("teller"), 1);
  const Ran ran = Ctl({"delete", "p/collector"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_TRUE(Eventually([&] { return Tasks() == std::vector<std::string>{"teller"}; }));
}

TEST_F(ChangesTest, AChangeOfSomethingElseMeanwhileIsNotLost) {
  v1::GetPipelineRequest get;
  get.set_name("pipelines/p");
  const std::string etag = client().GetPipeline(get)->pipeline().etag();
  ASSERT_TRUE(client().CreateTask(Servant("s")).ok());
  v1::CreateTaskRequest late = Servant("t");
  late.set_etag(etag);
  EXPECT_EQ(client().CreateTask(late).status().code(), absl::StatusCode::kAborted);
  v1::DeleteTaskRequest old = Without("s");
  old.set_etag(etag);
  EXPECT_EQ(client().DeleteTask(old).status().code(), absl::StatusCode::kAborted);
  v1::CreateTaskRequest nowhere = Servant("t");
  nowhere.set_parent("pipelines/q");
  EXPECT_EQ(client().CreateTask(nowhere).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ChangesTest, ADrainedHostRunsNothingUntilItIsUndone) {
  const Ran drained = Ctl({"drain", "--wait"});
  EXPECT_EQ(drained.code, 0) << drained.err;
  EXPECT_THAT(drained.err, HasSubstr("0 tasks still run"));
  EXPECT_THAT(States(), UnorderedElementsAre(v1::TASK_STATE_PENDING, v1::TASK_STATE_PENDING));
  EXPECT_THAT(Task("p/teller").status().reason(), HasSubstr("drained"));
  EXPECT_EQ(Task("p/teller").status().last_exit().cause(), v1::EXIT_CAUSE_STOPPED);

  ASSERT_TRUE(client().CreateTask(Servant("s")).ok()) << "what is wanted may change";
  v1::StopTaskRequest stop;
  stop.set_name("pipelines/p/tasks/collector");
  ASSERT_TRUE(client().StopTask(stop).ok());
  KillHost();
  ASSERT_TRUE(Eventually([&] {
    const auto host = client().GetHost();
    return host.ok() && host->host().incarnation() == 2;
  }));
  EXPECT_TRUE(client().GetHost()->host().drained()) << "the next one knows";
  EXPECT_EQ(Task("p/s").status().state(), v1::TASK_STATE_PENDING);
  EXPECT_EQ(client().GetHost()->host().running_count(), 0);

  ASSERT_EQ(Ctl({"drain", "--undo"}).code, 0);
  EXPECT_TRUE(WaitForState("p/teller", v1::TASK_STATE_RUNNING));
  EXPECT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  EXPECT_EQ(Task("p/teller").status().restarts(), 0) << "nobody failed";
  EXPECT_EQ(Task("p/collector").status().state(), v1::TASK_STATE_STOPPED) << "as was wanted";
}

}  // namespace
}  // namespace puma::system_test
