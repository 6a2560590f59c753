// Completions: several publishers, errors, rounds (parity-details C1 to C3).
#include "tests/environment/both_kinds.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class CompletionTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(CompletionTest);

TEST_P(CompletionTest, ASubscriptionCompletesOnceWhenAllPublishersHave) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  auto mine = numbers.Publish();
  EXPECT_TRUE(env_->Launch("other", &PublishInts, {"numbers", "1", "2", "complete"}).Join().ok());
  int completions = 0;
  auto count = [&](const absl::Status&) { ++completions; };
  ASSERT_TRUE(subscription.Drain([](const int&) {}, count).ok());
  EXPECT_EQ(completions, 0) << "one publisher still counts";
  ASSERT_TRUE(mine.PublishValue(3).ok());
  ASSERT_TRUE(mine.PublishComplete().ok());
  std::vector<int> values;
  ASSERT_TRUE(subscription.Drain([&](const int& value) { values.push_back(value); }, count).ok());
  EXPECT_THAT(values, ElementsAre(3));
  EXPECT_EQ(completions, 1);
  EXPECT_FALSE(*subscription.CallEvents([](const int&) {}, count));
}

TEST_P(CompletionTest, AnErrorCompletesAtOnceAfterTheValuesBeforeItOnItsPublisher) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  auto mine = numbers.Publish();
  EXPECT_TRUE(env_->Launch("other", &PublishInts, {"numbers", "1", "2", "broke"}).Join().ok());
  auto received = TakeAll(subscription, event);
  EXPECT_THAT(received.values, ElementsAre(1, 2));
  EXPECT_EQ(received.completions[0].code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(received.completions[0].message(), "broke");
  ASSERT_TRUE(mine.PublishValue(3).ok());
  EXPECT_FALSE(*subscription.CallEvents([](const int&) {})) << "no value follows a completion";
  subscription.Close();
  auto again = numbers.Subscribe();
  EXPECT_THAT(TakeSome(again), ElementsAre(3));
}

TEST_P(CompletionTest, OneThatLeavesWithoutCompletingStopsCountingAndCompletesNothing) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  EXPECT_TRUE(env_->Launch("leaver", &PublishInts, {"numbers", "1", "2", "leave"}).Join().ok());
  int completions = 0;
  std::vector<int> values;
  auto take = [&] {
    return subscription.Drain([&](const int& value) { values.push_back(value); }, [&](const absl::Status&) { ++completions; }).ok();
  };
  ASSERT_TRUE(take());
  EXPECT_THAT(values, ElementsAre(1, 2));
  EXPECT_EQ(completions, 0);
  auto stays = numbers.Publish();
  EXPECT_TRUE(env_->Launch("completer", &PublishInts, {"numbers", "3", "1", "complete"}).Join().ok());
  ASSERT_TRUE(take());
  EXPECT_EQ(completions, 0);
  stays.Close();
  ASSERT_TRUE(take());
  EXPECT_THAT(values, ElementsAre(1, 2, 3));
  EXPECT_EQ(completions, 1);
}

TEST_P(CompletionTest, OpeningAPublisherAfterTheCompletionIsAnErrorUntilSomebodySubscribesAnew) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  EXPECT_TRUE(env_->Launch("first", &PublishInts, {"numbers", "1", "1", "complete"}).Join().ok());
  EXPECT_THAT(TakeAll(subscription, event).values, ElementsAre(1));
  auto late = numbers.Publish();
  EXPECT_EQ(late.PublishValue(2).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("numbers"));
  EXPECT_EQ(env_->Launch("late", &PublishInts, {"numbers", "2", "1", "complete"}).Join().code(), absl::StatusCode::kFailedPrecondition);
  subscription.Close();
  auto again = numbers.Subscribe(event);
  EXPECT_TRUE(env_->Launch("second", &PublishInts, {"numbers", "3", "1", "complete"}).Join().ok());
  auto received = TakeAll(again, event);
  EXPECT_THAT(received.values, ElementsAre(3));
  EXPECT_TRUE(received.completions[0].ok());
}

TEST_P(CompletionTest, AValueOrASecondCompletionAfterwardsIsAnErrorThatNamesTheBuffer) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  ASSERT_TRUE(publisher.PublishComplete().ok());
  for (const absl::Status& status : {publisher.PublishValue(1), publisher.PublishComplete(),
                                     publisher.PublishComplete(absl::InternalError("no")), publisher.Loan().status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("numbers"));
  }
}

TEST_P(CompletionTest, ACompletionAlwaysFits) {
  auto numbers = env_->CreateBuffer<int>("numbers", {.capacity = 2});
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "2", "it has its own place"}).Join().ok());
  Event event;
  auto subscription = numbers.Subscribe(event);
  auto received = TakeAll(subscription, event);
  EXPECT_THAT(received.values, ElementsAre(1, 2));
  EXPECT_EQ(received.completions[0].message(), "it has its own place");
}

