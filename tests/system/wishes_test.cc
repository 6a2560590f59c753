// What clients want of tasks: restart, wait, and what would be if.
#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class WishesTest : public HostTest {
 protected:
  void SetUp() override {
    StartHost();
    ASSERT_TRUE(
        Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n  t: {type: flow.Servant, placement: thread}\n").ok());
    for (const char* task : {"s", "t"}) ASSERT_TRUE(Wait(task, {v1::TASK_STATE_RUNNING}).ok());
  }
  absl::StatusOr<v1::Task> Wait(const std::string& task, std::initializer_list<v1::TaskState> states, int64_t run = 0) {
    v1::WaitTaskRequest request;
    request.set_name("pipelines/p/tasks/" + task);
    for (const v1::TaskState state : states) request.add_states(state);
    request.set_run(run);
    absl::StatusOr<v1::WaitTaskResponse> response = client().WaitTask(request, {.deadline = absl::Now() + absl::Minutes(2)});
    if (!response.ok()) return response.status();
    return response->task();
  }
  template <class Request>
  static Request Of(const std::string& name, const std::string& request_id = "") {
    Request request;
    request.set_name(name);
    request.set_request_id(request_id);
    return request;
  }
};

TEST_F(WishesTest, ARestartIsOneMoreRunAlsoWhenItIsAskedForTwice) {
  for (const char* task : {"s", "t"}) {
    const auto restart = Of<v1::RestartTaskRequest>(absl::StrCat("pipelines/p/tasks/", task), absl::StrCat("again-", task));
    ASSERT_TRUE(client().RestartTask(restart).ok());
    ASSERT_TRUE(client().RestartTask(restart).ok());
    const absl::StatusOr<v1::Task> next = Wait(task, {v1::TASK_STATE_RUNNING}, 2);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(next->status().run(), 2);
    EXPECT_EQ(next->status().last_exit().cause(), v1::EXIT_CAUSE_STOPPED);
    EXPECT_EQ(next->status().restarts(), 0) << "nobody failed";
    ASSERT_TRUE(client().RestartTask(restart).ok());  // the kept answer, no third run
    EXPECT_TRUE(Call(absl::StrCat("p/", task), "echo", {{"text", system_test::Of("second run")}}).ok());
    EXPECT_EQ(Task(absl::StrCat("p/", task)).status().run(), 2);
  }
}

TEST_F(WishesTest, ARestartAlsoStartsWhatWasStopped) {
  ASSERT_TRUE(client().StopTask(Of<v1::StopTaskRequest>("pipelines/p/tasks/s")).ok());
  ASSERT_TRUE(Wait("s", {}).ok());
  ASSERT_TRUE(client().RestartTask(Of<v1::RestartTaskRequest>("pipelines/p/tasks/s")).ok());
  EXPECT_TRUE(Wait("s", {v1::TASK_STATE_RUNNING}, 2).ok());
}

TEST_F(WishesTest, WhatIsOnlyValidatedChangesNothing) {
  auto stop = Of<v1::StopTaskRequest>("pipelines/p/tasks/s");
  stop.set_validate_only(true);
  ASSERT_TRUE(client().StopTask(stop).ok());
  auto restart = Of<v1::RestartTaskRequest>("pipelines/p/tasks/s");
  restart.set_validate_only(true);
  ASSERT_TRUE(client().RestartTask(restart).ok());
  restart.set_name("pipelines/p/tasks/x");
  EXPECT_EQ(client().RestartTask(restart).status().code(), absl::StatusCode::kNotFound);
  auto remove = Of<v1::DeletePipelineRequest>("pipelines/p");
  remove.set_validate_only(true);
  const absl::StatusOr<v1::DeletePipelineResponse> would = client().DeletePipeline(remove);
  ASSERT_TRUE(would.ok()) << would.status();
  ASSERT_EQ(would->changes_size(), 2);
  EXPECT_EQ(would->changes(0).name(), "pipelines/p/tasks/s");
  EXPECT_EQ(would->changes(0).action(), v1::PlannedChange::ACTION_DELETE);
  EXPECT_EQ(Task("p/s").status().state(), v1::TASK_STATE_RUNNING);
  EXPECT_EQ(Task("p/s").status().run(), 1);
}

