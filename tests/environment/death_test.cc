// Processes that die, and what they leave.
#include <poll.h>
#include <unistd.h>

#include <span>
#include <thread>

#include "tests/environment/both_kinds.h"
#include "worker/platform/system.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// {count}: publishes so many to "numbers", says so in "ready", and waits for its end.
absl::Status PublishAndStay(Environment& environment, const std::vector<std::string>& arguments) {
  auto publisher = environment.OpenBuffer<int>("numbers").Publish();
  for (int i = 1; i <= std::stoi(arguments[0]); ++i) PUMA_RETURN_IF_ERROR(publisher.PublishValue(i));
  PUMA_RETURN_IF_ERROR(environment.OpenBuffer<int>("ready").Publish().PublishValue(1));
  Event never;
  return never.Wait();
}

// Takes one from "numbers" and dies within the next one's handler.
absl::Status DieInHandler(Environment& environment, const std::vector<std::string>&) {
  auto subscription = environment.OpenBuffer<int>("numbers").Subscribe();
  auto taken = subscription.CallEvents([](const int&) {});
  if (!taken.ok()) return taken.status();
  return subscription.CallEvents([](const int&) { ::_exit(7); }).status();
}

absl::Status ExitWith7(Environment&, const std::vector<std::string>&) { ::_exit(7); }
absl::Status Throws(Environment&, const std::vector<std::string>&) { throw std::runtime_error("thrown"); }

// Launches a publisher of its own that will block, tells its pid in "pids", and stays.
absl::Status LaunchGrandchild(Environment& environment, const std::vector<std::string>&) {
  ProcessEnvironment own;
  auto numbers = own.CreateBuffer<int>("numbers", {.capacity = 1});
  Job job = own.Launch("grandchild", &PublishInts, {"numbers", "1", "9", "complete"});
  PUMA_RETURN_IF_ERROR(environment.OpenBuffer<int>("pids").Publish().PublishValue(job.pid()));
  Event never;
  return never.Wait();
}

// Takes runs of at most three from "numbers" and dies within the second one's handler.
absl::Status DieInRun(Environment& environment, const std::vector<std::string>&) {
  auto subscription = environment.OpenBuffer<int64_t>("numbers").Subscribe();
  auto taken = subscription.DrainRuns([](std::span<const int64_t>) {}, nullptr, 3);
  if (!taken.ok()) return taken.status();
  return subscription.DrainRuns([](std::span<const int64_t>) { ::_exit(7); }, nullptr, 3).status();
}

class DeathTest : public ::testing::Test {
 protected:
  ProcessEnvironment env_;
  Buffer<int> ready_ = env_.CreateBuffer<int>("ready");
  Event is_ready_;
  Subscription<int> readies_ = ready_.Subscribe(is_ready_);
};

TEST_F(DeathTest, AfterADeathInARunsHandlerAllOfTheRunComeAgainMarked) {
  auto numbers = env_.CreateBuffer<int64_t>("numbers");
  auto publisher = numbers.Publish();
  const std::vector<int64_t> values{1, 2, 3, 4, 5, 6, 7, 8};
  ASSERT_EQ(*publisher.PublishValues(values), 8u);
  EXPECT_FALSE(env_.Launch("dies", &DieInRun).Join(absl::Seconds(60)).ok());
  auto subscription = numbers.Subscribe();
  std::vector<std::pair<int64_t, bool>> read;
  ASSERT_TRUE(
      subscription.Drain([&](const int64_t& value, const Message& message) { read.emplace_back(value, message.redelivered); }).ok());
  EXPECT_THAT(read, ElementsAre(std::pair(4, true), std::pair(5, true), std::pair(6, true), std::pair(7, false), std::pair(8, false)));
}

TEST_F(DeathTest, WhatAKilledPublisherPublishedIsReadAndItCountsNoMore) {
  auto numbers = env_.CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  Job job = env_.Launch("stays", &PublishAndStay, {"3"});
  ASSERT_TRUE(is_ready_.Wait(absl::Seconds(60)).ok());
  auto mine = numbers.Publish();
  ASSERT_TRUE(mine.PublishValue(4).ok());
  ASSERT_TRUE(mine.PublishComplete().ok());
  job.Kill();
  EXPECT_THAT(std::string(job.Join().message()), AllOf(HasSubstr("stays"), HasSubstr("signal 9")));
  EXPECT_THAT(TakeAll(subscription, event).values, ::testing::UnorderedElementsAre(1, 2, 3, 4));
}

