#include <gtest/gtest.h>
#include <puma/monitor.h>
#include <puma/testing/gtest_macros.h>
#include <puma/testing/test_run.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace puma::testing {
namespace {

struct Point {
  uint8_t x, y;
};

template <class T>
std::string Logged(T value) {
  TestRun<Monitor<T>> run;
  PUMA_EXPECT_OK(run.Start());
  PUMA_EXPECT_OK(run.template input<T>("values").PublishValue(std::move(value)));
  PUMA_EXPECT_OK(run.Step());
  const auto records = run.log().Records({.level = Level::kInfo, .logger = "test_run"});
  return records.size() == 1 ? records[0].text : "";
}

TEST(MonitorTest, LogsWhateverArrives) {
  EXPECT_EQ(Logged(7), "0: 7");
  EXPECT_EQ(Logged(std::string("text")), "0: text");
  EXPECT_EQ(Logged(std::vector<int>{1, 2}), "0: [1,2]");
  const std::string point = Logged(Point{1, 255});
  EXPECT_TRUE(point.ends_with("Point of 2 bytes: 01 ff")) << point;
  EXPECT_NE(Logged(std::make_unique<int>(1)).find("unique_ptr<int"), std::string::npos);
}

TEST(MonitorTest, LogsBlocksByTheirHeaders) {
  TestRun<Monitor<Block<int>>> run;
  PUMA_ASSERT_OK(run.Start());
  auto loan = run.input<Block<int>>("values").Loan(100);
  PUMA_ASSERT_OK(loan);
  loan->header() = 42;
  PUMA_ASSERT_OK(loan->Publish());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_LOGGED(run.log(), Level::kInfo, "0: 42 and 100 bytes");
}

TEST(MonitorTest, LogsTheCompletionAndNoMoreThanAskedFor) {
  TestRun<Monitor<int>> run({{"at_most", 2}});
  PUMA_ASSERT_OK(run.Start());
  auto values = run.input<int>("values");
  for (int i = 0; i < 5; ++i) PUMA_ASSERT_OK(values.PublishValue(i));
  PUMA_ASSERT_OK(values.PublishComplete(absl::DataLossError("torn")));
  PUMA_EXPECT_OK(run.Step());  // a look takes errors as they come
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.log().Count({.level = Level::kInfo, .logger = "test_run"}), 3u);
  EXPECT_LOGGED(run.log(), Level::kInfo, "torn");
}

}  // namespace
}  // namespace puma::testing
