// The loop, its completion rules and its ticks, in both kinds. Each runnable tells what happened to it through its output "log".
#include <stdexcept>

#include "tests/worker/programs.h"
#include "worker/platform/system.h"

namespace puma::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;

// Says each value and completion of its inputs. What the parameters name fails or takes the error.
class Teller : public Runnable, public Subscriber<int> {
 public:
  explicit Teller(Setup& setup)
      : fails_(setup.Param("fails", "", "what fails: value, complete, always, wait, end")),
        takes_(setup.Param("takes", "", "who takes an error: subscriber, end")),
        log_(setup.Output<std::string>("log")) {
    setup.Input("left", *this);
    setup.Input("right", *this, {.optional = true});
    setup.Input("text", &Teller::OnText, &Teller::OnTextComplete, {.optional = true});
  }

 private:
  absl::Status Say(const std::string& what) { return log_.PublishValue(what, absl::Seconds(60)); }
  absl::Status OnValue(const int& value) override {
    PUMA_RETURN_IF_ERROR(Say("value " + std::to_string(value)));
    return fails_ == "value" ? InvalidArgument("bad value") : absl::OkStatus();
  }
  absl::Status OnComplete(const absl::Status& error) override {
    PUMA_RETURN_IF_ERROR(Say("complete " + Text(error)));
    if (fails_ == "complete" || fails_ == "always") {
      if (fails_ == "complete") fails_ = "";
      return Unavailable("completion failed");
    }
    return takes_ == "subscriber" ? absl::OkStatus() : error;
  }
  absl::Status OnText(const std::string& text) { return Say("text " + text); }
  absl::Status OnTextComplete(const absl::Status& error) {
    PUMA_RETURN_IF_ERROR(Say("text complete " + Text(error)));
    return error;
  }
  void OnWait() override {
    if (fails_ == "wait") throw std::runtime_error("no waiting");
  }
  bool OnEnd(const absl::Status& error) override {
    Say("end " + Text(error)).IgnoreError();
    if (fails_ == "end") throw std::runtime_error("no end");
    return takes_ == "end";
  }
  static std::string Text(const absl::Status& error) { return error.ok() ? "ok" : std::string(error.message()); }
  std::string fails_, takes_;
  puma::Output<std::string> log_;
};

class ServicingTest : public BothKinds {
 protected:
  Runner<Teller> Make(std::map<std::string, Value> params = {}, bool right = false, bool text = false) {
    std::vector<BufferWire> inputs = {{"left", left_}};
    if (right) inputs.push_back({"right", right_});
    if (text) inputs.push_back({"text", text_});
    return env_->CreateRunner<Teller>("teller", {.inputs = inputs, .outputs = {{"log", log_}}, .params = std::move(params)});
  }
  std::vector<std::string> Said() { return ReadToTheEnd(log_).values; }

  Buffer<int> left_ = env_->CreateBuffer<int>("left"), right_ = env_->CreateBuffer<int>("right");
  Buffer<std::string> text_ = env_->CreateBuffer<std::string>("text"), log_ = env_->CreateBuffer<std::string>("log");
  Publisher<int> publisher_ = left_.Publish();
};

TEST_P(ServicingTest, CompletionReachesItsSubscriberOnceAndTheRunEnds) {
  auto teller = Make();
  ASSERT_TRUE(teller.Start().ok());
  ASSERT_TRUE(publisher_.PublishValue(1).ok());
  ASSERT_TRUE(publisher_.PublishComplete().ok());
  EXPECT_THAT(Said(), ElementsAre("value 1", "complete ok", "end ok"));
  EXPECT_TRUE(teller.Close().ok());
}

TEST_P(ServicingTest, OneSubscriberOfTwoInputsCompletesWithTheLastOfThem) {
  auto teller = Make({}, true);
  ASSERT_TRUE(teller.Start().ok());
  ASSERT_TRUE(publisher_.PublishValue(1).ok());
  ASSERT_TRUE(publisher_.PublishComplete().ok());
  auto right = right_.Publish();
  ASSERT_TRUE(right.PublishValue(2).ok());
  ASSERT_TRUE(right.PublishComplete().ok());
  const auto said = Said();
  ASSERT_EQ(said.size(), 4u);
  EXPECT_THAT(said, Contains("value 1"));
  EXPECT_THAT(said, Contains("value 2"));
  EXPECT_EQ(said[2], "complete ok") << "no value ever follows";
}

