// Steps, the clock, and how a run begins and ends.
#include <gmock/gmock.h>
#include <pthread.h>
#include <puma/testing/gtest_macros.h>
#include <puma/testing/test_run.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/runnable/throw_stacks.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Clockwork : public Runnable {
 public:
  explicit Clockwork(puma::Setup& setup) : interval_(setup.Param("interval", absl::Seconds(1), "of ticks")) {
    setup.Input("in", &Clockwork::On);
  }
  using Runnable::Now;
  using Runnable::PauseTicks;
  using Runnable::ResumeTicks;
  using Runnable::SetTickInterval;
  std::vector<Timestamp> ticks_;
  std::vector<std::string> calls_;
  bool same_thread_ = true;

 private:
  absl::Status OnStart() override {
    calls_.emplace_back("start");
    PUMA_RETURN_IF_ERROR(SetTickInterval(interval_));
    return ResumeTicks();
  }
  void On(const int& i) { calls_.push_back(std::to_string(i)); }
  absl::Status OnTick(Timestamp now) override {
    ticks_.push_back(now);
    calls_.emplace_back("tick");
    return absl::OkStatus();
  }
  void OnWait() override { calls_.emplace_back("wait"); }
  bool OnEnd(const absl::Status&) override {
    calls_.emplace_back("end");
    return false;
  }
  const absl::Duration interval_;
};

TEST(StepsTest, AStepDoesWhatIsDueAndReturnsInsteadOfSleeping) {
  TestRun<Clockwork> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_THAT(run.object().calls_, ElementsAre("start"));
  PUMA_ASSERT_OK(run.Step());
  EXPECT_THAT(run.object().calls_, ElementsAre("start", "wait"));
  for (int i = 0; i < 200; ++i) PUMA_ASSERT_OK(run.input<int>("in").PublishValue(i));
  PUMA_ASSERT_OK(run.Step());
  EXPECT_EQ(run.object().calls_.size(), 203u);
  run.Stop();
  EXPECT_FALSE(run.ended());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.object().calls_.back(), "end");
  PUMA_EXPECT_OK(run.result());
}

TEST(StepsTest, TheClockIsTurnedFromTickToTick) {
  TestRun<Clockwork> run({{"interval", absl::Milliseconds(300)}});
  PUMA_ASSERT_OK(run.Start());
  const Timestamp begin = run.clock().now();
  EXPECT_EQ(run.object().Now(), begin);
  PUMA_ASSERT_OK(run.Advance(absl::Seconds(1)));
  EXPECT_EQ(run.clock().now(), begin + absl::Seconds(1));
  EXPECT_EQ(run.object().Now(), begin + absl::Seconds(1));
  EXPECT_THAT(run.object().ticks_,
              ElementsAre(begin + absl::Milliseconds(300), begin + absl::Milliseconds(600), begin + absl::Milliseconds(900)));
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(200)));
  EXPECT_EQ(run.object().ticks_.back(), begin + absl::Milliseconds(1200));
}

TEST(StepsTest, TheRunnableMayBeChangedBetweenStepsAndItsTicksFollow) {
  TestRun<Clockwork> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(1500)));
  EXPECT_EQ(run.object().ticks_.size(), 1u);
  PUMA_ASSERT_OK(run.object().SetTickInterval(absl::Milliseconds(100)));  // counted from the last planned one
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(500)));
  const size_t so_far = run.object().ticks_.size();
  EXPECT_EQ(so_far, 7u);  // one was missed four times over, then five
  run.object().PauseTicks();
  PUMA_ASSERT_OK(run.Advance(absl::Hours(1)));
  EXPECT_EQ(run.object().ticks_.size(), so_far);
  PUMA_ASSERT_OK(run.object().ResumeTicks());
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(100)));
  EXPECT_EQ(run.object().ticks_.size(), so_far + 1);
}

TEST(StepsTest, AClockThatIsTurnedByHandMissesTicksAsARealOneDoes) {
  TestRun<Clockwork> run;
  PUMA_ASSERT_OK(run.Start());
  run.clock().Advance(absl::Seconds(10));
  PUMA_ASSERT_OK(run.Step());
  EXPECT_EQ(run.object().ticks_.size(), 1u);
}

TEST(StepsTest, RunsMayShareAClock) {
  ManualClock clock;
  TestRun<Clockwork> one({}, {.name = "one", .clock = &clock});
  TestRun<Clockwork> two({}, {.name = "two", .clock = &clock});
  PUMA_ASSERT_OK(one.Start());
  PUMA_ASSERT_OK(two.Start());
  for (int i = 0; i < 3; ++i) {
    PUMA_ASSERT_OK(one.Advance(absl::Seconds(1)));
    PUMA_ASSERT_OK(two.Step());
  }
  EXPECT_EQ(one.object().ticks_, two.object().ticks_);
  EXPECT_EQ(one.object().name(), "one");
}

