// Commands called from the program, typed end to end.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "tests/runnable/throw_stacks.h"
#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Point {
  double x, y;
};

class Base : public Runnable {
 public:
  explicit Base(Setup& setup) { setup.Command("who", &Base::Who); }
  virtual std::string Who() { return "base"; }
};

class Player : public Base {
 public:
  explicit Player(Setup& setup)
      : Base(setup), status_(setup.Status<int>()), order_(setup.Output<std::string>("order", {.optional = true})) {
    setup.Command("pause", &Player::Pause);
    setup.Command("seek", &Player::Seek, {"position"}, "frame to go to, from 0");
    setup.Command("check", &Player::Check, {"value"});
    setup.Command("mirror", &Player::Mirror, {"point"});
    setup.Command("length", &Player::Length, {"text"});
    setup.Command("repeat", &Player::Repeat, {"times"});
    setup.Command("list", &Player::List, {"values"});
    setup.Command("position", &Player::Position);
    setup.Command("block_for", &Player::BlockFor, {"milliseconds"});
    setup.Command("note", &Player::Note, {"text"});
    setup.Command("fail", &Player::Fail);
    setup.Command("interval", &Player::Interval, {"interval"});
    setup.Command("stop_self", &Player::StopSelf);
    setup.Command("say", &Player::Say, {"value"});
  }
  void Pause() { paused_ = true; }
  absl::StatusOr<int> Seek(int position) {
    if (position < 0) throw std::out_of_range("before the beginning");
    std::swap(position, position_);
    return position;
  }
  absl::Status Check(double value) { return value < 0 ? InvalidArgument("negative") : absl::OkStatus(); }
  Point Mirror(const Point& point) { return {-point.x, -point.y}; }
  int64_t Length(const std::string& text) { return static_cast<int64_t>(text.size()); }
  std::string Repeat(int times) { return std::string(static_cast<size_t>(times), 'x'); }
  std::vector<double> List(std::vector<double> values) {
    for (double& v : values) v *= 2;
    return values;
  }
  int Position() const noexcept { return position_; }
  void BlockFor(int milliseconds) { absl::SleepFor(absl::Milliseconds(milliseconds)); }
  absl::Status Note(const std::string& text) { return order_.PublishValue(text, absl::Seconds(60)); }
  absl::Status Fail() { return Unavailable("failed on purpose"); }
  absl::Status Interval(absl::Duration interval) { return SetTickInterval(interval); }
  void StopSelf() { stop_ = true; }
  void Say(int value) { status_.Send(value); }
  std::string Who() override { return "player"; }
  void Undeclared() {}

 private:
  absl::Status OnTick(Timestamp) override { return absl::OkStatus(); }
  bool paused_ = false, stop_ = false;
  int position_ = 0;
  StatusPort<int> status_;
  puma::Output<std::string> order_;
};

class CallTest : public BothKinds {
 protected:
  Runner<Player> Started() {
    auto player = env_->CreateRunner<Player>("player");
    EXPECT_TRUE(player.StartBlocking(kLong).ok());
    return player;
  }
};

TEST_P(CallTest, ResultsComeAsWhatTheMethodReturns) {
  auto player = Started();
  const absl::Status paused = player.Call(&Player::Pause);
  EXPECT_TRUE(paused.ok()) << paused;
  EXPECT_EQ(*player.Call(&Player::Seek, 7), 0);
  EXPECT_EQ(*player.Call(&Player::Position), 7) << "a const noexcept method";
  EXPECT_TRUE(player.Call(&Player::Check, 1).ok()) << "an int for a double";
  const auto mirrored = player.Call(&Player::Mirror, Point{1, 2});
  ASSERT_TRUE(mirrored.ok());
  EXPECT_EQ(mirrored->y, -2);
  EXPECT_THAT(*player.Call(&Player::List, std::vector<double>{1, 2}), ElementsAre(2, 4));
}

