// One ring, one thread: what fits, what is refused, what the other side sees.
#include <deque>
#include <random>

#include "tests/buffer/ring_fixture.h"
#include "worker/buffer/ring_batch.h"

namespace puma {
namespace {

using testing::Descriptors;
using ::testing::ElementsAre;
using testing::FakePage;
using testing::Fixed;
using testing::TestRing;
using testing::Text;

constexpr uint64_t kBases[] = {0, 1, 1000, (uint64_t{1} << 32) - 16, ~uint64_t{0} - 9};

class RingFromEveryBase : public ::testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Bases, RingFromEveryBase, ::testing::ValuesIn(kBases));

TEST_P(RingFromEveryBase, ReadsWhatWasPublishedInOrder) {
  TestRing ring(Descriptors(8, 100, 1000, GetParam()));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(ring.Publish("message " + std::to_string(i)).ok());
    auto item = ring.Look();
    ASSERT_TRUE(item.ok() && item->has_value());
    EXPECT_EQ((*item)->number, GetParam() + i);
    EXPECT_EQ(ring.Read(), "message " + std::to_string(i));
    EXPECT_FALSE(ring.Look().value().has_value());
  }
}

TEST_P(RingFromEveryBase, HoldsExactlyItsCapacity) {
  for (uint64_t capacity : {1, 2, 3, 7, 8, 63, 64, 100}) {
    TestRing ring(Descriptors(capacity, 8, 64 * 200, GetParam()));
    EXPECT_EQ(ring.Fill(), capacity);
    EXPECT_EQ(ring.Publish("x").code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ring.writer().Waiting(), capacity);
    TestRing fixed(Fixed(capacity, 8, GetParam()));
    EXPECT_EQ(fixed.Fill(), capacity);
  }
}

TEST_P(RingFromEveryBase, TakesExactlyAsManyAsWereRead) {
  TestRing ring(Fixed(10, 8, GetParam()));
  ASSERT_EQ(ring.Fill(), 10u);
  for (uint64_t k : {1, 3, 10, 0, 7, 2, 9}) {
    for (uint64_t i = 0; i < k; ++i) ring.Read();
    EXPECT_EQ(ring.Fill(), k);
  }
}

TEST_P(RingFromEveryBase, CompletionAlwaysFits) {
  for (uint64_t capacity : {1, 3, 7, 8}) {
    for (const RingOptions& options : {Descriptors(capacity, 8, 64 * 20, GetParam()), Fixed(capacity, 8, GetParam())}) {
      TestRing ring(options);
      ASSERT_EQ(ring.Fill(8), capacity);
      ring.writer().Complete("the camera is gone");
      ring.writer().Complete("a second time");
      for (uint64_t i = 0; i < capacity; ++i) EXPECT_EQ(ring.Read(), std::string(8, static_cast<char>('a' + i)));
      auto item = ring.Look();
      ASSERT_TRUE(item.ok() && item->has_value()) << item.status();
      EXPECT_EQ((*item)->kind, MessageKind::kComplete);
      EXPECT_EQ(ring.reader().ErrorText(), "the camera is gone");
      ++ring.next();
      EXPECT_FALSE(ring.Look().value().has_value());
      EXPECT_EQ(ring.Publish("x").code(), absl::StatusCode::kFailedPrecondition);
    }
  }
}

TEST(Ring, ValueWithTheLastNumberOfAllIsNoCompletion) {
  TestRing ring(Fixed(4, 8, ~uint64_t{0}));  // its number is what close_number starts with
  ASSERT_TRUE(ring.Publish("12345678").ok());
  EXPECT_EQ(ring.Look().value()->kind, MessageKind::kValue);
}

TEST(Ring, CutsTheErrorTextOfACompletion) {
  TestRing ring(Descriptors(2, 8, 256));
  ring.writer().Complete(std::string(kErrorBytes + 100, 'e'));
  ASSERT_TRUE(ring.Look().value().has_value());
  EXPECT_EQ(ring.reader().ErrorText(), std::string(kErrorBytes, 'e'));
}

TEST(Ring, ErrorTextOfACleanCompletionIsEmpty) {
  TestRing ring(Descriptors(2, 8, 256));
  ring.writer().Complete("");
  EXPECT_EQ(ring.Look().value()->kind, MessageKind::kComplete);
  EXPECT_EQ(ring.reader().ErrorText(), "");
}

