#include "worker/runnable/ticker.h"

#include <gtest/gtest.h>

namespace puma::internal {
namespace {

TEST(TickerTest, NeedsAnIntervalAboveZero) {
  Ticker t;
  EXPECT_FALSE(t.Resume(0).ok());
  EXPECT_FALSE(t.SetInterval(absl::ZeroDuration()).ok());
  EXPECT_FALSE(t.SetInterval(-absl::Seconds(1)).ok());
  EXPECT_FALSE(t.ticking());
}

TEST(TickerTest, TheFirstTickComesOneIntervalAfterTheResume) {
  Ticker t;
  ASSERT_TRUE(t.SetInterval(absl::Nanoseconds(100)).ok());
  ASSERT_TRUE(t.Resume(1000).ok());
  EXPECT_FALSE(t.Take(1099));
  EXPECT_TRUE(t.Take(1100));
  EXPECT_FALSE(t.Take(1101));
  ASSERT_TRUE(t.Resume(1150).ok()) << "no effect if ticking";
  EXPECT_TRUE(t.Take(1200));
}

TEST(TickerTest, MissedTicksAreNotMadeUpForAndTheRhythmStays) {
  Ticker t;
  ASSERT_TRUE(t.SetInterval(absl::Nanoseconds(100)).ok());
  ASSERT_TRUE(t.Resume(0).ok());
  EXPECT_TRUE(t.Take(550));
  EXPECT_FALSE(t.Take(599));
  EXPECT_TRUE(t.Take(600));
}

TEST(TickerTest, AnotherIntervalMovesTheNextTickFromTheLastPlannedOne) {
  Ticker t;
  ASSERT_TRUE(t.SetInterval(absl::Nanoseconds(100)).ok());
  ASSERT_TRUE(t.Resume(0).ok());
  EXPECT_TRUE(t.Take(100));
  ASSERT_TRUE(t.SetInterval(absl::Nanoseconds(1000)).ok());
  EXPECT_FALSE(t.Take(1099));
  EXPECT_TRUE(t.Take(1100));
  ASSERT_TRUE(t.SetInterval(absl::Nanoseconds(10)).ok());
  EXPECT_TRUE(t.Take(1110));
}

TEST(TickerTest, PauseEndsIt) {
  Ticker t;
  ASSERT_TRUE(t.SetInterval(absl::InfiniteDuration()).ok());
  ASSERT_TRUE(t.Resume(INT64_MAX - 5).ok()) << "very long ones saturate";
  t.Pause();
  EXPECT_FALSE(t.Take(INT64_MAX));
}

}  // namespace
}  // namespace puma::internal