TEST(StepsTest, AClockGoesNeitherBackNorForEver) {
  TestRun<Clockwork> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_EQ(run.Advance(-absl::Seconds(1)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run.Advance(absl::InfiniteDuration()).code(), absl::StatusCode::kInvalidArgument);
  PUMA_EXPECT_OK(run.Advance(absl::ZeroDuration()));
}

TEST(StepsTest, NothingRunsBeforeTheStartAndItStartsOnce) {
  TestRun<Clockwork> run;
  EXPECT_EQ(run.Step().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THROW(run.object(), Exception);
  run.Stop();
  PUMA_ASSERT_OK(run.Start());
  EXPECT_EQ(run.Start().code(), absl::StatusCode::kFailedPrecondition);
}

// ---- the thread ------------------------------------------------------------------------------------------------------------------------

class WhoAmI : public Runnable {
 public:
  explicit WhoAmI(puma::Setup&) {}
  pthread_t thread_{};

 private:
  absl::Status Execute() override {
    thread_ = pthread_self();
    return Service();
  }
};

TEST(StepsTest, ItRunsOnTheTestsOwnThread) {
  TestRun<WhoAmI> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(pthread_equal(run.object().thread_, pthread_self()));
}

// ---- an Execute of its own -------------------------------------------------------------------------------------------------------------

class Counter : public Runnable {
 public:
  explicit Counter(puma::Setup& setup) : out_(setup.Output<int>("out")), count_(setup.Param("count", 3, "how many")) {}
  int prepared_ = 0, cleaned_ = 0;

 private:
  absl::Status Execute() override {
    ++prepared_;
    for (int i = 0; i < count_; ++i) PUMA_RETURN_IF_ERROR(out_.PublishValue(i, kInfinite, OnFull::kBlock));
    ++cleaned_;
    return absl::OkStatus();
  }
  puma::Output<int> out_;
  const int count_;
};

TEST(StepsTest, AnExecuteThatReturnsEndsTheRun) {
  TestRun<Counter> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_EQ(run.object().prepared_, 0);
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(run.ended());
  EXPECT_THAT(run.Take<int>("out"), ElementsAre(0, 1, 2));
  EXPECT_EQ(run.Completion("out"), absl::OkStatus());
}

TEST(StepsTest, OneThatWaitsForRoomGoesOnAfterATake) {
  TestRun<Counter> run({{"count", 5}}, {.buffers = {.capacity = 2}});
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  PUMA_ASSERT_OK(run.Step());  // still no room
  EXPECT_THAT(run.Take<int>("out"), ElementsAre(0, 1));
  PUMA_ASSERT_OK(run.Step());
  EXPECT_THAT(run.Take<int>("out"), ElementsAre(2, 3));
  EXPECT_FALSE(run.ended());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_THAT(run.Take<int>("out"), ElementsAre(4));
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.object().prepared_ + run.object().cleaned_, 2);
}

TEST(StepsTest, OneThatWaitsForRoomIsStopped) {
  TestRun<Counter> run({{"count", 5}}, {.buffers = {.capacity = 2}});
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  run.Stop();
  PUMA_EXPECT_OK(run.Step());
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.object().cleaned_, 0);
}

class Impatient : public Runnable {
 public:
  explicit Impatient(puma::Setup& setup) : out_(setup.Output<int>("out")) {}
  Timestamp gave_up_{};

 private:
  absl::Status Execute() override {
    absl::Status status;
    while (status.ok()) status = out_.PublishValue(1, absl::Seconds(3), OnFull::kError);
    gave_up_ = Now();
    return status;
  }
  puma::Output<int> out_;
};

TEST(StepsTest, TimeoutsOfPublishingAreTheClocks) {
  TestRun<Impatient> run({}, {.buffers = {.capacity = 2}});
  PUMA_ASSERT_OK(run.Start());
  const Timestamp begin = run.clock().now();
  PUMA_ASSERT_OK(run.Advance(absl::Seconds(2)));
  EXPECT_EQ(run.Advance(absl::Seconds(5)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(run.object().gave_up_, begin + absl::Seconds(3));
}

class Poller : public Runnable {
 public:
  explicit Poller(puma::Setup&) {}
  int rounds_ = 0;

 private:
  absl::Status Execute() override {
    while (PollCommands()) ++rounds_;
    return absl::OkStatus();
  }
};

TEST(StepsTest, ALoopThatPollsRunsOneRoundPerStep) {
  TestRun<Poller> run;
  PUMA_ASSERT_OK(run.Start());
  for (int i = 1; i <= 3; ++i) {
    PUMA_ASSERT_OK(run.Step());
    EXPECT_EQ(run.object().rounds_, i);
  }
  run.Stop();
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.object().rounds_, 3);
}

class Sleeper : public Runnable {
 public:
  explicit Sleeper(puma::Setup&) {}
  std::vector<Timestamp> woken_;

 private:
  absl::Status Execute() override {
    while (WaitForCommands(absl::Milliseconds(100))) woken_.push_back(Now());
    return absl::OkStatus();
  }
};

TEST(StepsTest, ALoopThatWaitsIsWokenWhenItsTimeHasCome) {
  TestRun<Sleeper> run;
  PUMA_ASSERT_OK(run.Start());
  const Timestamp begin = run.clock().now();
  PUMA_ASSERT_OK(run.Step());
  PUMA_ASSERT_OK(run.Step());  // not yet
  EXPECT_TRUE(run.object().woken_.empty());
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(250)));
  EXPECT_THAT(run.object().woken_, ElementsAre(begin + absl::Milliseconds(100), begin + absl::Milliseconds(200)));
  run.Stop();
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(run.ended());
}

