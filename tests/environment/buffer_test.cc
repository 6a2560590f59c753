// A buffer's two ends.
#include <atomic>
#include <chrono>
#include <numeric>
#include <span>
#include <thread>

#include "tests/environment/both_kinds.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BufferTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(BufferTest);

TEST_P(BufferTest, ValuesArriveInOrderAndThenTheCompletion) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  Job job = env_->Launch("publisher", &PublishInts, {"numbers", "1", "5", "complete"});
  auto received = TakeAll(subscription, event);
  EXPECT_THAT(received.values, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(received.completions, ElementsAre(absl::OkStatus()));
  EXPECT_TRUE(job.Join().ok());
}

TEST_P(BufferTest, TheOtherEndReadsWhatThisOnePublishes) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 2, .on_full = OnFull::kBlock});
  Job job = env_->Launch("reader", &TakeIntsToTheEnd, {"numbers"});
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 6; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  ASSERT_TRUE(publisher.PublishComplete(absl::InternalError("broke")).ok());
  EXPECT_EQ(job.Join().message(), "1 2 3 4 5 6 broke");
}

TEST_P(BufferTest, WhatWasPublishedBeforeAnybodySubscribedIsThere) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "3", "complete"}).Join().ok());
  Event event;
  auto subscription = numbers.Subscribe(event);
  EXPECT_TRUE(event.Wait(kNoWait).ok()) << "subscribing to a buffer that is not empty sets the event at once";
  EXPECT_THAT(TakeAll(subscription, event).values, ElementsAre(1, 2, 3));
}

TEST_P(BufferTest, SubscribingAgainGoesOnWhereTheOneBeforeStopped) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 6; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  EXPECT_EQ(env_->Launch("reader", &TakeInts, {"numbers", "2"}).Join().message(), "1 2");
  {
    auto subscription = numbers.Subscribe();
    EXPECT_THAT(TakeSome(subscription, 2), ElementsAre(3, 4));
  }
  EXPECT_EQ(env_->Launch("reader", &TakeInts, {"numbers", "2"}).Join().message(), "5 6");
}

TEST_P(BufferTest, PublishersThatLeftAreReadBeforeThoseThatOpenedLater) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_TRUE(env_->Launch("first", &PublishInts, {"numbers", "1", "3", "leave"}).Join().ok());
  EXPECT_TRUE(env_->Launch("second", &PublishInts, {"numbers", "11", "3", "leave"}).Join().ok());
  auto subscription = numbers.Subscribe();
  EXPECT_THAT(TakeSome(subscription), ElementsAre(1, 2, 3, 11, 12, 13));
}

TEST_P(BufferTest, ASecondSubscriptionAtTheSameTimeIsAnErrorThatNamesTheBuffer) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto ready = env_->CreateBuffer<int>("ready");
  auto go = env_->CreateBuffer<int>("go");
  Event event;
  auto is_ready = ready.Subscribe(event);
  Job job = env_->Launch("holder", &SubscribeAndWait, {"numbers", "ready"});
  ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());
  auto second = numbers.Subscribe();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("numbers"));
  EXPECT_EQ(second.CallEvents([](const int&) {}).status(), second.status());
  ASSERT_TRUE(go.Publish().PublishValue(1).ok());
  EXPECT_TRUE(job.Join().ok());
  EXPECT_TRUE(numbers.Subscribe().status().ok());
}

TEST_P(BufferTest, OneThatSubscribedReadNothingAndLeftTakesNothingAway) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  EXPECT_EQ(env_->Launch("reader", &TakeInts, {"numbers", "0"}).Join().message(), "");
  auto subscription = numbers.Subscribe();
  EXPECT_THAT(TakeSome(subscription), ElementsAre(1, 2, 3));
}

TEST_P(BufferTest, CallEventsTakesAtMostOneItemAndSaysWhenThereIsNone) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "2", "complete"}).Join().ok());
  auto subscription = numbers.Subscribe();
  std::vector<int> values;
  int completions = 0;
  auto call = [&] {
    return *subscription.CallEvents([&](const int& v) { values.push_back(v); }, [&](const absl::Status&) { ++completions; });
  };
  EXPECT_TRUE(call());
  EXPECT_THAT(values, ElementsAre(1));
  EXPECT_TRUE(call());
  EXPECT_EQ(completions, 0);
  EXPECT_TRUE(call());
  EXPECT_EQ(completions, 1);
  EXPECT_FALSE(call());
  EXPECT_EQ(completions, 1);
}

