#include "tests/primitives/waiting.h"

namespace puma::testing {
namespace {

class PrimitiveEventTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(PrimitiveEventTest);

// {event, how}: sets an event.
absl::Status SetIt(Environment& environment, const std::vector<std::string>& arguments) {
  if (arguments[1] == "auto") environment.OpenAutoResetEvent(arguments[0]).Set();
  if (arguments[1] == "manual") environment.OpenManualEvent(arguments[0]).Set();
  return absl::OkStatus();
}
// {event, how}: waits for one and counts itself in "returned".
absl::Status WaitForIt(Environment& environment, const std::vector<std::string>& arguments) {
  const bool resets = arguments[1] == "auto";
  const absl::Status status =
      resets ? environment.OpenAutoResetEvent(arguments[0]).Wait(kLong) : environment.OpenManualEvent(arguments[0]).Wait(kLong);
  environment.OpenAtomic<int>("returned").fetch_add(1);
  return status;
}

TEST_P(PrimitiveEventTest, ASetEndsOneWaitAlsoALaterOneAndTwiceIsOnce) {
  auto event = env_->CreateAutoResetEvent("event");
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
  event.Set();
  EXPECT_TRUE(event.Wait(kNoWait).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
  event.Set();
  event.Set();
  EXPECT_TRUE(event.Wait(kLong).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
}

TEST_P(PrimitiveEventTest, TheOtherEndSetsWhatThisOneWaitsFor) {
  auto resets = env_->CreateAutoResetEvent("resets");
  auto stays = env_->CreateManualEvent("stays");
  Job first = env_->Launch("first", &SetIt, {"resets", "auto"});
  EXPECT_TRUE(resets.Wait(kLong).ok());
  Job second = env_->Launch("second", &SetIt, {"stays", "manual"});
  EXPECT_TRUE(stays.Wait(kLong).ok());
  EXPECT_TRUE(stays.IsSet());
}

TEST_P(PrimitiveEventTest, EachSetEndsTheWaitOfOneOfMany) {
  auto event = env_->CreateAutoResetEvent("event");
  auto returned = env_->CreateAtomic<int>("returned");
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(env_->Launch("waiter", &WaitForIt, {"event", "auto"}));
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(returned.load(), i - 1);
    event.Set();
    ASSERT_TRUE(Eventually([&] { return returned.load() >= i; }));
    EXPECT_EQ(returned.load(), i);
  }
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
}

TEST_P(PrimitiveEventTest, AManualOneEndsAllWaitsUntilItIsReset) {
  auto event = env_->CreateManualEvent("event");
  auto returned = env_->CreateAtomic<int>("returned");
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(env_->Launch("waiter", &WaitForIt, {"event", "manual"}));
  event.Set();
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
  EXPECT_TRUE(event.Wait(kNoWait).ok());
  EXPECT_TRUE(event.Wait(kLong).ok());
  event.Reset();
  EXPECT_FALSE(event.IsSet());
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
  event.Reset();
  event.Set();
  event.Set();
  EXPECT_TRUE(event.IsSet());
}

TEST_P(PrimitiveEventTest, WhoWaitsReturnsEvenIfItIsResetAtOnce) {
  auto event = env_->CreateManualEvent("event");
  auto returned = env_->CreateAtomic<int>("returned");
  std::vector<Job> jobs;
  for (int i = 0; i < 2; ++i) jobs.push_back(env_->Launch("waiter", &WaitForIt, {"event", "manual"}));
  EXPECT_TRUE(Eventually([&] {  // again, until both have begun to wait
    event.Set();
    event.Reset();
    return returned.load() == 2;
  }));
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
}

TEST_P(PrimitiveEventTest, AWaitNeverEndsEarly) {
  auto event = env_->CreateAutoResetEvent("event");
  ExpectNeverEarly([&](Timeout timeout) { return event.Wait(timeout); });
}

TEST_P(PrimitiveEventTest, AWaitForAManualOneNeverEndsEarly) {
  auto event = env_->CreateManualEvent("event");
  ExpectNeverEarly([&](Timeout timeout) { return event.Wait(timeout); });
}

TEST_P(PrimitiveEventTest, TimeoutsOfZeroOrLessAreInvalidAndVeryLongOnesAreForEver) {
  auto resets = env_->CreateAutoResetEvent("resets");
  auto stays = env_->CreateManualEvent("stays");
  ExpectInvalidTimeouts([&](Timeout timeout) { return resets.Wait(timeout); });
  ExpectInvalidTimeouts([&](Timeout timeout) { return stays.Wait(timeout); });
  for (absl::Duration timeout : kVeryLong) {
    Job job = env_->Launch("setter", &SetIt, {"resets", "auto"});
    EXPECT_TRUE(resets.Wait(timeout).ok());
    Job other = env_->Launch("setter", &SetIt, {"stays", "manual"});
    EXPECT_TRUE(stays.Wait(timeout).ok());
    EXPECT_TRUE(other.Join().ok());
    stays.Reset();
  }
}

TEST(PrimitiveEventOfThreadsTest, ManySetsByManyThreadsLoseNone) {
  ThreadEnvironment env;
  auto there = env.CreateAutoResetEvent("there");
  auto back = env.CreateAutoResetEvent("back");
  std::thread other([&] {
    for (int i = 0; i < 5000; ++i) {
      ASSERT_TRUE(there.Wait(kLong).ok());
      back.Set();
    }
  });
  for (int i = 0; i < 5000; ++i) {
    there.Set();
    ASSERT_TRUE(back.Wait(kLong).ok());
  }
  other.join();
}

}  // namespace
}  // namespace puma::testing
