// Jobs whose results arrive on a buffer.
#include <puma/parallel.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/runnable/throw_stacks.h"
#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

[[gnu::noinline]] void Refuse() { throw std::domain_error("negative"); }
double Half(double x) {
  if (x < 0) Refuse();
  return x / 2;
}
absl::StatusOr<double> Root(double x) {
  if (x < 0) return InvalidArgument("no root of a number below zero");
  return x * x;
}
double PidOf() { return ::getpid(); }

// A job that waits for a file to go, and so for the test.
double WaitFor(const std::string& path) {
  while (::access(path.c_str(), F_OK) == 0) absl::SleepFor(absl::Milliseconds(1));
  return 0;
}
class Gate {
 public:
  Gate() {
    const int fd = ::mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    ::close(fd);
  }
  ~Gate() { Open(); }
  void Open() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/puma-gate-XXXXXX";
};

class PoolTest : public BothKinds {
 protected:
  Buffer<double> results_ = env_->CreateBuffer<double>("results");
};

TEST_P(PoolTest, ResultsOfFunctionsAndLambdasArriveAndThenOneCompletion) {
  Pool<double> pool(*env_, 2, "halves", results_);
  for (double x : {2.0, 4.0}) EXPECT_TRUE(pool.Submit<&Half>(x).ok());
  EXPECT_TRUE(pool.Submit<&Root>(4).ok()) << "a StatusOr, an int for a double";
  EXPECT_TRUE(pool.Submit([](double x, int n) { return x * n; }, 3.0, 2).ok());
  EXPECT_TRUE(pool.Submit([](const std::string& text) { return text.size(); }, "seven!!").ok()) << "converted to a double";
  EXPECT_TRUE(pool.Close().ok());
  const auto received = ReadToTheEnd(results_);
  EXPECT_THAT(received.values, UnorderedElementsAre(1, 2, 16, 6, 7));
  EXPECT_THAT(received.completions, ElementsAre(absl::OkStatus()));
}

TEST_P(PoolTest, JobsRunInTheWorkersThreadsOrProcesses) {
  Pool<double> pool(*env_, 1, "pool", results_);
  EXPECT_TRUE(pool.Submit<&PidOf>().ok());
  EXPECT_TRUE(pool.Close().ok());
  const auto received = ReadToTheEnd(results_);
  ASSERT_EQ(received.values.size(), 1u);
  EXPECT_EQ(received.values[0] == ::getpid(), !processes());
}

TEST_P(PoolTest, TheirNamesAreThePoolsWithANumber) {
  auto names = env_->CreateBuffer<std::string>("names");
  Pool<std::string> pool(*env_, 1, "pool", names);
  EXPECT_TRUE(pool.Submit([] {
                    char name[16] = "";
                    ::pthread_getname_np(::pthread_self(), name, sizeof name);
                    return std::string(name);
                  })
                  .ok());
  EXPECT_TRUE(pool.Close().ok());
  EXPECT_THAT(ReadToTheEnd(names).values, ElementsAre("pool.0"));
}

TEST_P(PoolTest, AJobsErrorSurfacesOnceAtTheNextSubmitAndThatJobIsNotTaken) {
  Pool<double> pool(*env_, 1, "pool", results_);
  ASSERT_TRUE(pool.Submit<&Half>(-1.0).ok());
  absl::Status error;
  int taken = 0;
  while ((error = pool.Submit<&Half>(2.0)).ok()) ++taken;
  EXPECT_TRUE(IsError(error, "std::domain_error")) << error;
  if (kThrowsHaveStacks) {
    EXPECT_THAT(Explain(error), HasSubstr("Refuse"));
  }
  EXPECT_THAT(ErrorOf(error).path, ElementsAre("pool.0"));
  EXPECT_TRUE(pool.Submit<&Half>(4.0).ok()) << "it goes on";
  EXPECT_TRUE(pool.Close().ok()) << "once";
  auto values = ReadToTheEnd(results_).values;
  EXPECT_EQ(values.size(), static_cast<size_t>(taken) + 1);
}

