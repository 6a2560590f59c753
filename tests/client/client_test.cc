// The library against the real API server before a fake engine.
#include "puma/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "puma/client/details.h"
#include "tests/rpc/fake_host.h"

namespace puma::client {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> Connect(const Options& options = {}) {
    auto client = Client::Connect(host_.target(), options);
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *std::move(client) : nullptr;
  }
  void Apply() {
    v1::ApplyPipelineRequest request;
    *request.mutable_spec() = server::EdgesSpec();
    ASSERT_TRUE(client_->ApplyPipeline(request).ok());
  }
  absl::StatusOr<v1::InvokeCommandResponse> Invoke(const std::string& command, const CallOptions& options = {}) {
    v1::InvokeCommandRequest request;
    request.set_name("pipelines/edges/tasks/loader");
    request.set_command(command);
    return client_->InvokeCommand(request, options);
  }
  v1::Task Loader(int run) {
    v1::Task task;
    task.set_name("pipelines/edges/tasks/loader");
    task.mutable_status()->set_run(run);
    return task;
  }

  server::FakeHost host_;
  std::unique_ptr<Client> client_ = Connect();
};

TEST_F(ClientTest, EveryMutationHasARequestIdOfItsOwn) {
  Apply();
  v1::StopTaskRequest stop;
  stop.set_name("pipelines/edges/tasks/loader");
  ASSERT_TRUE(client_->StopTask(stop).ok());
  ASSERT_TRUE(client_->StopTask(stop).ok());
  stop.set_request_id("mine");
  ASSERT_TRUE(client_->StopTask(stop).ok());
  const auto ids = host_.engine().request_ids();
  ASSERT_THAT(ids, SizeIs(4));
  EXPECT_THAT(std::set<std::string>(ids.begin(), ids.end()), SizeIs(4));
  EXPECT_EQ(ids.back(), "mine");
  EXPECT_THAT(ids[0], SizeIs(36));
}

TEST_F(ClientTest, ErrorsHaveTheHostsDetails) {
  Apply();
  const absl::Status failed = Invoke("fail").status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(failed), "NOT_NOW");
  v1::ApplyPipelineRequest request;
  request.mutable_spec()->add_modules("missing");
  const auto violations = FieldViolations(client_->ApplyPipeline(request).status());
  ASSERT_THAT(violations, SizeIs(2));
  EXPECT_EQ(violations[1].field, "modules[0]");
  EXPECT_THAT(violations[1].description, HasSubstr("missing"));
  EXPECT_TRUE(FieldViolations(absl::OkStatus()).empty());
}

TEST_F(ClientTest, DeadlinesTravelAndEndTheCall) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(50);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Invoke("wait", {.deadline = deadline}).status()));
  EXPECT_LT(host_.engine().last_deadline() - deadline, absl::Minutes(1));
}

TEST_F(ClientTest, AStopTokenCancelsACall) {
  std::stop_source stop;
  absl::Status status;
  std::thread caller([&] { status = Invoke("wait", {.stop = stop.get_token()}).status(); });
  EXPECT_TRUE(server::Eventually([&] { return host_.engine().waiting == 1; }));
  stop.request_stop();
  caller.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(server::Eventually([&] { return host_.engine().cancelled == 1; }));
}

TEST_F(ClientTest, ASocketIsAlsoFoundByItsPathAlone) {
  ASSERT_TRUE(absl::StartsWith(host_.target(), "unix:/"));
  const auto client = Client::Connect(host_.target().substr(strlen("unix:")));
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE((*client)->GetHost().ok());
}

TEST_F(ClientTest, NoHostIsToldWithWhatToDo) {
  const absl::Status status = Client::Connect("unix:" + host_.directory() + "/nothing.sock").status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("puma-host"));
  EXPECT_TRUE(absl::IsInvalidArgument(Client::Connect("").status()));
  host_.Stop();
  EXPECT_TRUE(absl::IsUnavailable(Client::Connect(host_.target(), {.retry_for = absl::ZeroDuration()}).status()));
}