TEST_P(BufferTest, ASubscriberObjectServesASubscription) {
  struct Sum : Subscriber<int> {
    absl::Status OnValue(const int& value) override {
      sum += value;
      return absl::OkStatus();
    }
    int sum = 0;
  } sum;
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "4", "broke"}).Join().ok());
  auto subscription = numbers.Subscribe();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(subscription.CallEvents(sum).ok());
  EXPECT_EQ(subscription.CallEvents(sum).status().message(), "broke");
  EXPECT_EQ(sum.sum, 10);
}

TEST_P(BufferTest, OneEventServesManyBuffers) {
  auto left = env_->CreateBuffer<int>("left"), right = env_->CreateBuffer<int>("right");
  Event event;
  auto from_left = left.Subscribe(event), from_right = right.Subscribe(event);
  Job a = env_->Launch("a", &PublishInts, {"left", "1", "2", "complete"});
  EXPECT_THAT(TakeAll(from_left, event).values, ElementsAre(1, 2));
  Job b = env_->Launch("b", &PublishInts, {"right", "3", "2", "complete"});
  EXPECT_THAT(TakeAll(from_right, event).values, ElementsAre(3, 4));
}

TEST_P(BufferTest, AFailedHandlersItemCountsAsTakenAndItsSlotIsFree) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 2});
  auto publisher = numbers.Publish();
  auto subscription = numbers.Subscribe();
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(publisher.PublishValue(1).ok());
    ASSERT_TRUE(publisher.PublishValue(2).ok());
    EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(3)));
    EXPECT_EQ(subscription.CallEvents([](const int&) { return absl::InternalError("no"); }).status().message(), "no");
    EXPECT_THROW(subscription.CallEvents([](const int&) { throw std::runtime_error("no"); }).status().IgnoreError(), std::runtime_error);
    EXPECT_FALSE(*subscription.CallEvents([](const int&) {}));
  }
}

TEST_P(BufferTest, MessagesSayWhatIsKnownOfThem) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "2", "leave"}).Join().ok());
  auto subscription = numbers.Subscribe();
  std::vector<uint64_t> sequence;
  auto taken = subscription.Drain([&](const int&, const Message& message) {
    sequence.push_back(message.sequence);
    EXPECT_EQ(message.port, "numbers");
    EXPECT_EQ(message.delivery, 1u);
    EXPECT_GT(message.published_ns, 0);
  });
  EXPECT_EQ(*taken, 2u);
  EXPECT_THAT(sequence, ElementsAre(0, 1));
}

TEST_P(BufferTest, ALoanIsWrittenInPlaceAndPublishedOnce) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  {
    auto unused = publisher.Loan();
    ASSERT_TRUE(unused.ok());
    **unused = 6;
  }
  auto loan = publisher.Loan();
  ASSERT_TRUE(loan.ok());
  **loan = 7;
  EXPECT_TRUE(loan->Publish().ok());
  EXPECT_EQ(loan->Publish().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(env_->Launch("reader", &TakeInts, {"numbers", "1"}).Join().message(), "7");
  auto late = publisher.Loan();
  ASSERT_TRUE(late.ok());
  publisher.Close();
  EXPECT_EQ(late->Publish().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(BufferTest, ABufferIsFoundByItsNameAndType) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_EQ(env_->OpenBuffer<double>("numbers").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(env_->OpenBuffer<int>("lumbers").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(env_->CreateBuffer<int>("numbers").status().code(), absl::StatusCode::kAlreadyExists);
  absl::Status status = env_->Launch("publisher", &PublishInts, {"lumbers", "1", "2", "leave"}).Join();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("numbers"));
}

TEST_P(BufferTest, ACapacityBelowOneAndAnEmptyNameAreInvalid) {
  auto none = env_->CreateBuffer<int>("none", {.capacity = 0});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("none"));
  EXPECT_EQ(none.Publish().PublishValue(1), none.status());
  EXPECT_EQ(none.Subscribe().status(), none.status());
  EXPECT_EQ(env_->CreateBuffer<int>("").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(BufferTest, EndsThatAreUsedAfterTheirEndAreErrorsThatNameTheBuffer) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  auto subscription = numbers.Subscribe();
  publisher.Close();
  subscription.Close();
  for (const absl::Status& status : {publisher.PublishValue(1), publisher.Loan().status(), publisher.PublishComplete(), publisher.status(),
                                     subscription.CallEvents([](const int&) {}).status(), subscription.status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("numbers"));
  }
  ASSERT_TRUE(numbers.Close().ok());
  EXPECT_EQ(numbers.Publish().PublishValue(1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(numbers.Subscribe().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(BufferTest, EndingTwiceWarnsAndEndingByHandAndThenByScopeIsSilent) {
  CapturedLog log;
  {
    auto numbers = env_->CreateBuffer<int>("numbers");
    auto publisher = numbers.Publish();
    auto subscription = numbers.Subscribe();
    publisher.Close();
    subscription.Close();
    ASSERT_TRUE(numbers.Close().ok());
  }
  EXPECT_THAT(log.lines(), IsEmpty());
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  auto subscription = numbers.Subscribe();
  for (int i = 0; i < 2; ++i) {
    publisher.Close();
    subscription.Close();
  }
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(numbers.Close().ok());
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("numbers"), HasSubstr("numbers"), HasSubstr("numbers")));
}

TEST_P(BufferTest, DestroyingABufferInUseWarnsAndInvalidatesItsEnds) {
  CapturedLog log;
  auto ready = env_->CreateBuffer<int>("ready");
  Event event;
  auto is_ready = ready.Subscribe(event);
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1});
  auto publisher = numbers.Publish();
  Job blocked = env_->Launch("blocked", &PublishInts, {"numbers", "1", "9", "complete"});
  auto subscription = numbers.Subscribe(event);
  ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());
  ASSERT_TRUE(numbers.Close().ok());
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("numbers")));
  EXPECT_EQ(blocked.Join().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(publisher.PublishValue(1).message()), HasSubstr("\"numbers\" has been destroyed"));
  EXPECT_THAT(std::string(subscription.CallEvents([](const int&) {}).status().message()), HasSubstr("\"numbers\" has been destroyed"));
}

