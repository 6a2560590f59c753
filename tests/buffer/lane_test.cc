// A lane, its reader and its page: joining, finishing, what a dead reader leaves and where the next one goes on.
#include <gmock/gmock.h>

#include "tests/buffer/lane_fixture.h"
#include "tests/buffer/ring_fixture.h"

namespace puma {
namespace {

using testing::Descriptors;
using ::testing::ElementsAre;
using testing::GateOf;
using ::testing::IsEmpty;
using testing::Lane;
using testing::Text;

constexpr uint64_t kLane = 4711, kBase = ~uint64_t{0} - 2;

class LaneTest : public ::testing::Test {
 protected:
  LaneTest() : lane_(Options()), page_(TaskPage::Create(1, 1, {}).value()) {}

  static RingOptions Options() {
    RingOptions options = Descriptors(4, 64, 1024, kBase);
    options.lane_id = kLane;
    return options;
  }
  void Publish(int count) {
    for (int i = 0; i < count; ++i) {
      auto room = lane_.writer->TryReserve(8);
      ASSERT_TRUE(room.ok()) << room.status();
      lane_.writer->Commit(8);
    }
  }
  std::unique_ptr<LaneReader> Open(TaskPage& page, uint32_t slot = 0) {
    auto reader = LaneReader::Open(lane_.Fd(), page.slot(slot), kBase);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return reader.ok() ? *std::move(reader) : nullptr;
  }
  void GateOn(TaskPage& page, uint32_t slot = 0) { lane_.writer->SetGate(GateOf(7, page.header(), page.slot(slot), kBase)); }
  static std::vector<ReadState> StatesOf(TaskPage& page) {
    return TaskPageView::Open(testing::Duplicate(page.segment().fd())).value().States();
  }

