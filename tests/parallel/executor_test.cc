// Jobs whose results come as futures.
#include <puma/parallel.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <map>
#include <stdexcept>
#include <thread>

#include "tests/runnable/throw_stacks.h"
#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Point {
  double x, y;
};
[[gnu::noinline]] void Refuse() { throw std::domain_error("negative"); }
double Half(double x) {
  if (x < 0) Refuse();
  return x / 2;
}
Point Mirror(const Point& point) { return {-point.x, -point.y}; }
std::vector<double> Doubled(std::vector<double> values) noexcept {
  for (double& v : values) v *= 2;
  return values;
}
std::map<std::string, int> Lengths(const std::vector<std::string>& texts) {
  std::map<std::string, int> lengths;
  for (const auto& text : texts) lengths[text] = static_cast<int>(text.size());
  return lengths;
}
absl::Status Check(int n) { return n < 0 ? InvalidArgument("negative") : absl::OkStatus(); }
void Nothing() {}
int SleepThen(int milliseconds, int result) {
  absl::SleepFor(absl::Milliseconds(milliseconds));
  return result;
}

class ExecutorTest : public BothKinds {};

TEST_P(ExecutorTest, ResultsComeTypedAsFutures) {
  Executor executor(*env_, 2);
  auto half = executor.Submit<&Half>(3.0);
  auto mirrored = executor.Submit<&Mirror>(Point{1, 2});
  auto doubled = executor.Submit<&Doubled>(std::vector<double>{1, 2});
  auto lengths = executor.Submit<&Lengths>(std::vector<std::string>{"a", "bcd"});
  auto checked = executor.Submit<&Check>(1);
  auto nothing = executor.Submit<&Nothing>();
  auto text = executor.Submit([](const std::string& a, int n) { return a + std::to_string(n); }, "n", 7);
  auto generic = executor.Submit([](auto n) { return n + 1; }, 41);
  EXPECT_EQ(*half.Get(kLong), 1.5);
  EXPECT_EQ(mirrored.Get(kLong)->y, -2);
  EXPECT_THAT(*doubled.Get(kLong), ElementsAre(2, 4));
  EXPECT_EQ(lengths.Get(kLong)->at("bcd"), 3);
  EXPECT_TRUE(checked.Get(kLong).ok());
  EXPECT_TRUE(nothing.Get(kLong).ok());
  EXPECT_EQ(*text.Get(kLong), "n7");
  EXPECT_EQ(*generic.Get(kLong), 42);
}

TEST_P(ExecutorTest, AFutureIsAskedAgainAndAgainAndCopied) {
  Executor executor(*env_, 1);
  auto slow = executor.Submit<&SleepThen>(50, 7);
  EXPECT_EQ(slow.Get(kNoWait).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(slow.Get(absl::ZeroDuration()).status().code(), absl::StatusCode::kInvalidArgument);
  auto copy = slow;
  EXPECT_EQ(*slow.Get(kLong), 7);
  EXPECT_EQ(*copy.Get(kNoWait), 7);
}

TEST_P(ExecutorTest, AnErrorIsItsFuturesAndTheOthersGoOn) {
  Executor executor(*env_, 1, "work");
  auto thrown = executor.Submit<&Half>(-1.0);
  auto refused = executor.Submit<&Check>(-1);
  auto cancelled = executor.Submit([] { return absl::CancelledError("not wanted"); });
  auto good = executor.Submit<&Half>(2.0);
  const absl::Status error = thrown.Get(kLong).status();
  EXPECT_TRUE(IsError(error, "std::domain_error")) << error;
  if (kThrowsHaveStacks) {
    EXPECT_THAT(Explain(error), HasSubstr("Refuse"));
  }
  EXPECT_THAT(ErrorOf(error).path, ElementsAre("work.0"));
  EXPECT_EQ(refused.Get(kLong).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cancelled.Get(kLong).message()), HasSubstr("not wanted"));
  EXPECT_EQ(*good.Get(kLong), 1);
}

TEST_P(ExecutorTest, SubmitNeverBlocks) {
  Executor executor(*env_, 1);
  std::vector<Future<int>> futures;
  futures.push_back(executor.Submit<&SleepThen>(50, 0));
  for (int i = 1; i < 200; ++i) futures.push_back(executor.Submit<&SleepThen>(0, i));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(*futures[static_cast<size_t>(i)].Get(kLong), i);
}

TEST_P(ExecutorTest, MapsResultsAreInTheOrderOfTheInputs) {
  Executor executor(*env_, 3);
  std::vector<int> inputs;
  for (int i = 0; i < 40; ++i) inputs.push_back(i);
  for (int chunk : {1, 7, 100}) {
    auto squares = executor.Map([](int n) { return n * n; }, inputs, kInfinite, chunk);
    ASSERT_TRUE(squares.ok()) << squares.status();
    ASSERT_THAT(*squares, SizeIs(40));
    for (int i = 0; i < 40; ++i) EXPECT_EQ((*squares)[static_cast<size_t>(i)], i * i);
  }
  EXPECT_THAT(*executor.Map<&Half>(std::vector<double>{2, 4}), ElementsAre(1, 2));
  EXPECT_THAT(*executor.Map<&Half>(std::vector<int>{2, 4}), ElementsAre(1, 2)) << "converted";
  EXPECT_TRUE(executor.Map<&Check>(std::vector<int>{1, 2}).ok());
  EXPECT_THAT(*executor.Map<&Half>(std::vector<double>{}), SizeIs(0));
}