TEST_P(ServicingTest, ItEndsOnlyWhenAllInputsAreComplete) {
  auto teller = Make({}, false, true);
  ASSERT_TRUE(teller.StartBlocking(kLong).ok());
  ASSERT_TRUE(publisher_.PublishComplete().ok());
  EXPECT_EQ(teller.Join(absl::Milliseconds(20)).code(), absl::StatusCode::kDeadlineExceeded);
  auto text = text_.Publish();
  ASSERT_TRUE(text.PublishValue("more").ok());
  ASSERT_TRUE(text.PublishComplete().ok());
  EXPECT_THAT(Said(), ElementsAre("complete ok", "text more", "text complete ok", "end ok"));
}

TEST_P(ServicingTest, AnErrorOnAnInputEndsItAndGoesToAllWhoHaveNotCompleted) {
  auto teller = Make({}, false, true);
  ASSERT_TRUE(teller.Start().ok());
  ASSERT_TRUE(publisher_.PublishComplete(InvalidArgument("upstream")).ok());
  const auto received = ReadToTheEnd(log_);
  EXPECT_THAT(received.values, ElementsAre("complete upstream", "text complete upstream", "end upstream"));
  EXPECT_EQ(received.completions.at(0).message(), "upstream") << "and goes on downstream";
  EXPECT_EQ(teller.Close().message(), "upstream");
}

TEST_P(ServicingTest, AnErrorThatASubscriberOrOnEndTakesIsNotReturned) {
  for (const char* who : {"subscriber", "end"}) {
    auto log = env_->CreateBuffer<std::string>(std::string("log of ") + who);
    auto in = env_->CreateBuffer<int>(std::string("in of ") + who);
    auto teller = env_->CreateRunner<Teller>("teller", {.inputs = {{"left", in}}, .outputs = {{"log", log}}, .params = {{"takes", who}}});
    ASSERT_TRUE(teller.Start().ok());
    ASSERT_TRUE(in.Publish().PublishComplete(InvalidArgument("upstream")).ok());
    const auto received = ReadToTheEnd(log);
    EXPECT_THAT(received.values, ElementsAre("complete upstream", "end upstream")) << who;
    EXPECT_TRUE(received.completions.at(0).ok()) << who;
    EXPECT_TRUE(teller.Close().ok()) << who;
  }
}

TEST_P(ServicingTest, AHandlersErrorEndsItAndEverySubscriberHearsOfIt) {
  auto teller = Make({{"fails", "value"}});
  ASSERT_TRUE(teller.Start().ok());
  ASSERT_TRUE(publisher_.PublishValue(1).ok());
  ASSERT_TRUE(publisher_.PublishValue(2).ok());
  EXPECT_THAT(Said(), ElementsAre("value 1", "complete bad value", "end bad value"));
  EXPECT_EQ(teller.Close().message(), "bad value");
  auto subscription = left_.Subscribe();
  EXPECT_THAT(TakeSome(subscription), ElementsAre(2)) << "the failed one counts as taken, the rest stays";
}

TEST_P(ServicingTest, ACompletionThatFailsBecomesTheErrorAndIsOfferedOnceMore) {
  auto teller = Make({{"fails", "complete"}});
  ASSERT_TRUE(teller.Start().ok());
  ASSERT_TRUE(publisher_.PublishComplete().ok());
  EXPECT_THAT(Said(), ElementsAre("complete ok", "complete completion failed", "end completion failed"));
  EXPECT_EQ(teller.Close().message(), "completion failed");
}

TEST_P(ServicingTest, AnErrorOfACompletionWhileAnotherIsHandledIsLoggedAndTheFirstWins) {
  auto teller = Make({{"fails", "always"}});
  ASSERT_TRUE(teller.Start().ok());
  ASSERT_TRUE(publisher_.PublishComplete(InvalidArgument("upstream")).ok());
  EXPECT_THAT(Said(), Contains("complete upstream"));
  EXPECT_EQ(teller.Close().message(), "upstream");
}

