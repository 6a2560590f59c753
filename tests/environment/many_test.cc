// Many subscriptions, named and lossy ones; held values.
#include "tests/environment/both_kinds.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ManyTest : public BothKinds {
 protected:
  Buffer<int> Make(size_t capacity = 4, std::vector<std::string> named = {}) {
    return env_->CreateBuffer<int>("numbers", {.capacity = capacity, .subscriptions = Subscriptions::kMany, .named = std::move(named)});
  }
};
PUMA_IN_BOTH_KINDS(ManyTest);

TEST_P(ManyTest, EachSubscriptionHasItsOwnPositionAndTheSlowestGates) {
  auto numbers = Make(3);
  auto publisher = numbers.Publish();
  auto fast = numbers.Subscribe(), slow = numbers.Subscribe();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  EXPECT_THAT(TakeSome(fast), ElementsAre(1, 2, 3));
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(4)));
  EXPECT_THAT(TakeSome(slow, 1), ElementsAre(1));
  EXPECT_TRUE(publisher.PublishValue(4).ok());
  EXPECT_THAT(TakeSome(slow), ElementsAre(2, 3, 4));
  EXPECT_THAT(TakeSome(fast), ElementsAre(4));
}

TEST_P(ManyTest, EachGetsTheCompletion) {
  auto numbers = Make();
  Event event, other;
  auto first = numbers.Subscribe(event), second = numbers.Subscribe(other);
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "3", "complete"}).Join().ok());
  EXPECT_THAT(TakeAll(first, event).values, ElementsAre(1, 2, 3));
  EXPECT_THAT(TakeAll(second, other).values, ElementsAre(1, 2, 3));
}

TEST_P(ManyTest, WhenTheLastHasLeftWhatItHasNotTakenWaitsForTheNext) {
  auto numbers = Make();
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  EXPECT_EQ(env_->Launch("reader", &TakeInts, {"numbers", "1"}).Join().message(), "1");
  auto next = numbers.Subscribe();
  EXPECT_THAT(TakeSome(next), ElementsAre(2, 3));
}

TEST_P(ManyTest, ALateJoinerGetsWhatIsStillThereOrAsksToBeginFromNow) {
  auto numbers = Make(4);
  auto publisher = numbers.Publish();
  auto first = numbers.Subscribe();
  for (int i = 1; i <= 4; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  EXPECT_THAT(TakeSome(first, 2), ElementsAre(1, 2));
  ASSERT_TRUE(publisher.PublishValue(5).ok());  // over the first value
  auto oldest = numbers.Subscribe(SubscribeOptions{}), now = numbers.Subscribe({.from_now = true});
  EXPECT_THAT(TakeSome(oldest), ElementsAre(3, 4, 5));
  EXPECT_THAT(TakeSome(now), IsEmpty());
  EXPECT_THAT(TakeSome(first), ElementsAre(3, 4, 5));
  ASSERT_TRUE(publisher.PublishValue(6).ok());
  for (auto* each : {&first, &oldest, &now}) EXPECT_THAT(TakeSome(*each), ElementsAre(6));
}

TEST_P(ManyTest, ALateJoinerIsPromisedWhatAnotherProcessPublishes) {
  auto numbers = Make(2);
  Event event;
  auto first = numbers.Subscribe(event);
  Job job = env_->Launch("publisher", &PublishInts, {"numbers", "1", "100", "complete"});
  ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());
  Event other;
  auto second = numbers.Subscribe(other);
  ASSERT_TRUE(second.status().ok()) << second.status();
  std::vector<int> got;
  bool complete = false;
  Received<int> received;
  while (!complete) {
    ASSERT_TRUE(other.Wait(absl::Milliseconds(1)).ok() || event.Wait(absl::Seconds(60)).ok());
    TakeSome(first, 1);
    auto taken = second.Drain([&](const int& value) { got.push_back(value); }, [&](const absl::Status&) { complete = true; });
    ASSERT_TRUE(taken.ok());
  }
  ASSERT_FALSE(got.empty());
  for (size_t i = 1; i < got.size(); ++i) EXPECT_EQ(got[i], got[i - 1] + 1) << "no gap after the start";
  EXPECT_EQ(got.back(), 100);
  EXPECT_TRUE(job.Join().ok());
}

