// Making and starting runners: parity with the model of a runner as a scope.
#include <stdexcept>

#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class RunnerTest : public BothKinds {};

// Waits to be stopped; says where it runs.
class Idle : public Runnable {
 public:
  explicit Idle(Setup& setup) {
    setup.Command("comm", &Idle::Comm);
    setup.Command("pid", &Idle::Pid);
  }
  std::string Comm() const {
    std::string name(64, '\0');
    FILE* file = std::fopen("/proc/thread-self/comm", "r");
    name.resize(std::fread(name.data(), 1, name.size(), file));
    std::fclose(file);
    return name.substr(0, name.find('\n'));
  }
  int Pid() const { return ::getpid(); }
};

class Failing : public Runnable {
 public:
  explicit Failing(Setup& setup) : where_(setup.Param("where", "start", "constructor, start, execute")) {
    if (where_ == "constructor" && setup.scope() == Scope::kChild) throw std::runtime_error("not to be made here");
  }

 private:
  absl::Status OnStart() override { return where_ == "start" ? Unavailable("no device") : absl::OkStatus(); }
  absl::Status Execute() override { return where_ == "execute" ? InvalidArgument("bad execution") : absl::OkStatus(); }
  std::string where_;
};

class Fickle : public Runnable {
 public:
  explicit Fickle(Setup& setup) {
    if (setup.scope() == Scope::kChild) setup.Command("only_here", &Fickle::Nothing);
  }
  void Nothing() {}
};

// A command of this runnable is under way until the test says so, through a pipe that both halves have inherited.
TEST_P(RunnerTest, OnlyTheEnvironmentDecidesBetweenThreadsAndProcesses) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto scaled = env_->CreateBuffer<int>("scaled");
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"count", 5}}});
  auto scaler =
      env_->CreateRunner<Scaler>("scaler", {.inputs = {{"numbers", numbers}}, .outputs = {{"scaled", scaled}}, .params = {{"factor", 3}}});
  auto idle = env_->CreateRunner<Idle>("idle");
  for (AnyRunner* runner : std::initializer_list<AnyRunner*>{&scaler, &counter, &idle}) ASSERT_TRUE(runner->StartBlocking(kLong).ok());
  auto received = ReadToTheEnd(scaled);
  EXPECT_THAT(received.values, ElementsAre(3, 6, 9, 12, 15));
  EXPECT_TRUE(received.completions.at(0).ok());
  auto pid = idle.Call(&Idle::Pid);
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_EQ(*pid == ::getpid(), !processes());
  EXPECT_EQ(idle.pid(), processes() ? *pid : 0);
  for (AnyRunner* runner : std::initializer_list<AnyRunner*>{&counter, &scaler, &idle}) EXPECT_TRUE(runner->Close().ok());
}

TEST_P(RunnerTest, TheNameIsTheThreadsOrProcesssNameInTheSystem) {
  auto idle = env_->CreateRunner<Idle>("an idle one");
  EXPECT_EQ(idle.name(), "an idle one");
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  EXPECT_EQ(*idle.Call(&Idle::Comm), "an idle one");
  EXPECT_TRUE(idle.Close().ok());
}

TEST_P(RunnerTest, AllMistakesAreSaidAtOnceAndNothingStarts) {
  auto texts = env_->CreateBuffer<std::string>("texts");
  auto scaler = env_->CreateRunner<Scaler>("", {.inputs = {{"numbers", texts}, {"nubmers", texts}},
                                                .params = {{"factor", "many"}, {"fcator", 1}},
                                                .stop_grace = absl::ZeroDuration()});
  const absl::Status status = scaler.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_THAT(text, HasSubstr("a runner needs a name"));
  EXPECT_THAT(text, HasSubstr("stop_grace is above zero"));
  EXPECT_THAT(text, HasSubstr("unknown input \"nubmers\"; did you mean \"numbers\"?"));
  EXPECT_THAT(text, HasSubstr("unknown parameter \"fcator\"; did you mean \"factor\"?"));
  EXPECT_THAT(text, HasSubstr("output \"scaled\" is not connected"));
  EXPECT_THAT(text, HasSubstr("parameter \"factor\""));
  EXPECT_FALSE(scaler.IsAlive());
}

