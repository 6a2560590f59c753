#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "client/include/puma/client/details.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::Test;

class CommandsTest : public HostTest {
 protected:
  void SetUp() override {
    StartHost();
    ASSERT_TRUE(
        Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n  t: {type: flow.Servant, placement: thread}\n").ok());
    ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
    ASSERT_TRUE(WaitForState("p/t", v1::TASK_STATE_RUNNING));
  }
};

TEST_F(CommandsTest, ReachProcessesAndThreadsAndBringResults) {
  for (const char* task : {"p/s", "p/t"}) {
    absl::StatusOr<v1::InvokeCommandResponse> sum = Call(task, "add", {{"a", Of(2)}, {"b", Of(40)}});
    ASSERT_TRUE(sum.ok()) << sum.status();
    EXPECT_EQ(sum->result().number_value(), 42);
    EXPECT_EQ(sum->run(), 1);
    EXPECT_EQ(Call(task, "echo", {{"text", Of("Grüße, \"quoted\"\n")}})->result().string_value(), "Grüße, \"quoted\"\n");
  }
}

TEST_F(CommandsTest, TheirErrorsGoToTheCallerAndTheTaskGoesOn) {
  const absl::Status refused = Call("p/s", "refuse", {{"why", Of("not now")}}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(refused.message(), "not now")) << refused;
  const absl::Status thrown = Call("p/s", "throws", {{"what", Of("index 7")}}).status();
  EXPECT_TRUE(absl::StrContains(thrown.message(), "std::out_of_range")) << thrown;
  EXPECT_TRUE(absl::StrContains(thrown.message(), "index 7")) << thrown;
  EXPECT_EQ(Task("p/s").status().run(), 1);
  EXPECT_TRUE(Call("p/s", "echo", {{"text", Of("still here")}}).ok());
}

TEST_F(CommandsTest, WrongOnesSayWhatWouldBeRight) {
  const absl::Status unknown = Call("p/s", "ad").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument) << unknown;
  EXPECT_TRUE(absl::StrContains(unknown.message(), "add")) << unknown;
  const absl::Status missing = Call("p/s", "add", {{"a", Of(1)}}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument) << missing;
  EXPECT_TRUE(absl::StrContains(missing.message(), "b")) << missing;
  const absl::Status wrong = Call("p/s", "add", {{"a", Of(1)}, {"b", Of("two")}}).status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument) << wrong;
  const absl::Status nobody = Call("p/x", "add").status();
  EXPECT_EQ(nobody.code(), absl::StatusCode::kNotFound) << nobody;
  EXPECT_EQ(Ctl({"stop", "p/s"}).code, 0);
  EXPECT_TRUE(WaitForState("p/s", v1::TASK_STATE_STOPPED));
  EXPECT_EQ(Call("p/s", "add", {{"a", Of(1)}, {"b", Of(2)}}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CommandsTest, ARepeatedRequestIdGetsTheKeptResult) {
  v1::InvokeCommandRequest request;
  request.set_name("pipelines/p/tasks/s");
  request.set_command("child");
  request.set_request_id("the-same");
  absl::StatusOr<v1::InvokeCommandResponse> first = client().InvokeCommand(request);
  ASSERT_TRUE(first.ok()) << first.status();
  absl::StatusOr<v1::InvokeCommandResponse> second = client().InvokeCommand(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->result().number_value(), second->result().number_value()) << "it ran once";
  request.clear_request_id();
  EXPECT_NE(client().InvokeCommand(request)->result().number_value(), first->result().number_value());
}

TEST_F(CommandsTest, ADeadlineEndsTheWaitAndTheEndOfARunAbortsIt) {
  v1::InvokeCommandRequest request;
  request.set_name("pipelines/p/tasks/s");
  request.set_command("nap");
  (*request.mutable_arguments())["how_long"] = Of("1s");
  EXPECT_EQ(client().InvokeCommand(request, {.deadline = absl::Now() + absl::Milliseconds(100)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  const absl::Status ended = Call("p/s", "leave", {{"code", Of(3)}}).status();
  EXPECT_EQ(ended.code(), absl::StatusCode::kAborted) << ended;
  EXPECT_TRUE(Eventually([&] { return Task("p/s").status().run() == 2; }));
  EXPECT_EQ(Task("p/s").status().last_exit().code(), 3);
}

TEST_F(CommandsTest, ManyCallersAtOnceEachGetTheirOwnAnswer) {
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  for (int i = 0; i < 64; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) {
        absl::StatusOr<v1::InvokeCommandResponse> sum = Call("p/s", "add", {{"a", Of(i * 1000)}, {"b", Of(n)}});
        if (sum.ok() && sum->result().number_value() == i * 1000 + n) ++right;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right.load(), 640);
}

TEST_F(CommandsTest, WaitWhileTheRunnableIsBusyAndAreToldWhenItNeverCameToThem) {
  const auto call_many = [&](const std::string& first, int others) {
    std::vector<std::thread> callers;
    std::vector<absl::Status> answers(static_cast<size_t>(others));
    callers.emplace_back([&] { (void)Call("p/s", first, {{first == "nap" ? "how_long" : "code", first == "nap" ? Of("300ms") : Of(3)}}); });
    for (absl::Status& answer : answers) {
      callers.emplace_back([&] { answer = Call("p/s", "nap", {{"how_long", Of("10ms")}}).status(); });
    }
    for (std::thread& caller : callers) caller.join();
    return answers;
  };
  for (const absl::Status& answer : call_many("nap", 40)) EXPECT_TRUE(answer.ok()) << answer;
  for (const absl::Status& answer : call_many("leave", 40)) {
    const bool before_or_after = answer.ok() || absl::IsFailedPrecondition(answer);  // of the end, which is up to the scheduler
    EXPECT_TRUE(before_or_after || absl::IsAborted(answer)) << answer;
  }
}

TEST_F(CommandsTest, MutationsWithOneRequestIdHaveOneEffect) {
  v1::StopTaskRequest stop;
  stop.set_name("pipelines/p/tasks/s");
  stop.set_request_id("stop-1");
  ASSERT_TRUE(client().StopTask(stop).ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_STOPPED));
  ASSERT_EQ(Ctl({"start", "p/s"}).code, 0);
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  ASSERT_TRUE(client().StopTask(stop).ok());
  EXPECT_TRUE(Call("p/s", "echo", {{"text", Of("not stopped again")}}).ok());
  stop.set_name("pipelines/p/tasks/t");
  EXPECT_EQ(client().StopTask(stop).status().code(), absl::StatusCode::kInvalidArgument) << "the same id for something else";
}

}  // namespace
}  // namespace puma::system_test