TEST(Ring, CarriesKindFlagsAndAnnotation) {
  RingOptions options = Descriptors(4, 16, 256);
  options.annotated = true;
  TestRing ring(options);
  auto room = ring.writer().TryReserve(16);
  ASSERT_TRUE(room.ok());
  memcpy(room->data(), "half", 4);
  const Annotation annotation{.published_ns = 5, .cause_lane = 6, .cause_number = 7, .cause_epoch = 8};
  ring.writer().Commit(4, static_cast<MessageKind>(77), kFlagRedelivered, &annotation);
  const auto item = ring.Look().value();
  EXPECT_EQ(static_cast<int>(item->kind), 77);
  EXPECT_EQ(item->flags, kFlagRedelivered);
  EXPECT_EQ(Text(*item), "half");
  EXPECT_EQ(item->annotation->published_ns, 5);
  EXPECT_EQ(item->annotation->cause_lane, 6u);
  EXPECT_EQ(item->annotation->cause_number, 7u);
  EXPECT_EQ(item->annotation->cause_epoch, 8u);
  ASSERT_TRUE(ring.Publish("next").ok());
  ++ring.next();
  EXPECT_EQ(ring.Look().value()->annotation->published_ns, 0) << "an annotation of an earlier message shows through";
}

TEST(Ring, EmptyMessagesAreMessages) {
  TestRing ring(Descriptors(5, 0, 0));
  // The payload ring has the least size there is, and each message takes a piece of it.
  ASSERT_TRUE(ring.Publish("").ok());
  EXPECT_EQ(ring.Read(), "");
  ASSERT_TRUE(ring.Publish("").ok());
  EXPECT_EQ(ring.Read(), "");
}

TEST(Ring, LargestMessageFitsFromEveryOffset) {
  for (size_t lead = 0; lead < 20; ++lead) {
    TestRing ring(Descriptors(64, 500, 1000));
    for (size_t i = 0; i < lead; ++i) {
      ASSERT_TRUE(ring.Publish("small").ok());
      ring.Read();
      ASSERT_TRUE(ring.Publish("small").ok());  // one stays in the ring, so that it does not begin at the front again
      ring.Read();
    }
    ASSERT_TRUE(ring.Publish(std::string(500, 'L')).ok()) << lead;
    EXPECT_EQ(ring.Read(), std::string(500, 'L'));
  }
}

TEST(Ring, RefusesWhatIsTooLargeAndTakesTheNext) {
  TestRing ring(Descriptors(4, 100, 256));
  EXPECT_EQ(ring.Publish(std::string(101, 'x')).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ring.Publish(std::string(100, 'x')).ok());
}

TEST_P(RingFromEveryBase, StagedMessagesAreSeenTogether) {
  for (const RingOptions& options : {Descriptors(8, 8, 64 * 20, GetParam()), Fixed(8, 8, GetParam())}) {
    TestRing ring(options);
    const auto stage = [&] {
      ASSERT_TRUE(ring.writer().TryReserve(8).ok());
      ring.writer().Stage(8);
    };
    for (int i = 0; i < 3; ++i) stage();
    EXPECT_FALSE(ring.Look().value().has_value());
    ring.writer().Flush();
    for (int i = 0; i < 3; ++i) ring.Read();
    for (int i = 0; i < 8; ++i) stage();
    EXPECT_FALSE(ring.writer().HasRoom(8));
    for (int i = 0; i < 8; ++i) ring.Read();  // who waits for room shows what there is
    stage();
    ring.writer().Complete("");
    EXPECT_EQ(ring.Look().value()->kind, MessageKind::kValue);
    ring.Read();
    EXPECT_EQ(ring.Look().value()->kind, MessageKind::kComplete);
  }
}