TEST_P(PoolTest, AnErrorThatNoSubmitHasReturnedIsCloses) {
  Pool<double> pool(*env_, 1, "pool", results_);
  Gate gate;
  ASSERT_TRUE(pool.Submit<&WaitFor>(gate.path()).ok());
  ASSERT_TRUE(pool.Submit<&Root>(-1.0).ok());
  gate.Open();
  EXPECT_EQ(pool.Close().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ReadToTheEnd(results_).completions, ElementsAre(absl::OkStatus())) << "one OK completion nevertheless";
  EXPECT_EQ(pool.Close().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(pool.Submit<&Half>(1.0).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(PoolTest, OneJobWaitsForAWorkerTheNextBlocksItsSubmitter) {
  Pool<double> pool(*env_, 1, "pool", results_);
  Gate gate;
  ASSERT_TRUE(pool.Submit<&WaitFor>(gate.path()).ok());
  ASSERT_TRUE(pool.Submit<&Half>(2.0).ok()) << "the one that waits";
  std::atomic<bool> taken{false};
  std::thread submitter([&] {
    EXPECT_TRUE(pool.Submit<&Half>(4.0).ok());
    taken = true;
  });
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_FALSE(taken);
  gate.Open();
  submitter.join();
  EXPECT_TRUE(pool.Close().ok());
  EXPECT_THAT(ReadToTheEnd(results_).values, ElementsAre(0, 1, 2)) << "one worker: in order";
}

TEST_P(PoolTest, WorkersRunAtTheSameTime) {
  Pool<double> pool(*env_, 3, "pool", results_);
  Gate first, second, third;
  for (const Gate* gate : {&first, &second, &third}) ASSERT_TRUE(pool.Submit<&WaitFor>(gate->path()).ok());
  // One worker would have blocked the third Submit.
  third.Open();
  second.Open();
  first.Open();
  EXPECT_TRUE(pool.Close().ok());
  EXPECT_EQ(ReadToTheEnd(results_).values.size(), 3u);
}

TEST_P(PoolTest, LeavingTheScopeFinishesJobsAndCompletesTheResults) {
  {
    Pool<double> pool(*env_, 2, "pool", results_);
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(pool.Submit<&Half>(i).ok());
  }
  const auto received = ReadToTheEnd(results_);
  EXPECT_EQ(received.values.size(), 20u);
  EXPECT_THAT(received.completions, ElementsAre(absl::OkStatus()));
}

TEST_P(PoolTest, WithoutAJobTheResultsAreCompletedToo) {
  { Pool<double> pool(*env_, 2, "pool", results_); }
  const auto received = ReadToTheEnd(results_);
  EXPECT_TRUE(received.values.empty());
  EXPECT_THAT(received.completions, ElementsAre(absl::OkStatus()));
}

TEST_P(PoolTest, AFullResultBufferMakesWorkersWait) {
  auto small = env_->CreateBuffer<double>("small", {.capacity = 1});
  Pool<double> pool(*env_, 2, "pool", small);
  std::thread submitter([&] {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(pool.Submit<&Half>(i).ok());
    EXPECT_TRUE(pool.Close().ok());
  });
  EXPECT_EQ(ReadToTheEnd(small).values.size(), 50u);
  submitter.join();
}

TEST_P(PoolTest, ManyThreadsSubmitAtOnce) {
  Pool<double> pool(*env_, 2, "pool", results_);
  Event event;
  auto subscription = results_.Subscribe(event);
  std::vector<std::thread> submitters;
  for (int i = 0; i < 3; ++i) {
    submitters.emplace_back([&] {
      for (int n = 0; n < 30; ++n) EXPECT_TRUE(pool.Submit<&Half>(n).ok());
    });
  }
  std::thread closer([&] {
    for (std::thread& submitter : submitters) submitter.join();
    EXPECT_TRUE(pool.Close().ok());
  });
  EXPECT_EQ(TakeAll(subscription, event).values.size(), 90u);
  closer.join();
}

TEST_P(PoolTest, AClosesTimeoutEndsJobsThatDoNot) {
  if (!processes()) GTEST_SKIP() << "a thread can't be ended: it would be left behind in this program";
  Pool<double> pool(*env_, 1, "pool", results_);
  const Gate begun;
  const absl::Status submitted = pool.Submit(
      [](const std::string& path) -> double {
        ::unlink(path.c_str());
        while (true) absl::SleepFor(absl::Hours(1));
      },
      begun.path());
  ASSERT_TRUE(submitted.ok()) << submitted;
  WaitFor(begun.path());
  EXPECT_EQ(pool.Close(absl::Milliseconds(10)).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(PoolTest, MistakesAreEachUsesError) {
  Pool<double> none(*env_, 0, "none", results_);
  EXPECT_EQ(none.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(none.Submit<&Half>(1.0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(none.Close().code(), absl::StatusCode::kInvalidArgument);
  CapturedLog log;
  Pool<double> nameless(*env_, 1, "", results_);
  EXPECT_EQ(nameless.Submit<&Half>(1.0).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(PoolTest, TwoPoolsOfOneNameDoNotMeet) {
  auto others = env_->CreateBuffer<double>("others");
  Pool<double> first(*env_, 1, "pool", results_), second(*env_, 1, "pool", others);
  EXPECT_TRUE(first.Submit<&Half>(2.0).ok());
  EXPECT_TRUE(second.Submit<&Half>(4.0).ok());
  EXPECT_TRUE(first.Close().ok());
  EXPECT_TRUE(second.Close().ok());
  EXPECT_THAT(ReadToTheEnd(results_).values, ElementsAre(1));
  EXPECT_THAT(ReadToTheEnd(others).values, ElementsAre(2));
}

// Runs a pool of its own.
class Nest : public Runnable {
 public:
  explicit Nest(Setup& setup) { setup.Command("sum", &Nest::Sum, {"count"}); }
  absl::StatusOr<double> Sum(int count) {
    auto results = environment().CreateBuffer<double>("results");
    Pool<double> pool(environment(), 2, "pool", results);
    for (int i = 1; i <= count; ++i) PUMA_RETURN_IF_ERROR(pool.Submit<&Half>(2.0 * i));
    PUMA_RETURN_IF_ERROR(pool.Close());
    double sum = 0;
    for (double value : ReadToTheEnd(results).values) sum += value;
    return sum;
  }
};

TEST_P(PoolTest, ARunnableMayHaveAPool) {
  auto nest = env_->CreateRunner<Nest>("nest");
  ASSERT_TRUE(nest.StartBlocking(kLong).ok());
  auto sum = nest.Call(&Nest::Sum, 4);
  ASSERT_TRUE(sum.ok()) << sum.status();
  EXPECT_EQ(*sum, 10);
}

TEST(PoolOfProcesses, AWorkerThatDiesIsAnErrorTheOthersGoOn) {
  CapturedLog log;
  ProcessEnvironment env;
  auto results = env.CreateBuffer<double>("results", {.capacity = 100'000});
  Pool<double> pool(env, 2, "pool", results);
  const auto die = [](int) -> double {
    ::raise(SIGKILL);
    return 0;
  };
  ASSERT_TRUE(pool.Submit(die, 1).ok());
  absl::Status error;
  while ((error = pool.Submit<&Half>(2.0)).ok()) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_THAT(std::string(error.message()), HasSubstr("signal 9"));
  EXPECT_TRUE(pool.Submit<&Half>(4.0).ok()) << "by the other worker";
  ASSERT_TRUE(pool.Submit(die, 1).ok());
  while (!absl::IsUnavailable(error = pool.Submit<&Half>(2.0)) || error.message().find("all of its workers") == std::string_view::npos) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  static_cast<void>(pool.Close());
  EXPECT_THAT(ReadToTheEnd(results).completions, ElementsAre(absl::OkStatus()));
}

PUMA_IN_BOTH_KINDS(PoolTest);

}  // namespace
}  // namespace puma::testing
