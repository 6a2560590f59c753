// A publisher's epochs as an input reads them: what happens between a look that finds nothing and the news of the end.
#include <gmock/gmock.h>
#include <puma/log.h>

#include "tests/buffer/lane_fixture.h"
#include "worker/runnable/input_port.h"

namespace puma {
namespace {

constexpr uint64_t kPublisher = 7;

class Epochs : public ::testing::Test {
 protected:
  Epochs() : page_(TaskPage::Create(1, 1, {}).value()), input_(Declaration()) {
    input_.Connect({.buffer = "numbers", .publishers = {kPublisher, kPublisher + 1}});
  }
  static internal::InputDeclaration Declaration() {
    internal::InputDeclaration declaration;
    declaration.name = "in";
    declaration.type = TypeInfo::Of<uint64_t>();
    return declaration;
  }
  static testing::Lane MakeLane(uint64_t id, uint32_t epoch) {
    return testing::Lane(
        {.layout = RingLayout::kFixedStride, .lane_id = id, .epoch = epoch, .capacity = 4, .stride = 8, .annotated = true});
  }
  static void Publish(testing::Lane& lane, uint64_t value) {
    auto room = lane.writer->TryReserve(8);
    ASSERT_TRUE(room.ok()) << room.status();
    memcpy(room->data(), &value, 8);
    lane.writer->Commit(8);
  }
  void Attach(testing::Lane& lane, uint32_t slot, uint64_t publisher = kPublisher) {
    internal::LaneAttachment attachment;
    attachment.port = "in";
    attachment.fd = lane.Fd();
    attachment.lane = lane.writer->constants().lane_id;
    attachment.publisher = publisher;
    attachment.epoch = lane.writer->constants().epoch;
    attachment.page_slot = slot;
    ASSERT_TRUE(input_.Attach(std::move(attachment), page_.slot(slot)).ok());
  }
  std::optional<uint64_t> Take() {
    auto received = input_.Next(log());
    if (!received) return std::nullopt;
    uint64_t value;
    memcpy(&value, received->bytes.data(), 8);
    input_.Begin();
    input_.Finish();
    return value;
  }

  TaskPage page_;
  internal::InputPort input_;
};

TEST_F(Epochs, WhatWasPublishedBetweenTheLookAndTheNewsOfTheEndIsRead) {
  testing::Lane old = MakeLane(1, 1), next = MakeLane(2, 2);
  Attach(old, 0);
  Publish(old, 10);
  EXPECT_EQ(Take(), 10u);
  EXPECT_EQ(Take(), std::nullopt);  // the first look
  Publish(old, 11);                 // and dies
  Publish(next, 20);
  Attach(next, 1);  // the news
  EXPECT_EQ(Take(), 11u);
  EXPECT_EQ(Take(), 20u);
  EXPECT_EQ(Take(), std::nullopt);
}

TEST_F(Epochs, ThatWereNeverLookedAtAreReadInTheirOrder) {
  testing::Lane first = MakeLane(1, 1), second = MakeLane(2, 2), third = MakeLane(3, 3);
  Publish(first, 10);
  Publish(second, 20);
  Publish(third, 30);
  Attach(third, 2);
  Attach(first, 0);
  Attach(second, 1);
  for (uint64_t value : {10, 20, 30}) EXPECT_EQ(Take(), value);
}

// The host gives the slot of a drained lane to another one, and the mail is read within a batch (a handler may poll for commands): the
// position of the old lane, not yet stored, must not end up as the new lane's.
TEST_F(Epochs, ASlotGivenToAnotherLaneNeverGetsTheOldOnesPosition) {
  testing::Lane drained = MakeLane(1, 1), other = MakeLane(2, 1);
  Attach(drained, 0);
  Publish(drained, 10);
  Publish(drained, 11);
  EXPECT_EQ(Take(), 10u);
  EXPECT_EQ(Take(), 11u);  // `next` says that it is drained; `position` does not yet
  for (uint64_t value : {20, 21, 22}) Publish(other, value);
  other.writer->SetGate(testing::GateOf(1, page_.header(), page_.slot(0), 0));
  Attach(other, 0, kPublisher + 1);
  input_.StorePositions();
  EXPECT_EQ(other.writer->Waiting(), 3u) << "nothing of it has been read";
}

}  // namespace
}  // namespace puma
