#include "tests/primitives/waiting.h"
#include "worker/primitives/primitive_core.h"

namespace puma::testing {
namespace {

class ConditionTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(ConditionTest);

// Waits for "condition" to be notified and adds its number to "order": as digits, so that the order shows. {number}
absl::Status WaitOnce(Environment& environment, const std::vector<std::string>& arguments) {
  auto condition = environment.OpenCondition("condition");
  auto order = environment.OpenAtomic<int>("order");
  LockedCondition held = condition.Acquire();
  environment.OpenAtomic<int>("waiting").fetch_add(1);
  PUMA_RETURN_IF_ERROR(held.Wait(kLong));
  order.store(order.load() * 10 + std::stoi(arguments[0]));
  return absl::OkStatus();
}
// Waits until "level" is at least {level}, and says how often it has asked.
absl::Status WaitForLevel(Environment& environment, const std::vector<std::string>& arguments) {
  auto condition = environment.OpenCondition("condition");
  auto level = environment.OpenAtomic<int>("level");
  LockedCondition held = condition.Acquire();
  PUMA_RETURN_IF_ERROR(held.WaitUntil(
      [&] {
        environment.OpenAtomic<int>("asked").fetch_add(1);
        return level.load() >= std::stoi(arguments[0]);
      },
      kLong));
  return held.held() ? absl::OkStatus() : absl::InternalError("not held");
}
absl::Status NotifyAll(Environment& environment, const std::vector<std::string>&) {
  environment.OpenCondition("condition").Acquire().NotifyAll();
  return absl::OkStatus();
}
// {items}: gives so many, one at a time, through "slot".
absl::Status Produce(Environment& environment, const std::vector<std::string>& arguments) {
  auto condition = environment.OpenCondition("condition");
  auto slot = environment.OpenAtomic<int>("slot");
  for (int i = 1; i <= std::stoi(arguments[0]); ++i) {
    LockedCondition held = condition.Acquire();
    PUMA_RETURN_IF_ERROR(held.WaitUntil([&] { return slot.load() == 0; }, kLong));
    slot.store(i);
    held.NotifyAll();
  }
  return absl::OkStatus();
}

class WaitersTest : public ConditionTest {
 protected:
  // Launches a waiter, and returns when it waits: it has released the lock.
  Job LaunchWaiter(int number) {
    Job job = env_->Launch("waiter", &WaitOnce, {std::to_string(number)});
    const int before = launched_++;
    EXPECT_TRUE(Eventually([&] { return waiting_.load() > before; }));
    EXPECT_TRUE(condition_.Acquire(kLong).held());
    return job;
  }
  Condition condition_ = env_->CreateCondition("condition");
  Atomic<int> waiting_ = env_->CreateAtomic<int>("waiting");
  Atomic<int> order_ = env_->CreateAtomic<int>("order");
  int launched_ = 0;
};
PUMA_IN_BOTH_KINDS(WaitersTest);

TEST_P(WaitersTest, NotifyOneEndsTheWaitOfWhoHasWaitedLongest) {
  std::vector<Job> jobs;
  for (int i = 1; i <= 3; ++i) jobs.push_back(LaunchWaiter(i));
  for (int expected : {1, 12, 123}) {
    condition_.Acquire().NotifyOne();
    ASSERT_TRUE(Eventually([&] { return order_.load() >= expected; }));
    EXPECT_EQ(order_.load(), expected);
  }
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
}

TEST_P(WaitersTest, NotifyAllEndsAllWaits) {
  std::vector<Job> jobs;
  for (int i = 1; i <= 3; ++i) jobs.push_back(LaunchWaiter(i));
  EXPECT_TRUE(env_->Launch("notifier", &NotifyAll).Join().ok());
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
  EXPECT_GE(order_.load(), 123);
}

TEST_P(WaitersTest, NobodyReturnsBeforeTheNotifierHasLetTheLockGo) {
  Job job = LaunchWaiter(7);
  {
    LockedCondition held = condition_.Acquire();
    held.NotifyOne();
    order_.store(4);
  }
  EXPECT_TRUE(job.Join().ok());
  EXPECT_EQ(order_.load(), 47);
}

TEST_P(WaitersTest, ANotificationThatNobodyWaitsForIsLost) {
  LockedCondition held = condition_.Acquire();
  held.NotifyOne();
  held.NotifyAll();
  EXPECT_TRUE(absl::IsDeadlineExceeded(held.Wait(absl::Milliseconds(1))));
  EXPECT_TRUE(held.held());
}

TEST_P(WaitersTest, OneWhoHasGivenUpTakesNoNotification) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(condition_.Acquire().Wait(absl::Milliseconds(1))));
  Job job = LaunchWaiter(5);
  condition_.Acquire().NotifyOne();
  EXPECT_TRUE(job.Join().ok());
}

TEST_P(ConditionTest, AWaitNeverEndsEarly) {
  auto condition = env_->CreateCondition("condition");
  LockedCondition held = condition.Acquire();
  ExpectNeverEarly([&](Timeout timeout) { return held.Wait(timeout); });
  EXPECT_TRUE(held.held());
}

TEST_P(ConditionTest, AWaitWithAPredicateNeverEndsEarly) {
  auto condition = env_->CreateCondition("condition");
  LockedCondition held = condition.Acquire();
  ExpectNeverEarly([&](Timeout timeout) { return held.WaitUntil([] { return false; }, timeout); });
  EXPECT_TRUE(held.held());
}