TEST_P(CallTest, AnErrorGoesToItsCallerAndTheRunnableGoesOn) {
  auto player = Started();
  const absl::Status thrown = player.Call(&Player::Seek, -1).status();
  EXPECT_TRUE(IsError(thrown, "std::out_of_range"));
  if (kThrowsHaveStacks) {
    EXPECT_THAT(Explain(thrown), HasSubstr("Player::Seek(int)"));
  }
  EXPECT_THAT(ErrorOf(thrown).path, ElementsAre("player"));
  EXPECT_EQ(player.Call(&Player::Check, -1.0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(player.Call(&Player::Interval, absl::Seconds(-1)).code(), absl::StatusCode::kInvalidArgument) << "of a setter, too";
  EXPECT_TRUE(player.Call(&Player::Pause).ok());
  EXPECT_TRUE(player.Close().ok());
}

TEST_P(CallTest, TheMostDerivedMethodRuns) {
  auto player = Started();
  EXPECT_EQ(*player.Call(&Base::Who), "player");
}

TEST_P(CallTest, AnUndeclaredMethodIsRefusedWithTheDeclaredOnes) {
  auto player = Started();
  const absl::Status status = player.Call(&Player::Undeclared);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("who, pause, seek"));
}

TEST_P(CallTest, BeforeTheStartAndAfterTheEndItSaysSo) {
  auto player = env_->CreateRunner<Player>("player");
  EXPECT_EQ(player.Call(&Player::Pause).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(player.Start().ok());
  EXPECT_TRUE(player.Call(&Player::Pause).ok()) << "also while it starts";
  player.Stop();
  ASSERT_TRUE(player.Join(kLong).ok());
  EXPECT_EQ(player.Call(&Player::Pause).code(), absl::StatusCode::kUnavailable);
}

TEST_P(CallTest, ManyThreadsCallAtOnceAndEachGetsItsOwnAnswer) {
  auto player = Started();
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        auto length = player.Call(&Player::Length, std::string(static_cast<size_t>(i * 100 + n), 'a'));
        if (!length.ok() || *length != i * 100 + n) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(CallTest, CommandsAreServedInOrderThoseBeforeAStopToo) {
  auto order = env_->CreateBuffer<std::string>("order");
  auto player = env_->CreateRunner<Player>("player", {.outputs = {{"order", order}}});
  ASSERT_TRUE(player.StartBlocking(kLong).ok());
  auto busy = player.CallAsync(&Player::BlockFor, 30);
  std::vector<Future<void>> notes;
  for (const char* text : {"a", "b", "c"}) notes.push_back(player.CallAsync(&Player::Note, text));
  player.Stop();
  for (auto& note : notes) EXPECT_TRUE(note.Get(kLong).ok());
  EXPECT_TRUE(player.Join(kLong).ok());
  auto subscription = order.Subscribe();
  EXPECT_THAT(TakeSome(subscription), ElementsAre("a", "b", "c"));
}

TEST_P(CallTest, ADeadlineNamesTheCommandAndItsLateAnswerReachesNobody) {
  auto player = Started();
  auto busy = player.CallAsync(&Player::BlockFor, 100);
  const absl::Status late = player.CallWithin(absl::Milliseconds(1), &Player::Seek, 5).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(late.message()), HasSubstr("\"player\" has not answered \"seek\" within 1ms"));
  EXPECT_TRUE(busy.Get(kLong).ok());
  EXPECT_EQ(*player.Call(&Player::Position), 0) << "it was not executed: its deadline had passed";
  EXPECT_EQ(player.CallWithin(absl::ZeroDuration(), &Player::Seek, 5).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(CallTest, AFutureIsAskedAgainAndAgain) {
  auto player = Started();
  auto busy = player.CallAsync(&Player::BlockFor, 50);
  auto seek = player.CallAsync(&Player::Seek, 3);
  EXPECT_EQ(seek.Get(kNoWait).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(*seek.Get(kLong), 0);
  EXPECT_EQ(*seek.Get(kNoWait), 0);
}

TEST_P(CallTest, ASlowCommandWarnsOnce) {
  auto player = Started();
  CapturedLog log;
  EXPECT_TRUE(player.Call(&Player::BlockFor, 1001).ok());
  EXPECT_TRUE(player.Call(&Player::BlockFor, 1001).ok());
  const auto lines = log.lines();
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), [](const auto& l) { return l.find("answer \"block_for\"") != std::string::npos; }),
            1);
}

TEST_P(CallTest, ElevenAreTooManyForABusyRunnable) {
  auto player = Started();
  auto busy = player.CallAsync(&Player::BlockFor, 200);
  std::vector<Future<int>> seeks;
  absl::Status refused;
  for (int i = 0; i < 12 && refused.ok(); ++i) {
    if (i < 10) {
      seeks.push_back(player.CallAsync(&Player::Seek, i));
    } else {
      refused = player.CallWithin(absl::Milliseconds(1), &Player::Seek, i).status();
    }
  }
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  for (auto& seek : seeks) EXPECT_TRUE(seek.Get(kLong).ok());
}

TEST_P(CallTest, WithoutAnAnswerAnErrorEndsTheRunnable) {
  auto player = Started();
  EXPECT_TRUE(player.Post(&Player::Pause).ok());
  EXPECT_TRUE(player.Call(&Player::Pause).ok()) << "it goes on";
  EXPECT_TRUE(player.Post(&Player::Fail).ok());
  ASSERT_TRUE(player.Join(kLong).ok());
  EXPECT_THAT(std::string(player.CheckForErrors().message()), HasSubstr("failed on purpose"));
}

TEST_P(CallTest, AMegabyteTravelsThereAndBack) {
  auto player = Started();
  EXPECT_EQ(*player.Call(&Player::Length, std::string(1 << 20, 'a')), 1 << 20);
  EXPECT_EQ(player.Call(&Player::Repeat, 1 << 20)->size(), size_t{1} << 20);
}

TEST(CallBetweenProcesses, WhatIsTooLargeIsRefusedWithTheLimit) {
  ProcessEnvironment env;
  auto player = env.CreateRunner<Player>("player");
  ASSERT_TRUE(player.StartBlocking(kLong).ok());
  for (const absl::Status& status :
       {player.Call(&Player::Length, std::string(2 << 20, 'a')).status(), player.Call(&Player::Repeat, 2 << 20).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("is the most between processes"));
  }
  EXPECT_TRUE(player.Call(&Player::Pause).ok());
}

// ---- threads: from the runnable's own thread, and in a circle ---------------------------------------------------------------------------

class Ringer : public Runnable {
 public:
  explicit Ringer(Setup& setup) {
    setup.Command("ring", &Ringer::Ring);
    setup.Command("ring_self", &Ringer::RingSelf);
  }
  int Ring() { return 42; }
  absl::StatusOr<int> RingSelf() { return self->Call(&Ringer::Ring); }
  static inline Runner<Ringer>* self = nullptr;
};

TEST(CallBetweenThreads, FromItsOwnThreadACommandRunsDirectly) {
  ThreadEnvironment env;
  auto ringer = env.CreateRunner<Ringer>("ringer");
  Ringer::self = &ringer;
  ASSERT_TRUE(ringer.StartBlocking(kLong).ok());
  auto rung = ringer.Call(&Ringer::RingSelf);
  ASSERT_TRUE(rung.ok()) << rung.status();
  EXPECT_EQ(*rung, 42);
}

class Caller : public Runnable {
 public:
  explicit Caller(Setup& setup) {
    setup.Command("call", &Caller::CallOther, {"milliseconds"});
    setup.Command("nothing", &Caller::Nothing);
  }
  absl::Status CallOther(int milliseconds) {
    Runner<Caller>* const other = others[name() == "left" ? 1 : 0];
    for (++inside; inside < 2;) std::this_thread::yield();
    return other->CallWithin(absl::Milliseconds(milliseconds), &Caller::Nothing);
  }
  void Nothing() {}
  static inline Runner<Caller>* others[2] = {};
  static inline std::atomic<int> inside{0};  // how many are about to call: two, so neither can answer
};

TEST(CallBetweenThreads, TwoThatCallEachOtherAreBothNamedWithWhatTheyWaitFor) {
  ThreadEnvironment env;
  auto left = env.CreateRunner<Caller>("left"), right = env.CreateRunner<Caller>("right");
  Caller::others[0] = &left;
  Caller::others[1] = &right;
  ASSERT_TRUE(left.StartBlocking(kLong).ok());
  ASSERT_TRUE(right.StartBlocking(kLong).ok());
  std::string said;
  const std::string circle = "it is itself waiting for \"nothing\" of \"left\", while \"left\" waits for it";
  EXPECT_TRUE(Eventually([&] {  // a slow machine may not bring them to wait at the same time
    Caller::inside = 0;
    auto first = left.CallAsync(&Caller::CallOther, 200);
    const absl::Status second = right.Call(&Caller::CallOther, 20000);
    EXPECT_TRUE(second.ok()) << "the first one's deadline set it free: " << second;
    const absl::Status waited = first.Get(kLong);
    EXPECT_EQ(waited.code(), absl::StatusCode::kDeadlineExceeded);
    said = std::string(waited.message());
    return said.find(circle) != std::string::npos;
  })) << said;
  EXPECT_THAT(said, HasSubstr("\"right\" has not answered \"nothing\""));
}

PUMA_IN_BOTH_KINDS(CallTest);

}  // namespace
}  // namespace puma::testing