TEST_F(WishesTest, WaitingEndsWithTheTaskAndOutlivesTheHost) {
  v1::WaitTaskRequest request;
  request.set_name("pipelines/p/tasks/s");
  request.set_run(2);
  EXPECT_EQ(client().WaitTask(request, {.deadline = absl::Now() + absl::Milliseconds(50)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::thread killer([&] {
    KillHost();
    EXPECT_TRUE(client().RestartTask(Of<v1::RestartTaskRequest>("pipelines/p/tasks/s")).ok());
  });
  EXPECT_TRUE(Wait("s", {v1::TASK_STATE_RUNNING}, 2).ok());
  killer.join();
  std::thread remover([&] { EXPECT_TRUE(client().DeletePipeline(Of<v1::DeletePipelineRequest>("pipelines/p")).ok()); });
  const absl::StatusOr<v1::Task> gone = Wait("t", {}, 7);
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kNotFound) << gone.status();
  remover.join();
}

// "wish: restart", "state: RUNNING -> STOPPING", "run 1 ended: stopped", ...
std::string Line(const v1::Event& event) {
  switch (event.kind()) {
    case v1::EVENT_KIND_WISH:
      return "wish: " + event.message();
    case v1::EVENT_KIND_STATE:
      return "state: " + event.message();
    case v1::EVENT_KIND_AUDIT:
      return absl::StrCat("audit: ", event.method(), " ", event.request_id());
    case v1::EVENT_KIND_RUN_ENDED:
      return absl::StrCat("run ", event.run(), " ended: ", event.message());
    default:
      return v1::EventKind_Name(event.kind());
  }
}

TEST_F(WishesTest, EventsTellWhatWasWantedAndWhatCameOfIt) {
  v1::WatchEventsRequest watch;
  watch.set_parent("pipelines/p/tasks/s");
  std::unique_ptr<client::Stream<v1::WatchEventsResponse>> stream =
      client().WatchEvents(watch, {.deadline = absl::Now() + absl::Minutes(2)});
  ASSERT_TRUE(stream->Next().ok());  // from here on nothing is missed
  ASSERT_TRUE(client().RestartTask(Of<v1::RestartTaskRequest>("pipelines/p/tasks/s", "again")).ok());
  ASSERT_TRUE(client().RestartTask(Of<v1::RestartTaskRequest>("pipelines/p/tasks/s", "again")).ok());
  ASSERT_TRUE(Wait("s", {v1::TASK_STATE_RUNNING}, 2).ok());
  (void)Call("p/s", "leave", {{"code", system_test::Of(3)}});
  std::vector<std::string> lines;
  while (lines.empty() || lines.back() != "state: STARTING -> RUNNING" || lines.size() < 9) {
    const absl::StatusOr<std::optional<v1::WatchEventsResponse>> batch = stream->Next();
    ASSERT_TRUE(batch.ok()) << batch.status() << ::testing::PrintToString(lines);
    for (const v1::Event& event : (*batch)->events()) {
      EXPECT_EQ(event.name(), "pipelines/p/tasks/s");
      if (event.kind() == v1::EVENT_KIND_WISH) {
        EXPECT_EQ(event.request_id(), "again");
      }
      if (event.kind() != v1::EVENT_KIND_AUDIT) lines.push_back(Line(event));
    }
  }
  EXPECT_THAT(lines,
              ::testing::ElementsAre("wish: restart", "state: RUNNING -> STOPPING", "run 1 ended: stopped", "state: STOPPING -> PENDING",
                                     "state: PENDING -> STARTING", "state: STARTING -> RUNNING", "state: RUNNING -> STOPPING: exit code 3",
                                     "run 2 ended: exit code 3", "state: STOPPING -> BACKOFF: exit code 3", "state: BACKOFF -> PENDING",
                                     "state: PENDING -> STARTING", "state: STARTING -> RUNNING"));
  const absl::StatusOr<v1::ListEventsResponse> all = client().ListEvents();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->events(0).kind(), v1::EVENT_KIND_HOST);
  EXPECT_THAT(Line(all->events(1)), ::testing::StartsWith("audit: PipelineService/ApplyPipeline "));
  EXPECT_EQ(Line(all->events(2)), "wish: apply: 2 created");
}

TEST_F(WishesTest, WhoChangedSomethingIsToldAsAnEventAndInTheLog) {
  ASSERT_TRUE(client().RestartTask(Of<v1::RestartTaskRequest>("pipelines/p/tasks/s", "again")).ok());
  (void)client().StopTask(Of<v1::StopTaskRequest>("pipelines/p/tasks/none", "never"));
  std::vector<v1::Event> audits;
  const absl::StatusOr<v1::ListEventsResponse> all = client().ListEvents();
  ASSERT_TRUE(all.ok()) << all.status();
  for (const v1::Event& event : all->events()) {
    if (event.kind() == v1::EVENT_KIND_AUDIT) audits.push_back(event);
  }
  ASSERT_EQ(audits.size(), 3u);
  EXPECT_EQ(audits[0].name(), "pipelines/p");
  EXPECT_EQ(audits[1].name(), "pipelines/p/tasks/s");
  EXPECT_EQ(audits[1].method(), "TaskService/RestartTask");
  EXPECT_EQ(audits[1].request_id(), "again");
  EXPECT_THAT(audits[1].principal(), ::testing::StartsWith(absl::StrCat("uid ", geteuid())));
  EXPECT_FALSE(audits[1].denied());
  EXPECT_EQ(audits[2].request_id(), "never") << "what comes to nothing is told as well";
  const Ran log = Ctl({"logs", "--history", "-1", "--grep", "audit: uid"});
  EXPECT_TRUE(absl::StrContains(log.out, "called TaskService/RestartTask of pipelines/p/tasks/s")) << log.out;
}

TEST_F(WishesTest, AWatchOfEventsGoesOnWithTheNextHost) {
  std::unique_ptr<client::Stream<v1::WatchEventsResponse>> stream = client().WatchEvents({}, {.deadline = absl::Now() + absl::Minutes(2)});
  ASSERT_TRUE(stream->Next().ok());
  KillHost();
  for (bool seen = false; !seen;) {
    const absl::StatusOr<std::optional<v1::WatchEventsResponse>> batch = stream->Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    for (const v1::Event& event : (*batch)->events()) seen |= event.kind() == v1::EVENT_KIND_HOST;
  }
  EXPECT_EQ(Task("p/s").status().run(), 1);
}

TEST_F(WishesTest, TypesAreFoundByName) {
  v1::GetTypeRequest request;
  request.set_name("types/flow.Servant");
  const absl::StatusOr<v1::GetTypeResponse> type = client().GetType(request);
  ASSERT_TRUE(type.ok()) << type.status();
  EXPECT_EQ(type->type().module(), "flow");
  EXPECT_GT(type->type().commands_size(), 3);
  request.set_name("types/flow.Servent");
  const absl::Status unknown = client().GetType(request).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(unknown.message(), "did you mean types/flow.Servant?")) << unknown;
}

}  // namespace
}  // namespace puma::system_test