// Whatever the publisher is in the midst of: opening, publishing, about to wait, waiting.
TEST_P(BufferTest, DestroyingABufferReachesAPublisherAtAnyMoment) {
  CapturedLog log;
  for (int round = 0; round < 500; ++round) {
    auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1});
    std::atomic<bool> begun{false};
    absl::Status status;
    std::thread publishing([&] {
      begun = true;
      auto publisher = numbers.Publish();
      for (int i = 0; i < 1'000'000 && status.ok(); ++i) status = publisher.PublishValue(i, absl::Seconds(60));
    });
    Event event;
    auto subscription = numbers.Subscribe(event);
    while (!begun) std::this_thread::yield();
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(round % 100);
    while (std::chrono::steady_clock::now() < until) continue;
    EXPECT_TRUE(numbers.Close().ok());
    publishing.join();
    ASSERT_TRUE(status.code() == absl::StatusCode::kFailedPrecondition || absl::IsNotFound(status)) << status << " in round " << round;
  }
}

// ---- full ------------------------------------------------------------------------------------------------------------------------------

class FullBufferTest : public BothKinds {};
// ---- arrays
// ------------------------------------------------------------------------------------------------------------------------------

TEST_P(BufferTest, AnArrayIsPublishedAndReadRunByRun) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 100});
  std::vector<int> values(100);
  std::iota(values.begin(), values.end(), 0);
  auto publisher = numbers.Publish();
  auto subscription = numbers.Subscribe();
  std::vector<int> read;
  for (int round = 0; round < 20; ++round) {  // over the end of the ring, again and again
    const size_t count = 37 + static_cast<size_t>(round);
    ASSERT_EQ(*publisher.PublishValues(std::span<const int>(values).first(count)), count);
    read.clear();
    ASSERT_EQ(*subscription.DrainRuns([&](std::span<const int> run) { read.insert(read.end(), run.begin(), run.end()); }), count);
    EXPECT_EQ(read, std::vector<int>(values.begin(), values.begin() + static_cast<long>(count)));
  }
  ASSERT_EQ(*publisher.PublishValues(values), 100u);
  EXPECT_EQ(TakeSome(subscription), values) << "one by one as well";
}

