#include "client/cli/advice.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace puma::client {
namespace {

using ::testing::HasSubstr;
using Verdict = Advice::Verdict;

// A reliable buffer of 64 messages a lane, used for a minute.
v1::Buffer Buffer(const std::string& text) {
  v1::Buffer buffer;
  const std::string all = R"(
    name: "pipelines/p/buffers/b"
    spec { capacity { bytes: 65536 } capacity_items: 64 on_full: ON_FULL_BLOCK }
    subscriptions { subscriber: "pipelines/p/tasks/slow" reliable: true }
    totals { published: 10000 capacity: 64 observed { seconds: 60 } })";
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(all, &buffer));
  v1::Buffer more;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &more)) << text;
  if (more.subscriptions_size() > 0) buffer.clear_subscriptions();
  buffer.MergeFrom(more);
  return buffer;
}

TEST(AdviceTest, LittleEvidenceIsNoAdvice) {
  EXPECT_EQ(AdviseOn(Buffer("totals { published: 99 }")).verdict, Verdict::kUnknown);
  EXPECT_EQ(AdviseOn(Buffer("totals { observed { seconds: 4 } }")).verdict, Verdict::kUnknown);
  EXPECT_THAT(AdviseOn(v1::Buffer()).why, HasSubstr("too little"));
}

TEST(AdviceTest, SaysOnHowMuchItIsBased) {
  const Advice advice = AdviseOn(Buffer(""));
  EXPECT_EQ(advice.buffer, "pipelines/p/buffers/b");
  EXPECT_EQ(advice.messages, 10000u);
  EXPECT_EQ(advice.observed, absl::Seconds(60));
}

TEST(AdviceTest, WhatIsHardlyUsedMayBeSmaller) {
  const Advice advice = AdviseOn(Buffer("totals { high_water: 3 }"));
  EXPECT_EQ(advice.verdict, Verdict::kSmaller);
  EXPECT_EQ(advice.items, 16u);
  EXPECT_EQ(advice.why, "never more than 3 of 64 used");
  EXPECT_EQ(AdviseOn(Buffer("totals { high_water: 12 }")).items, 32u) << "twice the mark, rounded up";
}

TEST(AdviceTest, WhatIsUsedWellIsKept) {
  for (const char* used : {"17", "33", "63"}) {
    EXPECT_EQ(AdviseOn(Buffer(std::string("totals { high_water: ") + used + " }")).verdict, Verdict::kKeep) << used;
  }
}

TEST(AdviceTest, BurstsThatDidNotFitWantMore) {
  const Advice advice = AdviseOn(Buffer("totals { high_water: 64 blocked_times: 5 blocked { nanos: 600000000 } }"));
  EXPECT_EQ(advice.verdict, Verdict::kLarger);
  EXPECT_EQ(advice.items, 128u);
  EXPECT_THAT(advice.why, HasSubstr("1.0 % of the time"));
  const Advice drops = AdviseOn(Buffer("spec { on_full: ON_FULL_WARN } totals { high_water: 64 dropped: 100 }"));
  EXPECT_EQ(drops.verdict, Verdict::kLarger);
  EXPECT_THAT(drops.why, HasSubstr("100 messages found no room"));
}

TEST(AdviceTest, AReaderThatIsAlwaysBehindIsNamed) {
  const std::string behind = R"(
    totals { high_water: 64 blocked_times: 500 blocked { seconds: 7 nanos: 200000000 } }
    subscriptions { subscriber: "pipelines/p/tasks/fast" waiting: 1 lags { waiting: 1 } }
    subscriptions { subscriber: "pipelines/p/tasks/snail" waiting: 64 lags { waiting: 64 } })";
  const Advice advice = AdviseOn(Buffer(behind));
  EXPECT_EQ(advice.verdict, Verdict::kSlowReader);
  EXPECT_EQ(advice.items, 0u);
  EXPECT_THAT(advice.why, HasSubstr("12 % of the time"));
  EXPECT_THAT(advice.why, HasSubstr("p/snail"));
}

TEST(AdviceTest, ABufferThatIsFullMostOfTheTimeNeedsAFasterReader) {
  EXPECT_EQ(AdviseOn(Buffer("totals { high_water: 64 blocked_times: 5 blocked { seconds: 40 } }")).verdict, Verdict::kSlowReader);
}

TEST(AdviceTest, FullOfBytesIsTold) {
  const Advice advice = AdviseOn(Buffer("totals { high_water: 3 blocked_times: 5 blocked { seconds: 40 } }"));
  EXPECT_EQ(advice.verdict, Verdict::kLarger);
  EXPECT_EQ(advice.bytes, 131072u);
  EXPECT_EQ(advice.items, 0u);
  EXPECT_THAT(advice.why, HasSubstr("its bytes are short"));
}

TEST(AdviceTest, LossyBuffersAreJudgedByWhatWasMissed) {
  const std::string lossy = "spec { on_full: ON_FULL_DROP_OLDEST } totals { high_water: 64 missed: ";
  EXPECT_EQ(AdviseOn(Buffer(lossy + "0 }")).verdict, Verdict::kKeep);
  EXPECT_EQ(AdviseOn(Buffer(lossy + "10 }")).items, 128u);
  EXPECT_EQ(AdviseOn(Buffer(lossy + "9000 }")).verdict, Verdict::kSlowReader);
  EXPECT_EQ(AdviseOn(Buffer("spec { on_full: ON_FULL_LATEST } totals { missed: 9000 }")).verdict, Verdict::kKeep);
}

TEST(AdviceTest, NothingIsLargerThanTheLargest) {
  const Advice advice = AdviseOn(
      Buffer("spec { capacity_items: 1048576 } totals { published: 100000000 capacity: 1048576 high_water: 1048576 blocked_times: 1 "
             "blocked { nanos: 1 } }"));
  EXPECT_EQ(advice.verdict, Verdict::kKeep);
}

}  // namespace
}  // namespace puma::client
