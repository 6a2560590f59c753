#include <unistd.h>

#include "tests/primitives/waiting.h"

namespace puma::testing {
namespace {

using ::testing::HasSubstr;

class LockTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(LockTest);

// {count}: adds one to "sum" so many times, in two steps under "lock".
absl::Status AddUnderLock(Environment& environment, const std::vector<std::string>& arguments) {
  auto lock = environment.OpenLock("lock");
  auto sum = environment.OpenAtomic<int>("sum");
  for (int i = std::stoi(arguments[0]); i > 0; --i) {
    Locked held = lock.Acquire();
    PUMA_RETURN_IF_ERROR(held.status());
    const int before = sum.load();
    if (i % 16 == 0) std::this_thread::yield();
    sum.store(before + 1);
  }
  return absl::OkStatus();
}
// Holds "lock" until "go" is set, or its process is killed; says so by "holds".
absl::Status HoldIt(Environment& environment, const std::vector<std::string>&) {
  Locked held = environment.OpenLock("lock").Acquire();
  PUMA_RETURN_IF_ERROR(held.status());
  environment.OpenManualEvent("holds").Set();
  return environment.OpenManualEvent("go").Wait(kLong);
}
// Waits for "lock", and says what it was told.
absl::Status WaitForIt(Environment& environment, const std::vector<std::string>&) {
  auto lock = environment.OpenLock("lock");
  environment.OpenManualEvent("waits").Set();
  Locked held = lock.Acquire(kLong);
  if (!held.held()) return absl::InternalError("not held");
  return held.status();
}

TEST_P(LockTest, OneHoldsItAtATime) {
  auto lock = env_->CreateLock("lock");
  auto sum = env_->CreateAtomic<int>("sum");
  std::vector<Job> jobs;
  for (int i = 0; i < 4; ++i) jobs.push_back(env_->Launch("adder", &AddUnderLock, {"100"}));
  EXPECT_TRUE(AddUnderLock(*env_, {"100"}).ok());
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
  EXPECT_EQ(sum.load(), 500);
}

TEST_P(LockTest, ItIsFreeAfterTheScopeOrBefore) {
  auto lock = env_->CreateLock("lock");
  {
    Locked held = lock.Acquire();
    EXPECT_TRUE(held.status().ok());
    EXPECT_TRUE(held.held());
  }
  Locked held = lock.Acquire(kNoWait);
  EXPECT_TRUE(held.held());
  held.Release();
  held.Release();
  EXPECT_FALSE(held.held());
  Locked moved = [&] {
    Locked inner = lock.Acquire(kNoWait);
    return inner;
  }();
  EXPECT_TRUE(moved.held());
}

TEST_P(LockTest, WhatAnotherHoldsIsWaitedForAndNeverLessThanAskedFor) {
  auto lock = env_->CreateLock("lock");
  auto holds = env_->CreateManualEvent("holds");
  auto go = env_->CreateManualEvent("go");
  Job job = env_->Launch("holder", &HoldIt);
  ASSERT_TRUE(holds.Wait(kLong).ok());
  ExpectNeverEarly([&](Timeout timeout) {
    Locked held = lock.Acquire(timeout);
    EXPECT_FALSE(held.held());
    EXPECT_THAT(std::string(held.status().message()), HasSubstr("\"lock\""));
    return held.status();
  });
  go.Set();
  Locked held = lock.Acquire(kLong);
  EXPECT_TRUE(held.status().ok());
  EXPECT_TRUE(job.Join().ok());
}

TEST_P(LockTest, TimeoutsOfZeroOrLessAreInvalidAndVeryLongOnesAreForEver) {
  auto lock = env_->CreateLock("lock");
  ExpectInvalidTimeouts([&](Timeout timeout) { return lock.Acquire(timeout).status(); });
  auto holds = env_->CreateManualEvent("holds");
  auto go = env_->CreateManualEvent("go");
  for (absl::Duration timeout : kVeryLong) {
    Job job = env_->Launch("holder", &HoldIt);
    ASSERT_TRUE(holds.Wait(kLong).ok());
    go.Set();
    EXPECT_TRUE(lock.Acquire(timeout).status().ok());
    EXPECT_TRUE(job.Join().ok());
    holds.Reset();
    go.Reset();
  }
}

TEST_P(LockTest, AThreadThatHoldsItIsRefusedASecondTime) {
  auto lock = env_->CreateLock("lock");
  Locked held = lock.Acquire();
  for (Timeout timeout : {kNoWait, Timeout(absl::Seconds(60)), kInfinite}) {
    Locked second = lock.Acquire(timeout);
    EXPECT_FALSE(second.held());
    EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  }
  EXPECT_TRUE(held.held());
}

class HolderDeathTest : public ::testing::Test {
 protected:
  ProcessEnvironment env_;
  Lock lock_ = env_.CreateLock("lock");
  ManualEvent holds_ = env_.CreateManualEvent("holds");
  ManualEvent waits_ = env_.CreateManualEvent("waits");
  ManualEvent go_ = env_.CreateManualEvent("go");
};

TEST_F(HolderDeathTest, TheNextOneIsToldOnceHoldsItAndItIsUsedOn) {
  Job job = env_.Launch("holder", &HoldIt);
  ASSERT_TRUE(holds_.Wait(kLong).ok());
  job.Kill();
  EXPECT_FALSE(job.Join().ok());
  {
    Locked held = lock_.Acquire(kLong);
    EXPECT_TRUE(absl::IsAborted(held.status())) << held.status();
    EXPECT_THAT(std::string(held.status().message()), HasSubstr("its holder died"));
    EXPECT_TRUE(held.held());  // to be repaired
  }
  EXPECT_TRUE(lock_.Acquire(kLong).status().ok());
  Job next = env_.Launch("holder", &HoldIt);
  go_.Set();
  EXPECT_TRUE(next.Join().ok());
}

TEST_F(HolderDeathTest, WhoWaitsForItIsToldAtOnce) {
  Job holder = env_.Launch("holder", &HoldIt);
  ASSERT_TRUE(holds_.Wait(kLong).ok());
  Job waiter = env_.Launch("waiter", &WaitForIt);
  ASSERT_TRUE(waits_.Wait(kLong).ok());
  holder.Kill();
  EXPECT_TRUE(absl::IsAborted(waiter.Join()));
  EXPECT_FALSE(holder.Join().ok());
  EXPECT_TRUE(lock_.Acquire(kLong).status().ok());
}

// Takes "lock" whatever it is told, and dies with it.
absl::Status TakeAndDie(Environment& environment, const std::vector<std::string>&) {
  Locked held = environment.OpenLock("lock").Acquire();
  if (held.held()) ::_exit(7);
  return held.status();
}

TEST_F(HolderDeathTest, OneWhoIsToldAndDiesLeavesTheNewsToTheNext) {
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(env_.Launch("holder", &TakeAndDie).Join().ok());
  EXPECT_TRUE(absl::IsAborted(lock_.Acquire(kLong).status()));
  EXPECT_TRUE(lock_.Acquire(kLong).status().ok());
}

}  // namespace
}  // namespace puma::testing