TEST_P(CompletionTest, WithoutACallbackAnOkCompletionIsTakenSilentlyAndAnErrorIsReturned) {
  for (const char* end : {"complete", "broke"}) {
    auto numbers = env_->CreateBuffer<int>("numbers");
    EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "1", end}).Join().ok());
    auto subscription = numbers.Subscribe();
    EXPECT_TRUE(*subscription.CallEvents([](const int&) {}));
    auto taken = subscription.CallEvents([](const int&) {});
    EXPECT_EQ(taken.ok(), std::string(end) == "complete");
    if (!taken.ok()) {
      EXPECT_EQ(taken.status().message(), "broke");
    }
    EXPECT_FALSE(*subscription.CallEvents([](const int&) {}));
  }
}

TEST_P(CompletionTest, AnErrorKeepsItsCodeAndCausesOnTheWay) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Error error{.code = absl::StatusCode::kOutOfRange, .message = "too far", .types = {"std::out_of_range"}};
  error.causes = {{.code = absl::StatusCode::kInternal, .message = "a cause"}};
  auto publisher = numbers.Publish();
  ASSERT_TRUE(publisher.PublishComplete(ToStatus(error)).ok());
  auto subscription = numbers.Subscribe();
  absl::Status status = subscription.CallEvents([](const int&) {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(IsError(status, "std::out_of_range"));
  EXPECT_EQ(ErrorOf(status).causes.at(0).message, "a cause");
}

TEST_P(CompletionTest, WhoSubscribesInTheMiddleOfARoundStillSeesItsCompletion) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto mine = numbers.Publish();
  EXPECT_TRUE(env_->Launch("other", &PublishInts, {"numbers", "1", "1", "complete"}).Join().ok());
  {
    auto first = numbers.Subscribe();
    EXPECT_TRUE(*first.CallEvents([](const int&) {}));
    EXPECT_FALSE(*first.CallEvents([](const int&) {}, [](const absl::Status&) { ADD_FAILURE(); }));
  }
  mine.Close();  // without completing: but the other one has
  Event event;
  auto second = numbers.Subscribe(event);
  auto received = TakeAll(second, event);
  EXPECT_THAT(received.values, IsEmpty());
  EXPECT_TRUE(received.completions[0].ok());
}

// ---- discarding ------------------------------------------------------------------------------------------------------------------------

class DiscardTest : public BothKinds {
 protected:
  BufferOptions Soon() { return {.discard_after = absl::Milliseconds(1)}; }
};
PUMA_IN_BOTH_KINDS(DiscardTest);

TEST_P(DiscardTest, AbandonedItemsAreDiscardedWithAWarningThatNamesBufferAndCount) {
  CapturedLog log;
  auto numbers = env_->CreateBuffer<int>("numbers", Soon());
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "3", "leave"}).Join().ok());
  ASSERT_TRUE(Eventually([&] { return !log.lines().empty(); }));
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("\"numbers\": 3 items")));
  auto subscription = numbers.Subscribe();
  EXPECT_THAT(TakeSome(subscription), IsEmpty());
  auto publisher = numbers.Publish();
  for (int i = 0; i < 64; ++i) EXPECT_TRUE(publisher.PublishValue(i).ok()) << "no slot is lost by a discard";
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(64)));
}

TEST_P(DiscardTest, OneIdleEndAnywhereKeepsEverything) {
  CapturedLog log;
  auto numbers = env_->CreateBuffer<int>("numbers", Soon());
  auto witness = env_->CreateBuffer<int>("witness", Soon());
  auto idle = numbers.Publish();
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "3", "leave"}).Join().ok());
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"witness", "1", "1", "leave"}).Join().ok());
  ASSERT_TRUE(Eventually([&] { return !log.lines().empty(); }));
  auto subscription = numbers.Subscribe();
  EXPECT_THAT(TakeSome(subscription), ElementsAre(1, 2, 3));
}

TEST_P(DiscardTest, ADiscardedOkCompletionIsRememberedForTheNextSubscription) {
  CapturedLog log;
  auto numbers = env_->CreateBuffer<int>("numbers", Soon());
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "1", "complete"}).Join().ok());
  ASSERT_TRUE(Eventually([&] { return !log.lines().empty(); }));
  Event event;
  auto subscription = numbers.Subscribe(event);
  auto received = TakeAll(subscription, event);
  EXPECT_THAT(received.values, IsEmpty());
  EXPECT_TRUE(received.completions[0].ok());
}

TEST_P(DiscardTest, ADiscardedErrorIsLoggedAndToldToTheOwnerOnce) {
  CapturedLog log;
  auto numbers = env_->CreateBuffer<int>("numbers", Soon());
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "0", "broke"}).Join().ok());
  ASSERT_TRUE(Eventually([&] { return !log.lines().empty(); }));
  EXPECT_THAT(log.lines(), ElementsAre(AllOf(HasSubstr("numbers"), HasSubstr("broke"))));
  EXPECT_EQ(numbers.Close().message(), "broke");
  EXPECT_TRUE(numbers.Close().ok());
}

TEST_P(DiscardTest, TheWarningCanBeSwitchedOff) {
  CapturedLog log;
  auto numbers = env_->CreateBuffer<int>("numbers", {.warn_on_discard = false, .discard_after = absl::Milliseconds(1)});
  auto witness = env_->CreateBuffer<int>("witness", Soon());
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "3", "leave"}).Join().ok());
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"witness", "1", "1", "leave"}).Join().ok());
  ASSERT_TRUE(Eventually([&] { return !log.lines().empty(); }));
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("witness")));
}

}  // namespace
}  // namespace puma::testing
