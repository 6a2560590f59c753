// One buffer copied to several.
#include <puma/parallel.h>

#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MulticasterTest : public BothKinds {
 protected:
  Buffer<int> Make(const std::string& name, BufferOptions options = {}) { return env_->CreateBuffer<int>(name, std::move(options)); }
  // Publishes 1..count and completes; as the other kind of end.
  Job Publish(int count, const std::string& end = "complete") {
    return env_->Launch("publisher", &PublishInts, {"from", "1", std::to_string(count), end});
  }
  static std::string What(const Received<int>& received) {
    return Listed(received.values) + (received.completions.at(0).ok() ? "" : " " + std::string(received.completions.at(0).message()));
  }
};

TEST_P(MulticasterTest, EveryValueAndTheCompletionReachEveryOutput) {
  auto from = Make("from"), a = Make("a"), b = Make("b");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(a).ok());
  ASSERT_TRUE(caster.Subscribe(b).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(4);
  EXPECT_EQ(What(ReadToTheEnd(a)), "1 2 3 4");
  EXPECT_EQ(What(ReadToTheEnd(b)), "1 2 3 4");
  EXPECT_TRUE(caster.Join(kLong).ok());
  EXPECT_TRUE(caster.Close().ok());
}

TEST_P(MulticasterTest, TextsAndBlocksAreCopiedTooEmptyOnesIncluded) {
  auto from = env_->CreateBuffer<std::string>("texts"), a = env_->CreateBuffer<std::string>("a"), b = env_->CreateBuffer<std::string>("b");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(a).ok());
  ASSERT_TRUE(caster.Subscribe(b).ok());
  auto publisher = from.Publish();
  for (const std::string& text : {std::string(), std::string("one"), std::string(1 << 20, 'x')})
    EXPECT_TRUE(publisher.PublishValue(text).ok());
  ASSERT_TRUE(publisher.PublishComplete().ok());
  ASSERT_TRUE(caster.Start().ok());
  for (auto* buffer : {&a, &b}) EXPECT_THAT(ReadToTheEnd(*buffer).values, ElementsAre("", "one", std::string(1 << 20, 'x')));
}

TEST_P(MulticasterTest, AnErrorCompletionStaysTheOriginalErrorForEveryone) {
  auto from = Make("from"), a = Make("a"), b = Make("b");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(a).ok());
  ASSERT_TRUE(caster.Subscribe(b).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(2, "the disk is full");
  for (auto* buffer : {&a, &b}) {
    const auto received = ReadToTheEnd(*buffer);
    EXPECT_EQ(What(received), "1 2 the disk is full");
    EXPECT_EQ(received.completions[0].code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_TRUE(caster.Close().ok()) << "the outputs have the error";
}

TEST_P(MulticasterTest, CompletionsReachEveryOutputFullOrNot) {
  auto from = Make("from"), full = Make("full", {.capacity = 1}), other = Make("other");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(full, OnFull::kIgnore).ok());
  ASSERT_TRUE(caster.Subscribe(other).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(3, "the disk is full");
  EXPECT_TRUE(caster.Join(kLong).ok());
  EXPECT_EQ(What(ReadToTheEnd(full)), "1 the disk is full");
  EXPECT_EQ(What(ReadToTheEnd(other)), "1 2 3 the disk is full");
}

TEST_P(MulticasterTest, AFullOutputThatIgnoresOrWarnsIsSkipped) {
  auto from = Make("from"), ignoring = Make("ignoring", {.capacity = 1}), warning = Make("warning", {.capacity = 2}), other = Make("other");
  CapturedLog log;
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(ignoring, OnFull::kIgnore).ok());
  ASSERT_TRUE(caster.Subscribe(warning, OnFull::kWarn).ok());
  ASSERT_TRUE(caster.Subscribe(other).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(4);
  EXPECT_TRUE(caster.Join(kLong).ok());
  EXPECT_EQ(What(ReadToTheEnd(ignoring)), "1");
  EXPECT_EQ(What(ReadToTheEnd(warning)), "1 2");
  EXPECT_EQ(What(ReadToTheEnd(other)), "1 2 3 4");
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], HasSubstr("buffer \"warning\" is full"));
}