TEST(StepsTest, ARunThatNobodyEndsEndsWithItsScope) {
  static bool destroyed;
  destroyed = false;
  class Witness : public Runnable {
   public:
    explicit Witness(puma::Setup& setup) : here_(setup.scope() == Scope::kChild) {}
    ~Witness() override { destroyed = destroyed || here_; }

   private:
    absl::Status Execute() override { return Service(); }
    const bool here_;
  };
  {
    TestRun<Witness> run;
    PUMA_ASSERT_OK(run.Start());
    PUMA_ASSERT_OK(run.Step());
    EXPECT_FALSE(destroyed);
  }
  EXPECT_TRUE(destroyed);
  { TestRun<Witness> never_started; }
  {
    TestRun<Witness> never_stepped;
    PUMA_EXPECT_OK(never_stepped.Start());
  }
}

// ---- failing ---------------------------------------------------------------------------------------------------------------------------

class Failing : public Runnable {
 public:
  explicit Failing(puma::Setup& setup) : where_(setup.Param("where", "", "")) {
    if (where_ == "constructor") throw std::logic_error("in constructor");
    setup.Input("in", &Failing::On);
  }

 private:
  absl::Status OnStart() override { return where_ == "start" ? absl::InternalError("in start") : absl::OkStatus(); }
  void On(const int& i) { throw std::out_of_range("in handler " + std::to_string(i)); }
  const std::string where_;
};

TEST(StepsTest, AnErrorIsWhatAStepReturnsAgainAndAgainAndIsNotLogged) {
  TestRun<Failing> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.input<int>("in").PublishValue(3));
  const absl::Status status = run.Step();
  const Error error = ErrorOf(status);
  EXPECT_EQ(error.message, "in handler 3");
  EXPECT_THAT(error.path, ElementsAre("test_run"));
  EXPECT_NE(error.stack.empty(), kThrowsHaveStacks);
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.Step(), status);
  EXPECT_EQ(run.Advance(absl::Seconds(1)), status);
  EXPECT_EQ(run.result(), status);
  EXPECT_NO_WARNINGS_OR_ERRORS_LOGGED(run.log());
}

TEST(StepsTest, WhatFailsAtTheStartIsReturnedByIt) {
  TestRun<Failing> start({{"where", "start"}});
  EXPECT_THAT(start.Start().ToString(), HasSubstr("in start"));
  EXPECT_TRUE(start.ended());
  EXPECT_THROW(start.object(), Exception);
  TestRun<Failing> constructor({{"where", "constructor"}});
  EXPECT_THAT(constructor.Start().ToString(), HasSubstr("in constructor"));
  EXPECT_THROW(constructor.Take<int>("out"), Exception);
}

TEST(StepsTest, MistakesAreSaidAtTheStart) {
  TestRun<Failing> run({{"were", "start"}});
  EXPECT_THAT(run.Start().ToString(), HasSubstr("did you mean \"where\"?"));
}

class Unsteady : public Runnable {
 public:
  explicit Unsteady(puma::Setup& setup) {
    static int made = 0;
    setup.Input("in" + std::to_string(++made), &Unsteady::On);
  }
  void On(const int&) {}
};

TEST(StepsTest, AConstructorThatDeclaresSomethingElseEachTimeIsFound) {
  TestRun<Unsteady> run;
  EXPECT_FALSE(run.Start().ok());
}

class Blind : public Runnable {
 public:
  explicit Blind(puma::Setup& setup) {
    static int made = 0;
    if (++made % 2 == 0) setup.Command("extra", &Blind::Extra);
  }
  void Extra() {}
};

TEST(StepsTest, AlsoIfOnlyItsCommandsDiffer) {
  EXPECT_THAT(TestRun<Blind>().Start().ToString(), HasSubstr("declares something else each time"));
}

}  // namespace
}  // namespace puma::testing