TEST_P(RunnerTest, AWireOfAnotherTypeATwiceConnectedPortAndABrokenBufferAreMistakes) {
  auto texts = env_->CreateBuffer<std::string>("texts");
  auto broken = env_->CreateBuffer<int>("broken", {.capacity = 0});
  auto scaler = env_->CreateRunner<Scaler>("scaler", {.inputs = {{"numbers", texts}}, .outputs = {{"scaled", broken}, {"scaled", broken}}});
  const std::string text(scaler.Start().message());
  EXPECT_THAT(text, HasSubstr("input \"numbers\" takes int, but buffer \"texts\" carries std::"));
  EXPECT_THAT(text, HasSubstr("output \"scaled\" is connected twice"));
  EXPECT_THAT(text, HasSubstr("a capacity of 0"));
}

TEST_P(RunnerTest, ARunnerStartsOnce) {
  auto idle = env_->CreateRunner<Idle>("idle");
  EXPECT_EQ(idle.WaitUntilRunning(kLong).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(idle.Join(kLong).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(idle.StartBlocking(kLong).ok());
  EXPECT_EQ(idle.Start().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(idle.Close().ok());
}

TEST_P(RunnerTest, WaitingUntilItRunsKnowsThreeAnswers) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}});
  ASSERT_TRUE(counter.Start().ok());
  ASSERT_TRUE(counter.Join(kLong).ok());
  EXPECT_TRUE(counter.WaitUntilRunning(kNoWait).ok()) << "it has finished without an error";
  auto failing = env_->CreateRunner<Failing>("failing");
  ASSERT_TRUE(failing.Start().ok());
  EXPECT_EQ(failing.WaitUntilRunning(kLong).code(), absl::StatusCode::kUnavailable) << "the runnable's error";
  EXPECT_TRUE(failing.CheckForErrors().ok()) << "which is handed out once";
  auto idle = env_->CreateRunner<Idle>("idle");
  ASSERT_TRUE(idle.Start().ok());
  EXPECT_EQ(idle.WaitUntilRunning(absl::ZeroDuration()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(idle.WaitUntilRunning(kLong).ok());
}

TEST_P(RunnerTest, AnErrorOfConstructorOnStartOrExecuteIsHandedOutOnceWithItsPath) {
  for (const char* where : {"constructor", "start", "execute"}) {
    auto failing = env_->CreateRunner<Failing>("failing", {.params = {{"where", where}}});
    ASSERT_TRUE(failing.Start().ok());
    ASSERT_TRUE(failing.Join(kLong).ok());
    const absl::Status error = failing.CheckForErrors();
    EXPECT_FALSE(error.ok()) << where;
    EXPECT_THAT(ErrorOf(error).path, ElementsAre("failing"));
    EXPECT_TRUE(failing.CheckForErrors().ok());
    EXPECT_TRUE(failing.Close().ok()) << "somebody has it already";
  }
}

TEST_P(RunnerTest, HalvesThatDeclareDifferentThingsAreRefused) {
  auto fickle = env_->CreateRunner<Fickle>("fickle");
  const absl::Status status = fickle.StartBlocking(kLong);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("declares other things"));
}

TEST_P(RunnerTest, RunnersLiveInAVectorAndMove) {
  std::vector<Runner<Idle>> runners;
  for (int i = 0; i < 3; ++i) runners.push_back(env_->CreateRunner<Idle>("idle" + std::to_string(i)));
  for (auto& runner : runners) ASSERT_TRUE(runner.Start().ok());
  runners.erase(runners.begin());
  for (auto& runner : runners) EXPECT_TRUE(runner.WaitUntilRunning(kLong).ok());
  runners[0] = std::move(runners[1]);
  EXPECT_EQ(runners[0].name(), "idle2");
}

// ---- outputs and the counting of publishers ---------------------------------------------------------------------------------------------