  Lane lane_;
  TaskPage page_;
};

TEST_F(LaneTest, ReadsInPlaceAndFrees) {
  GateOn(page_);
  auto reader = Open(page_);
  Publish(4);
  EXPECT_FALSE(lane_.writer->HasRoom(8));
  for (uint64_t i = 0; i < 4; ++i) {
    auto item = reader->Peek();
    ASSERT_TRUE(item.ok() && item->has_value());
    EXPECT_EQ((*item)->number, kBase + i);
    EXPECT_EQ(reader->Deliveries(), 1u);
    reader->Begin();
    reader->Finish();
  }
  EXPECT_TRUE(reader->AtEnd());
  EXPECT_FALSE(lane_.writer->HasRoom(8)) << "finished, but the position is stored per batch";
  reader->StorePosition();
  EXPECT_TRUE(lane_.writer->HasRoom(8));
}

TEST_F(LaneTest, TakesOverTheSlotOfADrainedLane) {
  GateOn(page_);
  {
    auto reader = Open(page_);
    Publish(2);
    for (int i = 0; i < 2; ++i) reader->Finish();
    reader->StorePosition();
  }
  EXPECT_EQ(lane_.writer->Waiting(), 0u);
  EXPECT_EQ(page_.slot(0).tag, kLane) << "who left a lane keeps its place in it";
  page_.slot(0).deliveries = 3;
  RingOptions other = Options();
  other.lane_id = 1;
  other.base = 50;
  Lane second(other);
  second.writer->SetGate(GateOf(7, page_.header(), page_.slot(0), 50));
  ASSERT_TRUE(second.writer->TryReserve(8).ok());
  second.writer->Commit(8);
  auto reader = LaneReader::Open(second.Fd(), page_.slot(0), 50);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(page_.slot(0).tag, 1u);
  EXPECT_EQ((*reader)->next(), 50u);
  EXPECT_EQ((*reader)->Deliveries(), 1u);
  (*reader)->Finish();
  (*reader)->StorePosition();
  EXPECT_EQ(second.writer->Waiting(), 0u);
  Publish(4);
  EXPECT_EQ(lane_.writer->Waiting(), 4u) << "the slot's position is no longer about this lane; what was reached before counts";
}

TEST_F(LaneTest, RefusesASegmentThatIsNoLane) {
  auto page_as_lane = LaneReader::Open(testing::Duplicate(page_.segment().fd()), page_.slot(0), 0);
  EXPECT_EQ(page_as_lane.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(page_.slot(0).tag, 0u);
  EXPECT_EQ(TaskPageView::Open(lane_.Fd()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(LaneTest, AGateGoesOnGatingAfterItsReaderLeft) {
  GateOn(page_);
  auto reader = Open(page_);
  Publish(4);
  reader->Finish();
  reader->StorePosition();
  Publish(1);  // the publisher has seen it
  reader = nullptr;
  EXPECT_FALSE(lane_.writer->HasRoom(8));
  lane_.writer->RemoveGate(7);
  EXPECT_TRUE(lane_.writer->HasRoom(8));
}

TEST_F(LaneTest, TheNextRunGoesOnAtNext) {
  GateOn(page_);
  {
    auto reader = Open(page_);
    Publish(4);
    for (int i = 0; i < 2; ++i) {
      reader->Begin();
      reader->Finish();
    }
    reader->StorePosition();
    reader->Begin();
    reader->Finish();  // its position is not stored any more; then it dies
  }
  const auto states = StatesOf(page_);
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].lane_id, kLane);
  EXPECT_EQ(states[0].next, kBase + 3);
  EXPECT_EQ(states[0].deliveries, 0u);

  TaskPage second = TaskPage::Create(1, 2, states).value();
  GateOn(second);
  EXPECT_EQ(lane_.writer->Waiting(), 1u) << "the new page says at once where everything stands";
  auto reader = Open(second);
  EXPECT_EQ((*reader->Peek())->number, kBase + 3);
  EXPECT_EQ(reader->Deliveries(), 1u);
}

TEST_F(LaneTest, CountsTheDeliveriesOfTheMessageThatKills) {
  Publish(2);
  std::vector<ReadState> states;
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  for (uint64_t death = 1; death <= 3; ++death) {
    auto reader = Open(page);
    EXPECT_EQ(reader->Deliveries(), death);
    reader->Begin();  // and dies in its handler
    states = StatesOf(page);
    ASSERT_EQ(states.size(), 1u);
    EXPECT_EQ(states[0].next, kBase);
    EXPECT_EQ(states[0].deliveries, death);
    page = TaskPage::Create(1, death + 1, states).value();
  }
  auto reader = Open(page);
  reader->Begin();
  reader->Finish();
  EXPECT_EQ(reader->Deliveries(), 1u) << "the next message has its own count";
  states = StatesOf(page);
  EXPECT_EQ(states[0].next, kBase + 1);
  EXPECT_EQ(states[0].deliveries, 0u);
}

TEST_F(LaneTest, ADeathBetweenHandlersLeavesTheEarlierDeliveries) {
  Publish(1);
  const ReadState before{.lane_id = kLane, .next = kBase, .deliveries = 2};
  TaskPage page = TaskPage::Create(1, 2, std::span(&before, 1)).value();
  auto reader = Open(page);  // dies before Begin
  EXPECT_EQ(StatesOf(page)[0].deliveries, 2u);
}

// Finish moves `next`, clears `deliveries`, clears `in_hand`: each state in between must read as "finished".
TEST_F(LaneTest, ADeathWithinFinishCountsForNobody) {
  const ReadState before{.lane_id = kLane, .next = 10, .deliveries = 2};
  TaskPage page = TaskPage::Create(1, 2, std::span(&before, 1)).value();
  PageSlot& slot = page.slot(0);
  slot.in_hand = 11;
  slot.next = 11;
  EXPECT_EQ(StatesOf(page)[0].deliveries, 0u);
  slot.deliveries = 0;
  EXPECT_EQ(StatesOf(page)[0].deliveries, 0u);
  slot.in_hand = 0;
  EXPECT_EQ(StatesOf(page)[0].next, 11u);
}

// A run that holds two messages behind the one in hand dies; so does the next, within the third's handler; the last one finishes them.
TEST_F(LaneTest, AllThatWereHandedOutBeforeADeathAreMarkedAndTheRestIsNot) {
  Publish(4);
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  const auto hand_out = [](LaneReader& reader, bool hold) {
    const uint64_t deliveries = reader.Deliveries();
    reader.Begin();
    if (hold) reader.Hold();
    return deliveries;
  };
  auto reader = Open(page);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hand_out(*reader, i < 2), 1u);
  std::vector<ReadState> states = StatesOf(page);
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].next, kBase);
  EXPECT_EQ(states[0].deliveries, 1u);
  EXPECT_EQ(states[0].handed, 3u);