TEST_P(ManyTest, NamedSubscriptionsKeepTheirPositionWhileNobodyReads) {
  auto numbers = Make(4, {"audit", "display"});
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 4; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  {
    auto display = numbers.Subscribe({.name = "display"});
    EXPECT_THAT(TakeSome(display), ElementsAre(1, 2, 3, 4));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(5))) << "audit has read nothing yet";
  auto audit = numbers.Subscribe({.name = "audit"});
  EXPECT_THAT(TakeSome(audit), ElementsAre(1, 2, 3, 4));
  auto again = numbers.Subscribe({.name = "audit"});
  EXPECT_EQ(again.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("audit"));
}

TEST_P(ManyTest, ALossySubscriptionNeverGatesAndCountsWhatItMissed) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 2});
  auto publisher = numbers.Publish();
  auto reliable = numbers.Subscribe();
  Event event;
  auto lossy = numbers.Subscribe(event, {.lossy = true});
  for (int i = 1; i <= 10; ++i) {
    ASSERT_TRUE(publisher.PublishValue(i).ok());
    EXPECT_THAT(TakeSome(reliable), ElementsAre(i));
  }
  ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());
  std::vector<int> values;
  uint64_t missed = 0;
  ASSERT_TRUE(lossy
                  .Drain([&](const int& value, const Message& message) {
                    values.push_back(value);
                    missed += message.missed;
                  })
                  .ok());
  EXPECT_EQ(values.size() + missed, 10u);
  EXPECT_EQ(values.back(), 10);
}

TEST_P(ManyTest, WhatASubscriptionMayNotBeIsSaid) {
  auto one = env_->CreateBuffer<int>("one");
  EXPECT_EQ(one.Subscribe({.name = "audit"}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(one.Subscribe({.name = "audit", .lossy = true}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(one.Subscribe().status().ok());
}

// ---- holding ---------------------------------------------------------------------------------------------------------------------------

class HoldTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(HoldTest);

TEST_P(HoldTest, HeldValuesStayWhereTheyAreAndCountAgainstTheCapacity) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 3});
  auto publisher = numbers.Publish();
  auto subscription = numbers.Subscribe();
  EXPECT_EQ(subscription.Hold(3).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(subscription.Hold(2).ok());
  std::vector<const int*> places;
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  ASSERT_TRUE(subscription.Drain([&](const int& value) { places.push_back(&value); }).ok());
  EXPECT_EQ(places.size(), 3u);
  EXPECT_TRUE(publisher.PublishValue(4).ok()) << "the first was pushed out by the third";
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(5)));
  EXPECT_EQ(*places[1], 2);
  EXPECT_EQ(*places[2], 3);
  subscription.Release();
  EXPECT_TRUE(publisher.PublishValue(5).ok());
  EXPECT_TRUE(publisher.PublishValue(6).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(7)));
}

TEST_P(HoldTest, HeldValuesComeAgainToWhoSubscribesNext) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  {
    auto subscription = numbers.Subscribe();
    ASSERT_TRUE(subscription.Hold(2).ok());
    EXPECT_THAT(TakeSome(subscription, 4), ElementsAre(1, 2, 3, 4));
  }
  EXPECT_EQ(env_->Launch("reader", &TakeInts, {"numbers", "3"}).Join().message(), "3 4 5");
}

// {}: holds two of "numbers", takes four and leaves.
absl::Status HoldTwoOfFour(Environment& environment, const std::vector<std::string>&) {
  auto subscription = environment.OpenBuffer<int>("numbers").Subscribe();
  PUMA_RETURN_IF_ERROR(subscription.Hold(2));
  return subscription.Drain([](const int&) {}, nullptr, 4).status();
}

TEST_P(HoldTest, HeldValuesThatComeAgainSaySo) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  ASSERT_TRUE(env_->Launch("holder", &HoldTwoOfFour).Join().ok());
  auto subscription = numbers.Subscribe();
  std::vector<std::pair<int, bool>> got;
  ASSERT_TRUE(subscription.Drain([&](const int& value, const Message& message) { got.emplace_back(value, message.redelivered); }).ok());
  EXPECT_THAT(got, ElementsAre(std::pair(3, true), std::pair(4, true), std::pair(5, false)));
}

TEST_P(HoldTest, WhoHoldsValuesSleepsAndIsWoken) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 4});
  Event event;
  auto subscription = numbers.Subscribe(event);
  ASSERT_TRUE(subscription.Hold(3).ok());
  Job job = env_->Launch("publisher", &PublishInts, {"numbers", "1", "300", "complete"});
  EXPECT_EQ(TakeAll(subscription, event).values.size(), 300u);
  EXPECT_EQ(BeltWakeups(), 0u);
  EXPECT_TRUE(job.Join().ok());
}

}  // namespace
}  // namespace puma::testing