TEST_P(BufferTest, OfAnArrayAsManyArePublishedAsThereIsRoomFor) {
  auto numbers = env_->CreateBuffer<int64_t>("numbers", {.capacity = 4});
  auto publisher = numbers.Publish();
  const std::vector<int64_t> values{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(*publisher.PublishValues(values), 4u);
  EXPECT_EQ(publisher.PublishValues(values).status().code(), absl::StatusCode::kResourceExhausted) << "none";
  EXPECT_EQ(*publisher.PublishValues(values, kNoWait, OnFull::kIgnore), 0u);
  EXPECT_EQ(*publisher.PublishValues(std::span<const int64_t>()), 0u);
  auto subscription = numbers.Subscribe();
  size_t runs = 0;
  EXPECT_EQ(*subscription.DrainRuns([&](std::span<const int64_t> run) { runs += run.size() == 3 ? 1 : 0; }, nullptr, 3), 3u);
  EXPECT_EQ(runs, 1u);
  EXPECT_THAT(TakeSome(subscription), ElementsAre(4));
}

TEST_P(BufferTest, AnArrayWaitsForRoomAndItsRunsEndWithTheCompletion) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 8});
  Job taker = env_->Launch("taker", &TakeIntsToTheEnd, {"numbers"});
  std::vector<int> values(50);
  std::iota(values.begin(), values.end(), 1);
  auto publisher = numbers.Publish();
  EXPECT_EQ(*publisher.PublishValues(values, absl::Seconds(60)), 50u);
  ASSERT_TRUE(publisher.PublishComplete().ok());
  EXPECT_EQ(taker.Join(absl::Seconds(60)).message(), Listed(values));
  auto subscription = numbers.Subscribe();
  auto last = numbers.Publish();
  ASSERT_TRUE(last.PublishValues(std::span<const int>(values).first(3)).ok());
  ASSERT_TRUE(last.PublishComplete().ok());
  size_t count = 0;
  bool completed = false;
  ASSERT_TRUE(
      subscription.DrainRuns([&](std::span<const int> run) { count += run.size(); }, [&](const absl::Status&) { completed = true; }).ok());
  EXPECT_EQ(count, 3u);
  EXPECT_TRUE(completed);
}

TEST_P(BufferTest, ALossySubscriptionGetsRunsOfOne) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 8, .on_full = OnFull::kDropOldest});
  auto publisher = numbers.Publish();
  const std::vector<int> values{1, 2, 3};
  ASSERT_EQ(*publisher.PublishValues(values), 3u);
  auto subscription = numbers.Subscribe();
  std::vector<int> read;
  ASSERT_TRUE(subscription.DrainRuns([&](std::span<const int> run) { read.insert(read.end(), run.begin(), run.end()); }).ok());
  EXPECT_EQ(read, values);
}

PUMA_IN_BOTH_KINDS(FullBufferTest);

TEST_P(FullBufferTest, FullMeansFullAndAfterSomeTakenExactlyAsManyFit) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 5});
  auto publisher = numbers.Publish();
  auto subscription = numbers.Subscribe();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  for (size_t taken : {1, 2, 3, 4, 5, 5, 1}) {
    absl::Status full = publisher.PublishValue(9);
    EXPECT_TRUE(absl::IsResourceExhausted(full));
    EXPECT_THAT(std::string(full.message()), HasSubstr("numbers"));
    EXPECT_EQ(TakeSome(subscription, taken).size(), taken);
    for (size_t i = 0; i < taken; ++i) EXPECT_TRUE(publisher.PublishValue(9).ok());
  }
}

TEST_P(FullBufferTest, TenSlotsTakeTenValuesOfAMegabyte) {
  auto texts = env_->CreateBuffer<std::string>("texts", {.capacity = 10});
  auto publisher = texts.Publish();
  auto subscription = texts.Subscribe();
  const std::string large(1'000'000, 'x');
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(publisher.PublishValue(large).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue("")));
  for (int round = 0; round < 15; ++round) {
    EXPECT_EQ(TakeSome(subscription, 3).size(), 3u);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(publisher.PublishValue(large).ok());
    EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(large)));
  }
}

