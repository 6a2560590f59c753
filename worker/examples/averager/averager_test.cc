// A unit test of a runnable: inline, without threads, by a clock that the test turns.
#include "averager.h"

#include <gtest/gtest.h>
#include <puma/testing/gtest_macros.h>
#include <puma/testing/test_run.h>

#include <vector>

namespace {

using puma::testing::TestRun;

TEST(Averager, PublishesTheMeanOfEachSecond) {
  TestRun<Averager> run;
  PUMA_ASSERT_OK(run.Start());
  auto samples = run.input<double>("samples");
  for (double sample : {1.0, 2.0, 3.0}) PUMA_ASSERT_OK(samples.PublishValue(sample));
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(999)));
  EXPECT_TRUE(run.Take<double>("means").empty());
  PUMA_ASSERT_OK(run.Advance(absl::Milliseconds(1)));
  EXPECT_EQ(run.Take<double>("means"), std::vector<double>{2.0});
}

TEST(Averager, SaysNothingOfAnEmptySecond) {
  TestRun<Averager> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Advance(absl::Minutes(1)));
  EXPECT_TRUE(run.Take<double>("means").empty());
  EXPECT_NO_WARNINGS_OR_ERRORS_LOGGED(run.log());
}

TEST(Averager, TakesAnotherPeriod) {
  TestRun<Averager> run({{"period", absl::Seconds(10)}});
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Call(&Averager::SetPeriod, absl::Seconds(2)));
  EXPECT_EQ(run.Call(&Averager::SetPeriod, absl::ZeroDuration()).code(), absl::StatusCode::kInvalidArgument);
  PUMA_ASSERT_OK(run.input<double>("samples").PublishValue(4.0));
  PUMA_ASSERT_OK(run.Advance(absl::Seconds(2)));
  EXPECT_EQ(run.Take<double>("means"), std::vector<double>{4.0});
}

TEST(Averager, EndsWithAnErrorOnANegativeSample) {
  TestRun<Averager> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.input<double>("samples").PublishValue(-1));
  EXPECT_EQ(run.Step().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(run.ended());
  EXPECT_LOGGED(run.log(), puma::Level::kWarn, "negative sample -1");
}

TEST(Averager, CompletesItsMeansWhenTheSamplesAreComplete) {
  TestRun<Averager> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.input<double>("samples").PublishComplete());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.Completion("means"), absl::OkStatus());
}

// The same class as a process: puma_test_main makes this program one that can be its own children.
TEST(Averager, RunsAsAProcess) {
  puma::ProcessEnvironment environment;
  auto samples = environment.CreateBuffer<double>("samples");
  auto means = environment.CreateBuffer<double>("means");
  auto runner = environment.CreateRunner<Averager>("averager", {.inputs = {{"samples", samples}}, .outputs = {{"means", means}}});
  PUMA_ASSERT_OK(runner.StartBlocking());
  PUMA_EXPECT_OK(runner.Call(&Averager::SetPeriod, absl::Milliseconds(1)));
  PUMA_EXPECT_OK(runner.Close());
}

}  // namespace