TEST_P(ExecutorTest, MapsFirstErrorInTheOrderOfTheInputsIsReturned) {
  Executor executor(*env_, 2);
  const auto late = [](int n) -> absl::StatusOr<int> {
    if (n == 3) absl::SleepFor(absl::Milliseconds(30));
    if (n >= 3) return InvalidArgument("input " + std::to_string(n));
    return n;
  };
  for (int chunk : {1, 2}) {
    const auto mapped = executor.Map(late, std::vector<int>{1, 2, 3, 4, 5, 6}, kInfinite, chunk);
    EXPECT_EQ(mapped.status().message(), "input 3");
  }
  EXPECT_EQ(executor.Map<&Check>(std::vector<int>{1, -1}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*executor.Submit<&Half>(2.0).Get(kLong), 1) << "it goes on";
}

TEST_P(ExecutorTest, MapsTimeoutIsForAllOfItAndABadChunkIsRefused) {
  Executor executor(*env_, 1);
  const auto slow = [](int n) {
    absl::SleepFor(absl::Milliseconds(50));
    return n;
  };
  const auto mapped = executor.Map(slow, std::vector<int>(100, 1), absl::Milliseconds(60));
  EXPECT_EQ(mapped.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(*executor.Submit<&Half>(2.0).Get(kLong), 1) << "what had not begun was dropped";
  EXPECT_EQ(executor.Map<&Half>(std::vector<double>{1}, kInfinite, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(executor.Map<&Half>(std::vector<double>{1}, absl::Seconds(-1)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(ExecutorTest, ShutdownFinishesRunningAndQueuedJobsAndTheirFuturesStayReadable) {
  std::vector<Future<int>> futures;
  Executor executor(*env_, 1);
  for (int i = 0; i < 5; ++i) futures.push_back(executor.Submit<&SleepThen>(10, i));
  EXPECT_TRUE(executor.Shutdown().ok());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(*futures[static_cast<size_t>(i)].Get(kNoWait), i);
  const absl::Status late = executor.Submit<&Half>(1.0).Get(kNoWait).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(late.message()), HasSubstr("executor \"executor\" has been shut down"));
  EXPECT_EQ(executor.Map<&Half>(std::vector<double>{1}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(executor.Shutdown().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(ExecutorTest, TheDestructorFinishesThemToo) {
  std::vector<Future<int>> futures;
  {
    Executor executor(*env_, 2);
    for (int i = 0; i < 6; ++i) futures.push_back(executor.Submit<&SleepThen>(5, i));
  }
  for (int i = 0; i < 6; ++i) EXPECT_EQ(*futures[static_cast<size_t>(i)].Get(kNoWait), i);
}

TEST_P(ExecutorTest, ManyThreadsSubmitAtOnceAndEachGetsItsOwnResults) {
  Executor executor(*env_, 2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> submitters;
  for (int i = 0; i < 4; ++i) {
    submitters.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        auto result = executor.Submit<&SleepThen>(0, i * 100 + n).Get(kLong);
        if (!result.ok() || *result != i * 100 + n) ++wrong;
      }
    });
  }
  for (std::thread& submitter : submitters) submitter.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(ExecutorTest, MegabytesTravelThereAndBackAndWhatIsTooLargeIsItsFuturesError) {
  Executor executor(*env_, 1);
  const std::vector<double> many(200'000, 1.5);
  EXPECT_THAT(*executor.Submit<&Doubled>(many).Get(kLong), SizeIs(200'000));
  EXPECT_EQ(executor.Submit<&Doubled>(std::vector<double>(1 << 20)).Get(kLong).status().code(), absl::StatusCode::kResourceExhausted);
  auto large = executor.Submit([](int n) { return std::string(static_cast<size_t>(n), 'x'); }, 8 << 20);
  EXPECT_EQ(large.Get(kLong).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*executor.Submit<&Half>(2.0).Get(kLong), 1);
}

TEST(ExecutorOfProcesses, AWorkersDeathIsItsJobsErrorTheOthersGoOn) {
  CapturedLog log;
  ProcessEnvironment env;
  Executor executor(env, 2);
  const auto die = [](int) {
    ::raise(SIGKILL);
    return 0;
  };
  EXPECT_THAT(std::string(executor.Submit(die, 1).Get(kLong).status().message()), HasSubstr("signal 9"));
  EXPECT_EQ(*executor.Submit<&Half>(2.0).Get(kLong), 1);
  auto last = executor.Submit(die, 1);
  auto queued = executor.Submit<&Half>(2.0);
  EXPECT_THAT(std::string(last.Get(kLong).status().message()), HasSubstr("signal 9"));
  EXPECT_EQ(queued.Get(kLong).status().code(), absl::StatusCode::kUnavailable);
}

PUMA_IN_BOTH_KINDS(ExecutorTest);

}  // namespace
}  // namespace puma::testing
