// How runners end: stop, join, close, errors that nobody took, children that die.
#include <csignal>
#include <stdexcept>

#include "tests/worker/programs.h"
#include "worker/platform/system.h"

namespace puma::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class EndTest : public BothKinds {};

class Idle : public Runnable {
 public:
  explicit Idle(Setup& setup) : stubborn_(setup.Param("stubborn", false, "does not look at Stop, until it has slept that often")) {
    setup.Command("die", &Idle::Die, {"signal"});
    setup.Command("exit", &Idle::Exit, {"code"});
    setup.Command("block", &Idle::Block);
  }
  void Die(int signal) { ::raise(signal); }
  void Exit(int code) { ::_exit(code); }
  void Block() {
    Event never;
    never.Wait().IgnoreError();
  }

 private:
  absl::Status Execute() override {
    if (!stubborn_) return Service();
    absl::SleepFor(absl::Milliseconds(300));
    return absl::OkStatus();
  }
  bool stubborn_;
};

TEST_P(EndTest, StopMayComeBeforeTheStartManyTimesAndAfterTheEnd) {
  auto early = env_->CreateRunner<Idle>("early");
  early.Stop();
  ASSERT_TRUE(early.StartBlocking(kLong).ok()) << "it runs, and ends right after";
  EXPECT_TRUE(early.Join(kLong).ok());
  auto idle = env_->CreateRunner<Idle>("idle");
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  for (int i = 0; i < 100; ++i) idle.Stop();
  EXPECT_TRUE(idle.Join(kLong).ok());
  idle.Stop();
  EXPECT_FALSE(idle.IsAlive());
  EXPECT_TRUE(idle.CheckForErrors().ok());
  EXPECT_TRUE(idle.Close().ok());
}

TEST_P(EndTest, JoinWaitsLooksOrRefusesAndTheRunnerStaysUsable) {
  auto idle = env_->CreateRunner<Idle>("idle");
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  EXPECT_EQ(idle.Join(absl::Milliseconds(-1)).code(), absl::StatusCode::kInvalidArgument);
  const absl::Status alive = idle.Join(kNoWait);
  EXPECT_EQ(alive.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(alive.message()), HasSubstr("\"idle\" is still alive"));
  EXPECT_EQ(idle.Join(absl::Milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(idle.IsAlive());
  idle.Stop();
  EXPECT_TRUE(idle.Join().ok());
  EXPECT_FALSE(idle.IsAlive());
}

TEST_P(EndTest, CloseReturnsTheErrorThatNobodyTookAndThenEverythingIsRefused) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"end", "throw"}}});
  ASSERT_TRUE(counter.Start().ok());
  const absl::Status error = counter.Close();
  EXPECT_TRUE(IsError(error, "std::out_of_range")) << error;
  EXPECT_TRUE(IsError(error, "std::logic_error")) << "one of its bases";
  for (const absl::Status& status : {counter.Close(), counter.Start(), counter.CheckForErrors(), counter.WaitUntilRunning(kNoWait),
                                     counter.Join(kNoWait), counter.LatestStatus<int>().status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  }
}

TEST_P(EndTest, TheDestructorLogsAnErrorThatNobodyTook) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  CapturedLog log;
  {
    auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"end", "fail"}}});
    ASSERT_TRUE(counter.Start().ok());
    ASSERT_TRUE(counter.Join(kLong).ok());
  }
  EXPECT_THAT(log.lines(), Contains(HasSubstr("\"counter\" has failed, and nobody asked: the counter has failed")));
}