TEST_F(ClientTest, ACallSurvivesARestartOfTheHost) {
  auto client = Connect({.timeout = absl::Minutes(2), .retry_for = absl::Minutes(1)});
  host_.Stop();
  absl::StatusOr<v1::GetHostResponse> answer = absl::UnknownError("not asked");
  std::thread caller([&] { answer = client->GetHost(); });
  host_.StartAgain();
  caller.join();
  EXPECT_TRUE(answer.ok()) << answer.status();
}

TEST_F(ClientTest, AWatchGoesOnAfterARestartAndTellsWhatIsGone) {
  Apply();
  auto client = Connect({.resume_for = absl::Minutes(1)});
  const auto watch = client->WatchTasks();
  std::set<std::string> known;
  bool complete = false;
  int run = 0;
  const auto read = [&] {
    const auto batch = watch->Next();
    ASSERT_TRUE(batch.ok() && batch->has_value()) << batch.status();
    for (const v1::TaskEvent& event : (*batch)->events()) {
      if (event.has_task()) known.insert(event.task().name());
      if (event.has_task() && event.task().name() == "pipelines/edges/tasks/loader") run = static_cast<int>(event.task().status().run());
      if (event.event_case() == v1::TaskEvent::kDeleted) known.erase(event.deleted());
      complete = complete || event.snapshot_complete();
    }
  };
  while (!complete && !HasFatalFailure()) read();
  EXPECT_THAT(known, SizeIs(4));
  host_.Stop();
  host_.engine().Forget("pipelines/edges/tasks/sink");
  host_.engine().Put(Loader(7));
  complete = false;
  host_.StartAgain();
  while ((!complete || run != 7) && !HasFatalFailure()) read();
  EXPECT_THAT(known, SizeIs(3)) << "the sink has gone meanwhile";
}

TEST_F(ClientTest, ATailGoesOnAfterARestartWithoutLossOrRepetition) {
  auto client = Connect({.resume_for = absl::Minutes(1)});
  v1::TailLogsRequest request;
  request.set_history(-1);
  request.set_follow(true);
  for (int i = 0; i < 10; ++i) host_.Log("p", "a", "line " + std::to_string(i));
  const auto tail = client->TailLogs(request);
  int next = 0;
  const auto read_until = [&](int end) {
    while (next < end) {
      const auto batch = tail->Next();
      ASSERT_TRUE(batch.ok() && batch->has_value()) << batch.status();
      for (const v1::LogRecord& record : (*batch)->records()) EXPECT_EQ(record.message(), "line " + std::to_string(next++));
    }
  };
  read_until(10);
  host_.Stop();
  for (int i = 10; i < 15; ++i) host_.Log("p", "a", "line " + std::to_string(i));
  host_.StartAgain();
  for (int i = 15; i < 20; ++i) host_.Log("p", "a", "line " + std::to_string(i));
  read_until(20);
  EXPECT_EQ(next, 20);
}

TEST_F(ClientTest, AStreamIsCancelledFromAnotherThreadAndEndsWithItsDeadline) {
  const auto watch = client_->WatchTasks();
  std::thread canceller([&] { watch->Cancel(); });
  absl::Status status;
  while (status.ok()) status = watch->Next().status();
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  const auto timed = client_->WatchTasks({}, {.deadline = absl::Now() + absl::Milliseconds(50)});
  status = absl::OkStatus();
  while (status.ok()) status = timed->Next().status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_F(ClientTest, AStreamMayOutliveItsClient) {
  Apply();
  const auto watch = client_->WatchTasks();
  client_.reset();
  EXPECT_TRUE(watch->Next().ok());
}

TEST_F(ClientTest, AStreamGivesUpWhenTheHostStaysAway) {
  auto client = Connect({.resume_for = absl::Milliseconds(50)});
  const auto watch = client->WatchTasks();
  ASSERT_TRUE(watch->Next().ok());
  host_.Stop();
  absl::Status status;
  while (status.ok()) status = watch->Next().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("puma-host"));
  host_.StartAgain();
}

}  // namespace
}  // namespace puma::client