TEST_P(ServicingTest, AHookThatFailsBecomesTheErrorOnlyWithoutAnother) {
  auto waits = Make({{"fails", "wait"}});
  ASSERT_TRUE(waits.Start().ok());
  EXPECT_THAT(Said(), ElementsAre("complete no waiting", "end no waiting"));
  EXPECT_TRUE(IsError(waits.Close(), "std::runtime_error"));
  auto log = env_->CreateBuffer<std::string>("second log");
  auto in = env_->CreateBuffer<int>("second in");
  auto ends = env_->CreateRunner<Teller>("ends", {.inputs = {{"left", in}}, .outputs = {{"log", log}}, .params = {{"fails", "end"}}});
  ASSERT_TRUE(ends.Start().ok());
  ASSERT_TRUE(in.Publish().PublishComplete(InvalidArgument("upstream")).ok());
  ASSERT_TRUE(ends.Join(kLong).ok());
  EXPECT_EQ(ends.Close().message(), "upstream");
}

TEST_P(ServicingTest, StopCompletesSubscribersAndLeavesTheRestForTheNextSubscription) {
  auto teller = Make();
  ASSERT_TRUE(teller.StartBlocking(kLong).ok());
  Event event;
  auto log = log_.Subscribe(event);
  ASSERT_TRUE(publisher_.PublishValue(1).ok());
  ASSERT_TRUE(Eventually([&] { return TakeSome(log) == std::vector<std::string>{"value 1"}; }));
  teller.Stop();
  ASSERT_TRUE(teller.Join(kLong).ok());
  EXPECT_THAT(TakeSome(log), ElementsAre("complete ok", "end ok"));
  ASSERT_TRUE(publisher_.PublishValue(2).ok());
  EXPECT_TRUE(teller.Close().ok());
  auto again = env_->CreateRunner<Teller>("again", {.inputs = {{"left", left_}}, .outputs = {{"log", log_}}});
  ASSERT_TRUE(again.Start().ok());
  ASSERT_TRUE(Eventually([&] { return TakeSome(log) == std::vector<std::string>{"value 2"}; }));
}

TEST_P(ServicingTest, ABufferThatIsDestroyedEndsWhoReadsIt) {
  auto in = std::make_unique<Buffer<int>>(env_->CreateBuffer<int>("short-lived"));
  auto log = env_->CreateBuffer<std::string>("its log");
  auto teller = env_->CreateRunner<Teller>("teller", {.inputs = {{"left", *in}}, .outputs = {{"log", log}}});
  ASSERT_TRUE(teller.StartBlocking(kLong).ok());
  CapturedLog captured;
  in->Close().IgnoreError();
  ASSERT_TRUE(teller.Join(kLong).ok());
  EXPECT_THAT(std::string(teller.Close().message()), HasSubstr("short-lived"));
}

// ---- steady input starves nobody
// ---------------------------------------------------------------------------------------------------------

class Loop : public Runnable {
 public:
  explicit Loop(Setup& setup) : out_(setup.Output<int>("out")) {
    setup.Input("in", &Loop::OnValue);
    setup.Command("ticks", &Loop::Ticks);
    setup.Command("tick_every", &Loop::TickEvery, {"interval"});
  }
  int Ticks() const { return ticks_; }
  absl::Status TickEvery(absl::Duration interval) {
    PUMA_RETURN_IF_ERROR(SetTickInterval(interval));
    return ResumeTicks();
  }

 private:
  absl::Status OnValue(const int& value) { return out_.PublishValue(value + 1, absl::Seconds(60)); }  // feeds itself
  absl::Status OnTick(Timestamp) override {
    ++ticks_;
    return absl::OkStatus();
  }
  int ticks_ = 0;
  puma::Output<int> out_;
};

TEST_P(ServicingTest, SteadyInputStarvesNeitherCommandsNorTicksNorStop) {
  auto circle = env_->CreateBuffer<int>("circle");
  auto loop = env_->CreateRunner<Loop>("loop", {.inputs = {{"in", circle}}, .outputs = {{"out", circle}}});
  ASSERT_TRUE(loop.StartBlocking(kLong).ok());
  auto spark = circle.Publish();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(spark.PublishValue(0).ok());
  ASSERT_TRUE(loop.Call(&Loop::TickEvery, absl::Microseconds(100)).ok());
  EXPECT_TRUE(Eventually([&] { return *loop.Call(&Loop::Ticks) > 10; }));
  EXPECT_TRUE(loop.Close().ok());
}

// ---- ticks
// -------------------------------------------------------------------------------------------------------------------------------

