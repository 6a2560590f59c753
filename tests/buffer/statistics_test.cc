// What a lane's header and a page's slot say about their use.
#include <gmock/gmock.h>

#include <thread>

#include "tests/buffer/lane_fixture.h"
#include "tests/buffer/ring_fixture.h"
#include "worker/platform/system.h"

namespace puma {
namespace {

using testing::Descriptors;
using testing::Fixed;
using testing::GateOf;
using testing::Lane;
using testing::TestRing;

TEST(StatisticsTest, AFreshRingHasNothingToTell) {
  TestRing ring(Fixed(4, 8));
  const RingStatistics found = ring.reader().Statistics(MonotonicNanos());
  EXPECT_EQ(found.dropped, 0u);
  EXPECT_EQ(found.blocked_times, 0u);
  EXPECT_EQ(found.blocked_ns, 0);
  EXPECT_EQ(found.blocked_since_ns, 0);
}

TEST(StatisticsTest, AWaitForRoomIsCountedAndSeenWhileItLasts) {
  TestRing ring(Descriptors(2, 8, 256));
  ring.Fill();
  RingWriter* rings[] = {&ring.writer()};
  const int64_t before = MonotonicNanos();
  std::thread publisher([&] { EXPECT_TRUE(WaitForRoom(rings, 1, {}).ok()); });
  while (ring.reader().Statistics(MonotonicNanos()).blocked_since_ns == 0) std::this_thread::yield();
  const RingStatistics during = ring.reader().Statistics(MonotonicNanos());
  EXPECT_GE(during.blocked_since_ns, before);
  EXPECT_EQ(during.blocked_times, 1u);
  EXPECT_GT(during.blocked_ns, 0) << "the wait that is not over counts";
  ring.Read();
  uint32_t seen = 0;
  ring.reader().WakePublisher(ring.next(), &ring.page().position, seen);
  publisher.join();
  const RingStatistics after = ring.reader().Statistics(MonotonicNanos());
  EXPECT_EQ(after.blocked_since_ns, 0);
  EXPECT_EQ(after.blocked_times, 1u);
  EXPECT_GE(after.blocked_ns, during.blocked_ns);
}

TEST(StatisticsTest, AWaitThatFindsRoomAtOnceIsNone) {
  TestRing ring(Fixed(2, 8));
  RingWriter* rings[] = {&ring.writer()};
  EXPECT_TRUE(WaitForRoom(rings, 8, {}).ok());
  ring.Fill(8);
  EXPECT_FALSE(WaitForRoom(rings, 8, {.deadline = absl::InfinitePast()}).ok()) << "nor is one without time";
  EXPECT_EQ(ring.reader().Statistics(MonotonicNanos()).blocked_times, 0u);
}

TEST(StatisticsTest, LiesAreBounded) {
  TestRing ring(Fixed(4, 8));
  RingHeader& header = ring.header();
  for (Word64* word : {&header.dropped, &header.blocked_times, &header.blocked_ns, &header.blocked_since}) *word = ~uint64_t{0};
  const int64_t now = MonotonicNanos();
  const RingStatistics found = ring.reader().Statistics(now);
  EXPECT_LE(found.dropped, uint64_t{1} << 53);
  EXPECT_LE(found.blocked_times, uint64_t{1} << 53);
  EXPECT_LE(found.blocked_ns, now);
  EXPECT_EQ(found.blocked_since_ns, 0) << "later than now";
  header.blocked_since = 1;
  EXPECT_LE(ring.reader().Statistics(now).blocked_ns, now);
}

TEST(StatisticsTest, BytesHeldFollowTheDescriptorsAroundTheRing) {
  TestRing ring(Descriptors(8, 64, 512));
  ASSERT_TRUE(ring.Publish(std::string(64, 'a')).ok());
  ASSERT_TRUE(ring.Publish(std::string(1, 'b')).ok());
  EXPECT_EQ(ring.reader().BytesHeld(0, 2), 128u);
  EXPECT_EQ(ring.reader().BytesHeld(2, 2), 0u);
  for (int i = 0; i < 12; ++i) {
    ring.Read();
    ASSERT_TRUE(ring.Publish(std::string(64, 'c')).ok());
    EXPECT_LE(ring.reader().BytesHeld(ring.next(), ring.next() + 2), 512u);
  }
  ring.descriptor(ring.next()).offset = ~uint64_t{0};
  EXPECT_LE(ring.reader().BytesHeld(ring.next(), ring.next() + 2), 512u) << "a lie is bounded";
  TestRing fixed(Fixed(4, 16));
  fixed.Fill(16);
  EXPECT_EQ(fixed.reader().BytesHeld(0, 4), 64u);
}

class PageStatisticsTest : public ::testing::Test {
 protected:
  PageStatisticsTest() : lane_(Descriptors(8, 8, 1024)), page_(TaskPage::Create(1, 1, {}).value()) {
    lane_.writer->SetGate(GateOf(7, page_.header(), page_.slot(0), 0));
    reader_ = LaneReader::Open(lane_.Fd(), page_.slot(0), 0).value();
  }
  void Publish(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(lane_.writer->TryReserve(8).ok());
      lane_.writer->Commit(8);
    }
  }
  void Read(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(reader_->Peek().value().has_value());
      reader_->Begin();
      reader_->Finish();
    }
    reader_->StorePosition();
  }
  ReadState State(TaskPage& page) {
    return TaskPageView::Open(testing::Duplicate(page.segment().fd())).value().StateOf(lane_.writer->constants().lane_id).value();
  }
  Lane lane_;
  TaskPage page_;
  std::unique_ptr<LaneReader> reader_;
};

TEST_F(PageStatisticsTest, TheLargestBacklogStays) {
  Publish(1);
  Read(1);
  EXPECT_EQ(State(page_).backlog, 1u);
  Publish(5);
  Read(5);
  Publish(2);
  Read(2);
  EXPECT_EQ(State(page_).backlog, 5u);
}

TEST_F(PageStatisticsTest, TheNextRunGoesOnCounting) {
  Publish(5);
  Read(1);
  reader_->Begin();  // and dies
  TaskPage next = TaskPage::Create(1, 2, {{State(page_)}}).value();
  EXPECT_EQ(State(next).backlog, 5u);
  reader_ = LaneReader::Open(lane_.Fd(), next.slot(0), 0).value();
  EXPECT_EQ(reader_->Deliveries(), 2u);
  reader_->CountRedelivery();
  EXPECT_EQ(State(next).redelivered, 1u);
  EXPECT_EQ(State(next).backlog, 5u);
}

TEST_F(PageStatisticsTest, MissedMessagesAreCounted) {
  RingOptions options = Descriptors(4, 8, 1024);
  options.lossy = true;
  Lane lossy(options);
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  auto reader = LaneReader::Open(lossy.Fd(), page.slot(0), 0).value();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(lossy.writer->TryReserve(8).ok());
    lossy.writer->Commit(8);
  }
  std::string copy;
  std::optional<RingReader::Gap> gap;
  ASSERT_TRUE(reader->PeekCopy(copy, gap).value().has_value());
  ASSERT_TRUE(gap.has_value());
  reader->CountMissed(2);
  EXPECT_EQ(page.slot(0).missed, gap->last - gap->first + 3);
}

}  // namespace
}  // namespace puma