TEST_P(MulticasterTest, AFullOutputWithErrorEndsItThoseBeforeHaveTheValueThoseAfterNotAllAreTold) {
  auto from = Make("from"), before = Make("before"), full = Make("full", {.capacity = 1}), after = Make("after");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(before).ok());
  ASSERT_TRUE(caster.Subscribe(full).ok());
  ASSERT_TRUE(caster.Subscribe(after).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(3);
  EXPECT_TRUE(caster.Join(kLong).ok());
  EXPECT_EQ(What(ReadToTheEnd(before)), "1 2 buffer \"full\" is full");
  EXPECT_EQ(What(ReadToTheEnd(full)), "1 buffer \"full\" is full");
  EXPECT_EQ(What(ReadToTheEnd(after)), "1 buffer \"full\" is full");
  EXPECT_EQ(caster.CheckForErrors().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(caster.CheckForErrors().ok()) << "once";
}

TEST_P(MulticasterTest, OnlyOutputsWithBlockSlowThePublisher) {
  auto from = Make("from", {.capacity = 2}), slow = Make("slow", {.capacity = 1}), other = Make("other");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(slow, OnFull::kBlock).ok());
  ASSERT_TRUE(caster.Subscribe(other).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(20);
  EXPECT_EQ(What(ReadToTheEnd(slow)).substr(0, 8), "1 2 3 4 ");
  EXPECT_EQ(ReadToTheEnd(other).values.size(), 20u);
}

TEST_P(MulticasterTest, AnOutputThatIsGoneDoesNotKeepTheCompletionFromTheOthers) {
  auto from = Make("from"), gone = Make("gone"), other = Make("other");
  CapturedLog log;
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(gone).ok());
  ASSERT_TRUE(caster.Subscribe(other).ok());
  ASSERT_TRUE(gone.Close().ok());
  ASSERT_TRUE(caster.Start().ok());
  auto publisher = from.Publish();
  ASSERT_TRUE(publisher.PublishComplete().ok());
  EXPECT_EQ(What(ReadToTheEnd(other)), "");
  EXPECT_TRUE(caster.Close().ok());
}

TEST_P(MulticasterTest, SubscribingTwiceWhileItRunsOrWithAnotherTypeIsAnError) {
  auto from = Make("from"), a = Make("a"), b = Make("b");
  auto texts = env_->CreateBuffer<std::string>("texts");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(a).ok());
  EXPECT_EQ(caster.Subscribe(a).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(caster.Subscribe(texts).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(caster.Subscribe(from).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(caster.Subscribe(b, OnFull::kDropOldest).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(caster.Unsubscribe(b).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(caster.Unsubscribe(a).ok());
  EXPECT_EQ(caster.Unsubscribe(a).code(), absl::StatusCode::kNotFound) << "twice";
  EXPECT_TRUE(caster.Subscribe(a).ok());
  ASSERT_TRUE(caster.Start().ok());
  EXPECT_EQ(caster.Start().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(caster.Subscribe(b).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(caster.Unsubscribe(a).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(caster.Join(kNoWait).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(caster.Close().ok());
  EXPECT_EQ(caster.Close().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(MulticasterTest, WithoutOutputsItDropsSilently) {
  auto from = Make("from");
  CapturedLog log;
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(100);
  EXPECT_TRUE(caster.Join(kLong).ok());
  EXPECT_TRUE(caster.Close().ok());
  EXPECT_THAT(log.lines(), ElementsAre());
}

TEST_P(MulticasterTest, StopLeavesTheOutputsWithoutCompletingThemAlsoWhenItWaits) {
  auto from = Make("from"), slow = Make("slow", {.capacity = 1});
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(slow, OnFull::kBlock).ok());
  ASSERT_TRUE(caster.Start().ok());
  auto publisher = from.Publish();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  caster.Stop();
  EXPECT_TRUE(caster.Join(kLong).ok());
  EXPECT_TRUE(caster.Close().ok());
  Event event;
  auto subscription = slow.Subscribe(event);
  auto late = slow.Publish();
  ASSERT_TRUE(late.PublishComplete().ok());
  EXPECT_LE(TakeAll(subscription, event).values.size(), 1u);
}

TEST_P(MulticasterTest, OutputsAreInputsOfRunnables) {
  auto from = Make("from"), a = Make("a"), b = Make("b"), scaled = Make("scaled");
  Multicaster caster(*env_, from);
  ASSERT_TRUE(caster.Subscribe(a).ok());
  ASSERT_TRUE(caster.Subscribe(b).ok());
  auto scaler = env_->CreateRunner<Scaler>("scaler", {.inputs = {{"numbers", a}}, .outputs = {{"scaled", scaled}}});
  ASSERT_TRUE(scaler.StartBlocking(kLong).ok());
  ASSERT_TRUE(caster.Start().ok());
  Job publisher = Publish(3);
  EXPECT_EQ(What(ReadToTheEnd(scaled)), "2 4 6");
  EXPECT_EQ(What(ReadToTheEnd(b)), "1 2 3");
}

TEST(MulticasterOfThreads, ATypeWithoutACodecIsRefused) {
  struct Own {
    std::unique_ptr<int> value;
  };
  ThreadEnvironment env;
  auto from = env.CreateBuffer<Own>("from");
  Multicaster caster(env, from);
  EXPECT_THAT(std::string(caster.Start().message()), HasSubstr("give it a puma::Codec"));
}

PUMA_IN_BOTH_KINDS(MulticasterTest);

}  // namespace
}  // namespace puma::testing