TEST_P(RingFromEveryBase, ABatchIsSeenAtItsEnd) {
  for (const RingOptions& options : {Descriptors(8, 8, 64 * 20, GetParam()), Fixed(8, 8, GetParam())}) {
    TestRing ring(options);
    char next = 'a';
    const auto add = [&](RingBatch& batch) {
      std::byte* const room = batch.ReserveOrNull(8);
      if (room == nullptr) return false;
      memset(room, next++, 8);
      batch.Add(8);
      return true;
    };
    for (int round = 0; round < 20; ++round) {
      const char first = next = 'a';
      {
        RingBatch batch(ring.writer());
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(add(batch));
        EXPECT_TRUE(round != 0 || !ring.Look().value().has_value());  // later it has to look for room, and shows what there is
      }
      for (char c = first; c < first + 5; ++c) EXPECT_EQ(ring.Read(), std::string(8, c));
      EXPECT_FALSE(ring.Look().value().has_value());
    }
    RingBatch batch(ring.writer());
    next = 'a';
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(add(batch));
    EXPECT_FALSE(add(batch)) << "full";
    EXPECT_EQ(ring.Read(), std::string(8, 'a')) << "who finds no room shows what there is";
    EXPECT_TRUE(add(batch));
    EXPECT_EQ(batch.ReserveOrNull(9), nullptr) << "more than max_message";
  }
}

TEST(Ring, ABatchKeepsWhatEachMessageIs) {
  RingOptions options = Descriptors(8, 100, 1024);
  options.annotated = true;
  TestRing ring(options);
  ASSERT_TRUE(ring.Publish("before").ok());
  {
    RingBatch batch(ring.writer());
    memcpy(batch.ReserveOrNull(100), "cut", 3);
    const Annotation annotation{.published_ns = 4, .cause_lane = 5, .cause_number = 6, .cause_epoch = 7, .flags = 0};
    batch.Add(3, static_cast<MessageKind>(9), kFlagRedelivered, &annotation);
    memcpy(batch.ReserveOrNull(4), "next", 4);
    batch.Add(200);
    ASSERT_NE(batch.ReserveOrNull(50), nullptr);  // given up
  }
  ASSERT_TRUE(ring.Publish("after").ok());
  EXPECT_EQ(ring.Read(), "before");
  const RingItem item = ring.Look().value().value();
  EXPECT_EQ(static_cast<int>(item.kind), 9);
  EXPECT_EQ(item.flags, kFlagRedelivered);
  EXPECT_EQ(item.annotation->cause_number, 6u);
  for (const char* text : {"cut", "next", "after"}) EXPECT_EQ(ring.Read(), text);
}

TEST(Ring, AskingForRoomLeavesWhatIsReservedWhereItIs) {
  TestRing ring(Descriptors(8, 256, 512));
  ASSERT_TRUE(ring.Publish(std::string(256, 'a')).ok());
  auto room = ring.writer().TryReserve(100);
  ASSERT_TRUE(room.ok());
  ring.Read();
  EXPECT_TRUE(ring.writer().HasRoom(256));  // everything is free: it would go to the front
  memcpy(room->data(), "still here", 10);
  ring.writer().Commit(10);
  EXPECT_EQ(ring.Read(), "still here");
}

TEST(Ring, ASecondReserveGivesTheFirstUp) {
  TestRing ring(Descriptors(4, 100, 256));
  ASSERT_TRUE(ring.writer().TryReserve(100).ok());
  ASSERT_TRUE(ring.Publish("only one").ok());
  ring.writer().Commit(5);  // nothing is reserved
  EXPECT_EQ(ring.Read(), "only one");
  EXPECT_FALSE(ring.Look().value().has_value());
}

// Random sizes through a small payload ring against a queue that knows what must come.
TEST(Ring, KeepsEveryByteWhileThePayloadRingWraps) {
  std::mt19937 random(4711);
  for (int round = 0; round < 30; ++round) {
    TestRing ring(Descriptors(1 + random() % 20, 300, 600 + random() % 3000, kBases[round % std::size(kBases)]));
    std::deque<std::string> expected;
    for (int step = 0; step < 3000; ++step) {
      if (random() % 2 == 0) {
        const std::string text(random() % 301, static_cast<char>('a' + random() % 26));
        if (ring.Publish(text).ok()) expected.push_back(text);
      } else if (!expected.empty()) {
        ASSERT_EQ(ring.Read(), expected.front());
        expected.pop_front();
      } else {
        ASSERT_FALSE(ring.Look().value().has_value());
      }
    }
  }
}