TEST_P(ConditionTest, ANotificationWhosePredicateDoesNotHoldEndsNothingEarly) {
  auto condition = env_->CreateCondition("condition");
  for (absl::Duration timeout : {absl::Milliseconds(14), absl::Milliseconds(300)}) {
    LockedCondition held = condition.Acquire();
    Job job = env_->Launch("notifier", &NotifyAll);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(absl::IsDeadlineExceeded(held.WaitUntil([] { return false; }, timeout)));
    EXPECT_GE(absl::FromChrono(std::chrono::steady_clock::now() - begin), timeout);
    held.Release();
    EXPECT_TRUE(job.Join().ok());
  }
}

TEST_P(ConditionTest, APredicateThatHoldsIsNotWaitedFor) {
  auto condition = env_->CreateCondition("condition");
  LockedCondition held = condition.Acquire();
  EXPECT_TRUE(held.WaitUntil([] { return true; }, kNoWait).ok());
  EXPECT_TRUE(held.WaitUntil([] { return true; }).ok());
  int asked = 0;
  EXPECT_TRUE(held.WaitUntil([&] { return ++asked == 2; }, kNoWait).ok());  // at the beginning and at the deadline
}

TEST_P(ConditionTest, APredicateIsAskedAfterEachNotification) {
  auto condition = env_->CreateCondition("condition");
  auto level = env_->CreateAtomic<int>("level");
  auto asked = env_->CreateAtomic<int>("asked");
  Job job = env_->Launch("waiter", &WaitForLevel, {"2"});
  for (int i = 1; i <= 2; ++i) {
    ASSERT_TRUE(Eventually([&] { return asked.load() == i; }));
    LockedCondition held = condition.Acquire();
    level.store(i);
    held.NotifyOne();
  }
  EXPECT_TRUE(job.Join().ok());
  EXPECT_EQ(asked.load(), 3);
}

TEST_P(ConditionTest, TimeoutsOfZeroOrLessAreInvalidAndVeryLongOnesAreForEver) {
  auto condition = env_->CreateCondition("condition");
  for (absl::Duration timeout : kVeryLong) {
    LockedCondition held = condition.Acquire(timeout);
    ExpectInvalidTimeouts([&](Timeout invalid) { return held.Wait(invalid); });
    ExpectInvalidTimeouts([&](Timeout invalid) { return held.WaitUntil([] { return true; }, invalid); });
    Job job = env_->Launch("notifier", &NotifyAll);  // it gets the lock when this one waits
    EXPECT_TRUE(held.Wait(timeout).ok());
  }
}

TEST_P(ConditionTest, OneGivesAndOneTakes) {
  auto condition = env_->CreateCondition("condition");
  auto slot = env_->CreateAtomic<int>("slot");
  Job job = env_->Launch("producer", &Produce, {"200"});
  for (int i = 1; i <= 200; ++i) {
    LockedCondition held = condition.Acquire();
    ASSERT_TRUE(held.WaitUntil([&] { return slot.load() != 0; }, kLong).ok());
    EXPECT_EQ(slot.exchange(0), i);
    held.NotifyAll();
  }
  EXPECT_TRUE(job.Join().ok());
}

TEST_P(ConditionTest, WithoutItsLockItIsNeitherWaitedForNorNotified) {
  auto condition = env_->CreateCondition("condition");
  LockedCondition held = condition.Acquire();
  held.Release();
  EXPECT_THROW(held.NotifyOne(), Exception);
  EXPECT_THROW(held.NotifyAll(), Exception);
  EXPECT_THROW(static_cast<void>(held.Wait(kNoWait)), Exception);
  EXPECT_THROW(static_cast<void>(held.WaitUntil([] { return true; }, kNoWait)), Exception);
}

TEST(ConditionDeathTest, OneWhoDiesWhileWaitingTakesNoNotification) {
  ProcessEnvironment env;
  auto condition = env.CreateCondition("condition");
  auto waiting = env.CreateAtomic<int>("waiting");
  auto order = env.CreateAtomic<int>("order");
  Job killed = env.Launch("killed", &WaitOnce, {"1"});
  ASSERT_TRUE(Eventually([&] { return waiting.load() == 1; }));
  EXPECT_TRUE(condition.Acquire(kLong).held());
  killed.Kill();
  EXPECT_FALSE(killed.Join().ok());
  Job job = env.Launch("waiter", &WaitOnce, {"2"});
  ASSERT_TRUE(Eventually([&] { return waiting.load() == 2; }));
  condition.Acquire().NotifyOne();
  EXPECT_TRUE(job.Join().ok());
  EXPECT_EQ(order.load(), 2);
}

TEST(ConditionOfThreadsTest, MoreThanItHasPlacesForAreRefused) {
  auto page = internal::PrimitivePage::Create(false, 1, 0);
  ASSERT_TRUE(page.ok());
  internal::PrimitiveCore core("condition", *page, nullptr);
  bool held = false;
  ASSERT_TRUE(core.Acquire(kInfinite, held).ok());
  bool waits = false;
  std::thread other([&] {
    bool mine = false;
    EXPECT_TRUE(core.Acquire(kInfinite, mine).ok());
    waits = true;
    EXPECT_TRUE(core.AwaitNotification(kLong).ok());
    core.Release();
  });
  while (!waits) {
    core.Release();
    std::this_thread::yield();
    ASSERT_TRUE(core.Acquire(kInfinite, held).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(core.AwaitNotification(kNoWait)));
  core.NotifyOne();
  core.Release();
  other.join();
}

}  // namespace
}  // namespace puma::testing