TEST_P(RunnerTest, ItsOutputsCountFromWhenTheRunnerIsMade) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}});
  ASSERT_TRUE(numbers.Publish().PublishComplete().ok());
  EXPECT_FALSE(*subscription.CallEvents([](const int&) {}, [](const absl::Status&) {})) << "one more publisher is to come";
  ASSERT_TRUE(counter.Start().ok());
  auto received = TakeAll(subscription, event);
  EXPECT_THAT(received.values, ElementsAre(1, 2, 3));
}

TEST_P(RunnerTest, ARunnerThatNeverStartsStopsCountingWithItsScope) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  {
    auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}});
    ASSERT_TRUE(numbers.Publish().PublishComplete().ok());
  }
  EXPECT_TRUE(TakeAll(subscription, event).completions.at(0).ok());
}

TEST_P(RunnerTest, AnErrorGoesOnThroughItsOutputsWhereverItHappened) {
  for (const char* end : {"fail", "throw"}) {
    auto numbers = env_->CreateBuffer<int>(std::string("numbers that ") + end);
    auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"end", end}}});
    ASSERT_TRUE(counter.Start().ok());
    auto received = ReadToTheEnd(numbers);
    EXPECT_THAT(received.values, ElementsAre(1, 2, 3));
    EXPECT_THAT(std::string(received.completions.at(0).message()), HasSubstr("the counter has "));
    EXPECT_FALSE(counter.Close().ok());
  }
}

TEST_P(RunnerTest, AStoppedOneLeavesItsOutputsWithoutCompletingThem) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"end", "wait"}}});
  ASSERT_TRUE(counter.StartBlocking(kLong).ok());
  ASSERT_TRUE(Eventually([&] { return TakeSome(subscription).size() + 1 > 1 || !event.Wait(absl::Milliseconds(1)).ok(); }));
  EXPECT_TRUE(counter.Close().ok());
  auto own = numbers.Publish();
  ASSERT_TRUE(own.PublishValue(9).ok()) << "the buffer is not complete";
  auto rest = TakeSome(subscription);
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest.back(), 9);
}

TEST_P(RunnerTest, EndedMeansThatItsOutputsAreReleased) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}});
  ASSERT_TRUE(counter.Start().ok());
  ASSERT_TRUE(counter.Join(kLong).ok());
  auto subscription = numbers.Subscribe();
  std::vector<int> values;
  bool completed = false;
  ASSERT_TRUE(subscription.Drain([&](const int& v) { values.push_back(v); }, [&](const absl::Status&) { completed = true; }).ok());
  EXPECT_THAT(values, ElementsAre(1, 2, 3));
  EXPECT_TRUE(completed) << "at once: nobody counts as publisher any more";
}

struct Frame {
  explicit Frame(std::string t) : text(std::move(t)) {}
  std::string text;
};
class FrameSink : public Runnable {
 public:
  explicit FrameSink(Setup& setup) : out_(setup.Output<std::string>("texts")) { setup.Input("frames", &FrameSink::OnFrame); }

 private:
  absl::Status OnFrame(std::unique_ptr<Frame> frame) { return out_.PublishValue(frame->text); }
  puma::Output<std::string> out_;
};

TEST_P(RunnerTest, ThreadOnlyTypesTravelBetweenThreadsAndAreRefusedBetweenProcesses) {
  auto frames = env_->CreateBuffer<std::unique_ptr<Frame>>("frames");
  auto texts = env_->CreateBuffer<std::string>("texts");
  auto sink = env_->CreateRunner<FrameSink>("sink", {.inputs = {{"frames", frames}}, .outputs = {{"texts", texts}}});
  const absl::Status started = sink.Start();
  if (processes()) {
    EXPECT_EQ(started.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(started.message()), HasSubstr("can't cross processes"));
    return;
  }
  ASSERT_TRUE(started.ok()) << started;
  auto publisher = frames.Publish();
  ASSERT_TRUE(publisher.PublishValue(std::make_unique<Frame>("moved, not copied")).ok());
  ASSERT_TRUE(publisher.PublishComplete().ok());
  EXPECT_THAT(ReadToTheEnd(texts).values, ElementsAre("moved, not copied"));
}

PUMA_IN_BOTH_KINDS(RunnerTest);

}  // namespace
}  // namespace puma::testing