TEST(Ring, RefusesOptionsThatContradictEachOther) {
  RingOptions too_small = Descriptors(4, 100, 199);
  EXPECT_EQ(RingWriter::BytesNeeded(too_small).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(RingWriter::BytesNeeded(Descriptors(0, 1, 128)).ok());
  EXPECT_FALSE(RingWriter::BytesNeeded(Descriptors((1 << 20) + 1, 1, 128)).ok());
  EXPECT_FALSE(RingWriter::BytesNeeded(Fixed(4, 0)).ok());
  EXPECT_FALSE(RingWriter::BytesNeeded(Fixed(1 << 20, uint64_t{1} << 40)).ok());
  RingOptions no_id = Fixed(4, 8);
  no_id.lane_id = 0;
  EXPECT_FALSE(RingWriter::BytesNeeded(no_id).ok());
  EXPECT_TRUE(RingWriter::BytesNeeded(Descriptors(1 << 20, 1, 128)).ok());
}

// ---- gates -----------------------------------------------------------------------------------------------------------------------------

TEST_P(RingFromEveryBase, TheSlowestGateCounts) {
  const uint64_t base = GetParam();
  TestRing ring(Fixed(8, 8, base));
  FakePage fast, slow;
  for (FakePage* page : {&fast, &slow}) {
    page->position = base;
    page->tag = 1;
  }
  ring.writer().SetGate(fast.ToGate(2, base));
  ring.writer().SetGate(slow.ToGate(3, base));
  ASSERT_EQ(ring.Fill(), 8u);
  for (int i = 0; i < 8; ++i) ring.Read();
  fast.position = base + 6;
  EXPECT_EQ(ring.Fill(), 0u);
  slow.position = base + 2;
  EXPECT_EQ(ring.Fill(), 2u);
  ring.writer().RemoveGate(3);
  EXPECT_EQ(ring.Fill(), 4u);
}

TEST(Gates, WithoutAPositionTheFloorGates) {
  TestRing ring(Fixed(4, 8, 100), false);
  EXPECT_EQ(ring.writer().SetGate({.subscription = 1, .floor = 100}), 100u);
  EXPECT_EQ(ring.Fill(), 4u);
  ring.writer().RemoveGate(1);
  EXPECT_TRUE(ring.Publish("12345678").ok());
}

TEST(Gates, APositionCountsOnceItsSlotCarriesTheTag) {
  TestRing ring(Fixed(4, 8), false);
  FakePage page;
  ring.writer().SetGate(page.ToGate(1));
  ASSERT_EQ(ring.Fill(), 4u);
  page.position = 3;
  EXPECT_EQ(ring.Fill(), 0u);
  page.tag = 99;
  EXPECT_EQ(ring.Fill(), 0u);
  page.tag = 1;
  EXPECT_EQ(ring.Fill(), 3u);
  page.tag = 0;  // left: what was reached stays
  page.position = 7;
  EXPECT_EQ(ring.Fill(), 0u);
}

TEST_P(RingFromEveryBase, HostilePositionsAreNotBelieved) {
  const uint64_t base = GetParam();
  TestRing ring(Fixed(4, 8, base));
  ASSERT_EQ(ring.Fill(), 4u);
  for (uint64_t lie : {base + 5, base + 1000, base - 1, base + (uint64_t{1} << 63), ~base}) {
    if (lie - base <= 4) continue;
    ring.page().position = lie;
    EXPECT_EQ(ring.Fill(), 0u) << lie;
  }
  ring.page().position = base + 2;
  EXPECT_EQ(ring.Fill(), 2u);
  ring.page().position = base;  // back again: what was reached counts
  EXPECT_EQ(ring.Fill(), 0u);
  EXPECT_EQ(ring.writer().Waiting(), 4u);
}

TEST(Gates, ALateGateIsGrantedWhatIsStillThere) {
  TestRing ring(Fixed(4, 8, 10));
  ASSERT_EQ(ring.Fill(), 4u);
  for (int i = 0; i < 3; ++i) ring.Read();
  ASSERT_EQ(ring.Fill(), 3u);  // 10, 11 and 12 are overwritten
  FakePage late;
  EXPECT_EQ(ring.writer().SetGate(late.ToGate(2, 10)), 13u);
  for (int i = 0; i < 4; ++i) ring.Read();
  EXPECT_EQ(ring.Fill(), 0u) << "the floor of the late gate counts until it is there";
  EXPECT_EQ(ring.writer().SetGate(late.ToGate(3, 17)), 17u);  // from now on
  EXPECT_EQ(ring.writer().SetGate(late.ToGate(4, 18)), 13u);  // there is no such message: the safe end
}

TEST(Gates, AReplacedGateGoesOnWhereTheOldOneStood) {
  TestRing ring(Fixed(4, 8));
  ASSERT_EQ(ring.Fill(), 4u);
  ring.page().position = 2;  // the publisher has not looked since
  FakePage reborn;
  reborn.position = 3;
  EXPECT_EQ(ring.writer().SetGate(reborn.ToGate(TestRing::kReader, 0)), 2u);
  EXPECT_EQ(ring.Fill(), 2u);
  ring.page().position = 4;  // the old page is nobody's
  EXPECT_EQ(ring.Fill(), 0u);
  reborn.tag = 1;
  EXPECT_EQ(ring.Fill(), 1u);
}

TEST(Gates, ADownGateStillGates) {
  TestRing ring(Fixed(4, 8));
  EXPECT_TRUE(ring.writer().AllGatesLiving());
  ring.writer().MarkDown(TestRing::kReader);
  EXPECT_FALSE(ring.writer().AllGatesLiving());
  EXPECT_EQ(ring.Fill(), 4u);
  FakePage reborn;
  ring.writer().SetGate(reborn.ToGate(TestRing::kReader));
  EXPECT_TRUE(ring.writer().AllGatesLiving());
}

// ---- resuming --------------------------------------------------------------------------------------------------------------------------

TEST_P(RingFromEveryBase, ASuccessorGoesOnWhereTheWriterStopped) {
  const uint64_t base = GetParam();
  for (const RingOptions& options : {Descriptors(5, 100, 600, base), Fixed(5, 100, base)}) {
    for (int published = 0; published < 12; ++published) {
      TestRing ring(options);
      const auto text = [](int i) { return std::string(100, static_cast<char>('a' + i)); };
      int read = 0;
      for (int i = 0; i < published; ++i) {
        if (i - read == 4) {
          EXPECT_EQ(ring.Read(), text(read++));
        }
        ASSERT_TRUE(ring.Publish(text(i)).ok());
      }
      auto successor = RingWriter::Resume(ring.memory());
      ASSERT_TRUE(successor.ok()) << successor.status();
      (*successor)->SetGate(ring.page().ToGate(TestRing::kReader, base));
      int more = 0;
      while (true) {
        auto room = (*successor)->TryReserve(100);
        if (!room.ok()) break;
        memset(room->data(), 'a' + published + more++, 100);
        (*successor)->Commit(100);
      }
      EXPECT_EQ(published - read + more, 5);
      while (read < published + more) EXPECT_EQ(ring.Read(), text(read++));
    }
  }
}

// ---- arrays and runs
// ---------------------------------------------------------------------------------------------------------------------

class ArrayTest : public ::testing::TestWithParam<std::tuple<RingLayout, size_t, uint64_t>> {
 protected:
  RingOptions Options(uint64_t capacity) const {
    const auto [layout, each, base] = GetParam();
    if (layout == RingLayout::kFixedStride) return Fixed(capacity, each, base);
    return Descriptors(capacity, each, capacity * ((each + 63) / 64 * 64), base);
  }
};

TEST_P(ArrayTest, WhatIsPublishedTogetherIsReadInRunsAndOneByOne) {
  const size_t each = std::get<1>(GetParam());
  const RingOptions options = Options(10);
  TestRing ring(options);
  uint64_t next = options.base, read = options.base;
  for (int round = 0; round < 200; ++round) {
    const size_t count = 1 + static_cast<size_t>(round) % 12;
    std::string messages(count * each, '\0');
    for (size_t i = 0; i < count; ++i) memset(messages.data() + i * each, 'a' + static_cast<char>((next + i) % 26), each);
    const size_t room = options.capacity - (next - read);
    const size_t published = ring.writer().PublishMany(std::as_bytes(std::span(messages)), each);
    EXPECT_LE(published, std::min(count, room));
    EXPECT_TRUE(published == std::min(count, room) || std::get<0>(GetParam()) == RingLayout::kDescriptors)
        << "an end of the payload may be too short";
    next += published;
    while (read != next) {
      const RingRun run = ring.reader().LookRun(read, 1 + static_cast<size_t>(round) % 5);
      ASSERT_GE(run.count, 1u);
      ASSERT_LE(run.count, next - read);
      ASSERT_EQ(run.each, each);
      for (size_t i = 0; i < run.count * each; ++i)
        ASSERT_EQ(static_cast<char>(run.data[i]), 'a' + static_cast<char>((read + i / each) % 26)) << "round " << round;
      read += run.count;
      if (round % 3 != 0) break;  // leave some
    }
    ring.page().position.store(read, std::memory_order_release);
  }
}

TEST_P(ArrayTest, RunsEndBeforeTheCompletionAndNothingIsPublishedBehindIt) {
  const size_t each = std::get<1>(GetParam());
  TestRing ring(Options(10));
  const std::string messages(3 * each, 'x');
  ASSERT_EQ(ring.writer().PublishMany(std::as_bytes(std::span(messages)), each), 3u);
  ring.writer().Complete("");
  EXPECT_EQ(ring.writer().PublishMany(std::as_bytes(std::span(messages)), each), 0u);
  size_t found = 0;
  for (uint64_t number = std::get<2>(GetParam()); found < 3;) {
    const RingRun run = ring.reader().LookRun(number, 100);
    ASSERT_GE(run.count, 1u);
    number += run.count;
    found += run.count;
  }
  EXPECT_EQ(found, 3u);
  EXPECT_EQ(ring.reader().LookRun(std::get<2>(GetParam()) + 3, 100).count, 0u);
}

INSTANTIATE_TEST_SUITE_P(In, ArrayTest,
                         ::testing::Combine(::testing::Values(RingLayout::kFixedStride, RingLayout::kDescriptors),
                                            ::testing::Values(64, 24, 128), ::testing::Values(uint64_t{0}, ~uint64_t{0} - 9)));

TEST(Resume, ACompletedRingStaysCompleted) {
  TestRing ring(Descriptors(2, 8, 256));
  ASSERT_TRUE(ring.Publish("a").ok());
  ring.writer().Complete("why");
  auto successor = RingWriter::Resume(ring.memory());
  ASSERT_TRUE(successor.ok());
  EXPECT_EQ((*successor)->TryReserve(1).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Resume, ACompletionThatWasNotPublishedDidNotHappen) {
  TestRing ring(Descriptors(2, 8, 256));
  ASSERT_TRUE(ring.Publish("a").ok());
  ring.header().close_number = 1;  // died in Complete, before P2
  ring.header().closed = 1;
  auto successor = RingWriter::Resume(ring.memory());
  ASSERT_TRUE(successor.ok());
  ASSERT_TRUE((*successor)->TryReserve(1).ok());
  (*successor)->Commit(1);
  ring.Read();
  EXPECT_EQ(ring.Look().value()->kind, MessageKind::kValue);
}

TEST(Resume, RefusesAHeaderThatContradictsItself) {
  {
    TestRing ring(Descriptors(2, 8, 256));
    ring.header().tail = 100;
    EXPECT_EQ(RingWriter::Resume(ring.memory()).status().code(), absl::StatusCode::kDataLoss);
  }
  TestRing ring(Descriptors(2, 8, 256));
  ASSERT_TRUE(ring.Publish("a").ok());
  ring.descriptor(0).offset = 256;
  EXPECT_EQ(RingWriter::Resume(ring.memory()).status().code(), absl::StatusCode::kDataLoss);
}

// The next writer's own descriptors may be changed by whoever can map the segment writable (H): it must stay within its memory.
TEST(Resume, GarbageInItsOwnDescriptorsMovesNoWriteOutOfTheRing) {
  std::mt19937_64 random(12);
  for (int round = 0; round < 200; ++round) {
    TestRing ring(Descriptors(6, 100, 400));
    for (int i = 0; i < 200; ++i) {
      ring.descriptor(random()).offset = random() % 3 == 0 ? random() : random() % 16 * 64;
      (void)ring.Publish(std::string(random() % 101, 'x'));  // AddressSanitizer watches
      const uint64_t tail = ring.writer().tail();
      if (random() % 2 == 0 && ring.page().position < tail) ring.page().position += 1;
    }
  }
}

}  // namespace
}  // namespace puma