TEST_P(FullBufferTest, BytesThatAreShortAreNamedAndAValueThatNeverFitsIsInvalid) {
  auto texts = env_->CreateBuffer<std::string>("texts", {.capacity = 10, .capacity_bytes = 1 << 16});
  auto publisher = texts.Publish();
  EXPECT_EQ(publisher.PublishValue(std::string(40'000, 'x')).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(publisher.PublishValue(std::string(30'000, 'x')).ok());
  ASSERT_TRUE(publisher.PublishValue(std::string(30'000, 'x')).ok());
  absl::Status status = publisher.PublishValue(std::string(30'000, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("65536 bytes"));
}

TEST_P(FullBufferTest, WarnSaysSoOnceIgnoreNotAndNeitherQueuesTheItem) {
  CapturedLog log;
  for (OnFull on_full : {OnFull::kIgnore, OnFull::kWarn}) {
    auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1, .on_full = on_full});
    auto publisher = numbers.Publish();
    for (int i = 1; i <= 3; ++i) EXPECT_TRUE(publisher.PublishValue(i).ok());
    EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(4, kNoWait, OnFull::kError))) << "each publish may say otherwise";
    publisher.Close();
    auto subscription = numbers.Subscribe();
    EXPECT_THAT(TakeSome(subscription), ElementsAre(1));
    if (on_full == OnFull::kIgnore) {
      EXPECT_THAT(log.lines(), IsEmpty());
    }
  }
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("numbers")));
}

TEST_P(FullBufferTest, ABlockedPublisherWakesWhenThereIsRoom) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1});
  Event event;
  auto subscription = numbers.Subscribe(event);
  Job job = env_->Launch("publisher", &PublishInts, {"numbers", "1", "200", "complete"});
  EXPECT_EQ(TakeAll(subscription, event).values.size(), 200u);
  EXPECT_TRUE(job.Join().ok());
}

TEST_P(FullBufferTest, ABlockedPublisherWakesAtItsDeadlineAndNotBefore) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1});
  auto publisher = numbers.Publish();
  ASSERT_TRUE(publisher.PublishValue(1).ok());
  for (absl::Duration timeout : {absl::Microseconds(1), absl::Milliseconds(14), absl::Milliseconds(60)}) {
    const absl::Time begin = absl::Now();
    EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(2, timeout)));
    EXPECT_GE(absl::Now() - begin, timeout);
    EXPECT_TRUE(publisher.PublishValue(2, timeout, OnFull::kIgnore).ok());
  }
}

TEST_P(FullBufferTest, ABlockedPublisherWakesWhenItIsCancelled) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1, .on_full = OnFull::kBlock});
  auto publisher = numbers.Publish();
  ASSERT_TRUE(publisher.PublishValue(1).ok());
  std::thread canceller([&] { publisher.Cancel(); });
  absl::Status status = publisher.PublishValue(2);
  EXPECT_TRUE(absl::IsCancelled(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("numbers"));
  canceller.join();
}

TEST_P(FullBufferTest, ABlockedPublisherHoldsUpNobodyElse) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 1});
  Job job = env_->Launch("publisher", &PublishInts, {"numbers", "1", "3", "leave"});
  Event event;
  {
    auto subscription = numbers.Subscribe(event);
    ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());  // its first value: now it waits, or soon does
    auto other = numbers.Publish();
    EXPECT_TRUE(other.PublishValue(10).ok());
    EXPECT_TRUE(other.PublishComplete().ok());
  }
  auto subscription = numbers.Subscribe(event);
  EXPECT_THAT(TakeAll(subscription, event).values, ::testing::UnorderedElementsAre(1, 2, 3, 10));
}

TEST_P(FullBufferTest, ZeroAndNegativeTimeoutsAreInvalid) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (absl::Duration timeout : {absl::ZeroDuration(), absl::Seconds(-1)}) {
    EXPECT_EQ(publisher.PublishValue(1, timeout).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(publisher.Loan(0, timeout).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Event().Wait(timeout).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_P(FullBufferTest, DropOldestKeepsTheNewestAndCountsWhatIsMissed) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 3, .on_full = OnFull::kDropOldest});
  auto subscription = numbers.Subscribe();
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "10", "complete"}).Join().ok());
  std::vector<int> values;
  uint64_t missed = 0;
  auto take = [&](const int& value, const Message& message) {
    values.push_back(value);
    missed += message.missed;
  };
  ASSERT_TRUE(subscription.Drain(take, nullptr).ok());
  EXPECT_THAT(values, ElementsAre(8, 9, 10));
  EXPECT_EQ(missed, 7u);
}

TEST_P(FullBufferTest, LatestShowsTheNewestOnly) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 3, .on_full = OnFull::kLatest});
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "10", "complete"}).Join().ok());
  Event event;
  auto subscription = numbers.Subscribe(event);
  EXPECT_THAT(TakeAll(subscription, event).values, ElementsAre(10));
}

TEST_P(FullBufferTest, DroppingOldValuesIsForWholeBuffers) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  EXPECT_EQ(numbers.Publish().PublishValue(1, kNoWait, OnFull::kDropOldest).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace puma::testing