TEST_F(DeathTest, AMessageWhoseHandlerDiedComesAgainAndSaysSo) {
  auto numbers = env_.CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  EXPECT_THAT(std::string(env_.Launch("dies", &DieInHandler).Join().message()), HasSubstr("exit code 7"));
  auto subscription = numbers.Subscribe();
  std::vector<std::pair<int, uint64_t>> got;
  ASSERT_TRUE(subscription.Drain([&](const int& value, const Message& message) { got.emplace_back(value, message.delivery); }).ok());
  EXPECT_THAT(got, ElementsAre(std::pair(2, 2), std::pair(3, 1)));
}

// Holds two, and dies within the fourth's handler: the first is finished then, the second and third are held.
absl::Status DieHolding(Environment& environment, const std::vector<std::string>&) {
  auto subscription = environment.OpenBuffer<int>("numbers").Subscribe();
  PUMA_RETURN_IF_ERROR(subscription.Hold(2));
  return subscription
      .Drain([](const int& value) {
        if (value == 4) ::_exit(7);
      })
      .status();
}

TEST_F(DeathTest, AllMessagesThatWereHeldComeAgainAndSaySo) {
  auto numbers = env_.CreateBuffer<int>("numbers");
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  for (int death = 1; death <= 2; ++death) {
    EXPECT_THAT(std::string(env_.Launch("dies", &DieHolding).Join().message()), HasSubstr("exit code 7"));
  }
  auto subscription = numbers.Subscribe();
  std::vector<std::pair<int, bool>> got;
  std::vector<uint64_t> deliveries;
  ASSERT_TRUE(subscription
                  .Drain([&](const int& value, const Message& message) {
                    got.emplace_back(value, message.redelivered);
                    deliveries.push_back(message.delivery);
                  })
                  .ok());
  EXPECT_THAT(got, ElementsAre(std::pair(2, true), std::pair(3, true), std::pair(4, true), std::pair(5, false)));
  EXPECT_THAT(deliveries, ElementsAre(3, 2, 2, 1)) << "exact for the oldest, at least so many for the others";
}

TEST_F(DeathTest, AKilledReaderGivesItsPlaceUpAndLosesNothing) {
  auto numbers = env_.CreateBuffer<int>("numbers", {.capacity = 2});
  auto go = env_.CreateBuffer<int>("go");
  auto publisher = numbers.Publish();
  Job job = env_.Launch("holder", &SubscribeAndWait, {"numbers", "ready"});
  ASSERT_TRUE(is_ready_.Wait(absl::Seconds(60)).ok());
  for (int i = 1; i <= 2; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  job.Kill();
  EXPECT_FALSE(job.Join().ok());
  auto subscription = numbers.Subscribe();
  EXPECT_THAT(TakeSome(subscription), ElementsAre(1, 2));
  EXPECT_TRUE(publisher.PublishValue(3).ok());
}

TEST_F(DeathTest, AProcessEndsAtOnceWhateverItHasPublished) {
  auto numbers = env_.CreateBuffer<int>("numbers");
  EXPECT_TRUE(env_.Launch("publisher", &PublishInts, {"numbers", "1", "64", "leave"}).Join().ok());
}

TEST_F(DeathTest, AJobsEndIsToldAsWhatItWas) {
  absl::Status status = env_.Launch("exits", &ExitWith7).Join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("exits"), HasSubstr("exit code 7")));
  status = env_.Launch("throws", &Throws).Join();
  EXPECT_TRUE(IsError(status, "std::runtime_error")) << status;
  Job job = env_.Launch("throws", &Throws);
  EXPECT_FALSE(job.Join().ok());
  EXPECT_TRUE(job.Join().ok()) << "an error is told once";
}

TEST_F(DeathTest, ABlockedPublisherLearnsThatTheMakerOfItsBufferIsDead) {
  auto pids = env_.CreateBuffer<int>("pids");
  Event event;
  auto subscription = pids.Subscribe(event);
  Job job = env_.Launch("child", &LaunchGrandchild);
  ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());
  const std::vector<int> pid = TakeSome(subscription);
  ASSERT_EQ(pid.size(), 1u);
  ASSERT_GT(pid[0], 1);
  const UniqueFd grandchild = PidfdOpen(pid[0]);
  ASSERT_TRUE(grandchild.valid());
  job.Kill();
  EXPECT_FALSE(job.Join().ok());
  pollfd polled{grandchild.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 60'000), 1) << "the grandchild did not end";
}

}  // namespace
}  // namespace puma::testing