TEST_P(EndTest, TheEndIsPushedToWhoAskedForItAlsoAfterwards) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"end", "fail"}}});
  std::atomic<int> before{0}, after{0};
  counter.OnEnd([&](const absl::Status& status) { before = absl::IsInvalidArgument(status) ? 1 : 2; });
  ASSERT_TRUE(counter.Start().ok());
  EXPECT_TRUE(Eventually([&] { return before != 0; }));
  counter.OnEnd([&](const absl::Status& status) { after = absl::IsInvalidArgument(status) ? 1 : 2; });
  EXPECT_TRUE(Eventually([&] { return after != 0; }));
  EXPECT_EQ(before, 1);
  EXPECT_EQ(after, 1);
  EXPECT_FALSE(counter.CheckForErrors().ok()) << "the callbacks did not take it";
}

TEST_P(EndTest, OneThatDoesNotStopIsNamedAThreadLeftBehindAProcessKilled) {
  CapturedLog log;
  auto stubborn = env_->CreateRunner<Idle>("stubborn", {.params = {{"stubborn", true}}, .stop_grace = absl::Milliseconds(1)});
  ASSERT_TRUE(stubborn.StartBlocking(kLong).ok());
  const absl::Status status = stubborn.Close();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"stubborn\" did not end within 1ms"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(processes() ? "was killed" : "is left behind"));
  EXPECT_EQ(stubborn.Start().code(), absl::StatusCode::kFailedPrecondition) << "it counts as left";
  EXPECT_TRUE(Eventually([&] { return !stubborn.IsAlive(); })) << "the thread ends when it does";
}

// ---- children that die -----------------------------------------------------------------------------------------------------------------

class ChildDeathTest : public ::testing::Test {
 protected:
  ProcessEnvironment env_;
};

TEST_F(ChildDeathTest, ASignalIsAnErrorThatNamesItAndReachesWhoWaitsAtOnce) {
  auto idle = env_.CreateRunner<Idle>("victim");
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  const absl::Status call = idle.Call(&Idle::Die, SIGALRM);
  EXPECT_EQ(call.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(call.message()), HasSubstr("signal 14"));
  ASSERT_TRUE(idle.Join(kLong).ok());
  const absl::Status status = idle.CheckForErrors();
  EXPECT_THAT(std::string(status.message()), HasSubstr("its process was ended by signal 14 (Alarm clock)"));
  EXPECT_THAT(ErrorOf(status).path, ::testing::ElementsAre("victim"));
}

TEST_F(ChildDeathTest, AnExitCodeIsNamedToo) {
  auto idle = env_.CreateRunner<Idle>("victim");
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  EXPECT_THAT(std::string(idle.Call(&Idle::Exit, 7).message()), HasSubstr("exit code 7"));
  EXPECT_THAT(std::string(idle.Close().message()), HasSubstr("exit code 7"));
}

TEST_F(ChildDeathTest, AKillEndsJoinsStatusesCallsAndLeavesTheBuffersUsable) {
  auto numbers = env_.CreateBuffer<int>("numbers", {.capacity = 2});
  auto idle = env_.CreateRunner<Idle>("victim");
  auto counter = env_.CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"count", 100}}});  // blocks: full
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  ASSERT_TRUE(counter.StartBlocking(kLong).ok());
  auto blocked = idle.CallAsync(&Idle::Block);
  std::thread waiter([&] { EXPECT_FALSE(idle.WaitForStatus<int>(kLong).ok()); });
  for (AnyRunner* runner : std::initializer_list<AnyRunner*>{&idle, &counter}) {
    ASSERT_GT(runner->pid(), 1);
    ASSERT_EQ(::kill(runner->pid(), SIGKILL), 0);
  }
  EXPECT_EQ(blocked.Get(kLong).code(), absl::StatusCode::kUnavailable);
  waiter.join();
  EXPECT_TRUE(counter.Join(kLong).ok());
  EXPECT_THAT(std::string(counter.Close().message()), HasSubstr("signal 9"));
  auto subscription = numbers.Subscribe();
  EXPECT_LE(TakeSome(subscription).size(), 2u) << "what it had published";
  EXPECT_TRUE(numbers.Publish().PublishValue(5).ok());
}

PUMA_IN_BOTH_KINDS(EndTest);

}  // namespace
}  // namespace puma::testing