class Ticking : public Runnable {
 public:
  explicit Ticking(Setup& setup) : at_(setup.Output<int64_t>("at")) {
    setup.Command("every", &Ticking::Every, {"interval"});
    setup.Command("resume", &Ticking::Resume);
    setup.Command("pause", &Ticking::Pause);
    setup.Command("count", &Ticking::Count);
    setup.Command("now", &Ticking::NowNs);
  }
  absl::Status Every(absl::Duration interval) { return SetTickInterval(interval); }
  absl::StatusOr<int64_t> Resume() {
    PUMA_RETURN_IF_ERROR(ResumeTicks());
    return NowNs();
  }
  void Pause() { PauseTicks(); }
  int Count() const { return count_; }
  int64_t NowNs() { return absl::ToInt64Nanoseconds(Now()); }

 private:
  absl::Status OnTick(Timestamp now) override {
    ++count_;
    return at_.PublishValue(absl::ToInt64Nanoseconds(now), kNoWait, OnFull::kIgnore);
  }
  int count_ = 0;
  puma::Output<int64_t> at_;
};

TEST_P(ServicingTest, TicksNeedAnIntervalComeNoEarlierThanOneAndPause) {
  auto at = env_->CreateBuffer<int64_t>("at", {.capacity = 1000});
  auto ticking = env_->CreateRunner<Ticking>("ticking", {.outputs = {{"at", at}}});
  ASSERT_TRUE(ticking.StartBlocking(kLong).ok());
  EXPECT_EQ(ticking.Call(&Ticking::Resume).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ticking.Call(&Ticking::Every, absl::ZeroDuration()).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(ticking.Call(&Ticking::Every, absl::Milliseconds(5)).ok());
  const int64_t before = MonotonicNanos();
  ASSERT_TRUE(ticking.Call(&Ticking::Resume).ok());
  EXPECT_TRUE(Eventually([&] { return *ticking.Call(&Ticking::Count) >= 3; }));
  ASSERT_TRUE(ticking.Call(&Ticking::Pause).ok());
  const int count = *ticking.Call(&Ticking::Count);
  absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(*ticking.Call(&Ticking::Count), count) << "none after PauseTicks has returned";
  auto subscription = at.Subscribe();
  const auto times = TakeSome(subscription);
  ASSERT_GE(times.size(), 3u);
  EXPECT_GE(times[0] - before, 5'000'000) << "the first one interval later, on the clock of all processes";
  EXPECT_TRUE(ticking.Close().ok());
}

TEST(Timestamps, AreOneMonotonicClockForAllProcesses) {
  ProcessEnvironment env;
  auto at = env.CreateBuffer<int64_t>("at");
  auto ticking = env.CreateRunner<Ticking>("ticking", {.outputs = {{"at", at}}});
  ASSERT_TRUE(ticking.StartBlocking(kLong).ok());
  for (int i = 0; i < 20; ++i) {
    const int64_t before = absl::ToInt64Nanoseconds(PrecisionTimestamp());
    auto there = ticking.Call(&Ticking::NowNs);
    const int64_t after = absl::ToInt64Nanoseconds(PrecisionTimestamp());
    ASSERT_TRUE(there.ok());
    EXPECT_LE(before, *there);
    EXPECT_LE(*there, after);
  }
}

// ---- outputs and publishers of runnables -----------------------------------------------------------------------------------------------

class Early : public Runnable {
 public:
  explicit Early(Setup& setup) : out_(setup.Output<int>("out")), result_(setup.Status<std::string>()) {}

 private:
  absl::Status OnStart() override {
    early_ = out_.PublishValue(1);
    return absl::OkStatus();
  }
  absl::Status Execute() override {
    result_.Send(std::string(absl::StatusCodeToString(early_.code())));
    PUMA_RETURN_IF_ERROR(out_.PublishValue(2));
    return absl::OkStatus();  // completed by the runtime
  }
  absl::Status early_;
  puma::Output<int> out_;
  StatusPort<std::string> result_;
};

TEST_P(ServicingTest, OutputsExistOnlyWhileItExecutesAndAreCompletedForIt) {
  auto out = env_->CreateBuffer<int>("out");
  auto early = env_->CreateRunner<Early>("early", {.outputs = {{"out", out}}});
  ASSERT_TRUE(early.Start().ok());
  EXPECT_EQ(*early.WaitForStatus<std::string>(kLong), "FAILED_PRECONDITION");
  auto received = ReadToTheEnd(out);
  EXPECT_THAT(received.values, ElementsAre(2));
  EXPECT_TRUE(received.completions.at(0).ok());
}

PUMA_IN_BOTH_KINDS(ServicingTest);

}  // namespace
}  // namespace puma::testing