  page = TaskPage::Create(1, 2, states).value();
  reader = Open(page);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(hand_out(*reader, true), 2u);
  reader->Finish();  // the oldest
  EXPECT_EQ(hand_out(*reader, true), 2u);
  EXPECT_EQ(hand_out(*reader, false), 1u);
  states = StatesOf(page);
  EXPECT_EQ(states[0].next, kBase + 1);
  EXPECT_EQ(states[0].deliveries, 2u);
  EXPECT_EQ(states[0].handed, 3u);

  page = TaskPage::Create(1, 3, states).value();
  reader = Open(page);
  for (uint64_t deliveries : {3, 2, 2}) {
    EXPECT_EQ(hand_out(*reader, false), deliveries);
    reader->Finish();
  }
  Publish(1);
  EXPECT_EQ(reader->Deliveries(), 1u);
  EXPECT_EQ(StatesOf(page)[0].deliveries, 0u);
  EXPECT_EQ(StatesOf(page)[0].handed, 0u);
}

TEST_F(LaneTest, AReleasedMessageIsHandedOutNoMore) {
  Publish(3);
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  auto reader = Open(page);
  for (int i = 0; i < 2; ++i) {
    reader->Begin();
    reader->Hold();
  }
  for (int i = 0; i < 2; ++i) reader->Finish();
  const std::vector<ReadState> states = StatesOf(page);
  EXPECT_EQ(states[0].next, kBase + 2);
  EXPECT_EQ(states[0].deliveries, 0u);
  EXPECT_EQ(states[0].handed, 0u);
}

// With more in hand, the same states in between read as "the next one was handed out too".
TEST_F(LaneTest, ADeathWithinFinishOfAHeldMessageCountsForTheNext) {
  const ReadState before{.lane_id = kLane, .next = 10, .deliveries = 2, .handed = 3};
  TaskPage page = TaskPage::Create(1, 2, std::span(&before, 1)).value();
  PageSlot& slot = page.slot(0);
  slot.in_hand = 11;
  EXPECT_EQ(StatesOf(page)[0].deliveries, 3u);
  slot.next = 11;
  EXPECT_EQ(StatesOf(page)[0].deliveries, 1u);
  EXPECT_EQ(StatesOf(page)[0].handed, 2u);
  slot.deliveries = 1;
  EXPECT_EQ(StatesOf(page)[0].deliveries, 1u);
  slot.in_hand = 12;
  EXPECT_EQ(StatesOf(page)[0].deliveries, 2u);
}

TEST_F(LaneTest, ALieAboutWhatWasHandedOutMarksNothing) {
  const ReadState before{.lane_id = kLane, .next = 10};
  TaskPage page = TaskPage::Create(1, 2, std::span(&before, 1)).value();
  for (uint64_t lie : {uint64_t{0}, uint64_t{9}, ~uint64_t{0}, uint64_t{1} << 40}) {
    page.slot(0).handed = lie;
    EXPECT_EQ(StatesOf(page)[0].handed, 0u);
  }
}

TEST(TaskPage, KeepsAllStates) {
  std::vector<ReadState> states;
  for (uint64_t i = 0; i < TaskPage::kSlots; ++i) states.push_back({.lane_id = i + 1, .next = i * 100, .deliveries = i % 3});
  TaskPage page = TaskPage::Create(5, 6, states).value();
  TaskPageView view = TaskPageView::Open(testing::Duplicate(page.segment().fd())).value();
  EXPECT_EQ(view.constants().task, 5u);
  EXPECT_EQ(view.constants().run, 6u);
  const auto seen = view.States();
  ASSERT_EQ(seen.size(), states.size());
  for (size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].lane_id, states[i].lane_id);
    EXPECT_EQ(seen[i].next, states[i].next);
    EXPECT_EQ(seen[i].deliveries, states[i].deliveries);
    EXPECT_EQ(view.slot(i).position, states[i].next);
  }
  states.push_back({.lane_id = 1000});
  EXPECT_EQ(TaskPage::Create(5, 6, states).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(TaskPage, OfAnEmptyPageThereIsNothingToResume) {
  TaskPage page = TaskPage::Create(5, 6, {}).value();
  EXPECT_THAT(TaskPageView::Open(testing::Duplicate(page.segment().fd())).value().States(), IsEmpty());
}

TEST(TaskPage, WithMoreSlotsThanMemoryIsRefused) {
  TaskPage page = TaskPage::Create(5, 6, {}).value();
  for (uint32_t slots : {1025u, 200u, ~0u}) {
    page.header().constants.slots = slots;
    EXPECT_EQ(TaskPageView::Open(testing::Duplicate(page.segment().fd())).status().code(), absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace puma
