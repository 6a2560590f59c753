// A publisher that lies: whatever stands in the ring, the reader answers DATA_LOSS or a message within the ring, and touches nothing else.
#include <functional>
#include <random>
#include <vector>

#include "tests/buffer/ring_fixture.h"

namespace puma {
namespace {

using absl::IsDataLoss;
using testing::AlignedMemory;
using testing::Descriptors;
using testing::Fixed;
using testing::TestRing;

TEST(HostileHeader, IsRefusedAtOpen) {
  const std::vector<std::function<void(RingConstants&)>> lies = {
      [](auto& c) { c.magic = 0; },
      [](auto& c) { c.version = kLayoutVersion + 1; },
      [](auto& c) { c.layout = static_cast<RingLayout>(3); },
      [](auto& c) { c.layout = RingLayout::kFixedStride; },
      [](auto& c) { c.lane_id = 0; },
      [](auto& c) { c.capacity = 0; },
      [](auto& c) { c.capacity = c.slots; },
      [](auto& c) { c.capacity = ~uint64_t{0}; },
      [](auto& c) { c.slots = 0; },
      [](auto& c) { c.slots = c.capacity + 1; },
      [](auto& c) { c.slots = uint64_t{1} << 63; },
      [](auto& c) { c.slots *= 2; },
      [](auto& c) { c.stride = 8; },
      [](auto& c) { c.payload_bytes = ~uint64_t{0}; },
      [](auto& c) { c.payload_bytes = ~uint64_t{0} - 63; },
      [](auto& c) { c.payload_bytes += 64; },
      [](auto& c) { c.payload_bytes -= 1; },
      [](auto& c) { c.max_message = c.payload_bytes; },
      [](auto& c) { c.max_message = ~uint64_t{0}; },
      [](auto& c) { c.wake_mode = static_cast<WakeMode>(0); },
      [](auto& c) { c.lossy = 2; },
      [](auto& c) { c.annotated = 1; },
      [](auto& c) { c.annotated = ~0u; },
  };
  for (size_t i = 0; i < lies.size(); ++i) {
    TestRing ring(Descriptors(6, 100, 256));
    lies[i](ring.header().constants);
    EXPECT_TRUE(IsDataLoss(RingReader::Open(ring.memory()).status())) << "lie " << i;
  }
  TestRing fixed(Fixed(7, 24));
  fixed.header().constants.stride = 32;
  EXPECT_TRUE(IsDataLoss(RingReader::Open(fixed.memory()).status()));
  TestRing whole(Descriptors(6, 100, 256));
  EXPECT_TRUE(IsDataLoss(RingReader::Open(whole.memory().first(whole.memory().size() - kLine)).status()));
  EXPECT_TRUE(IsDataLoss(RingReader::Open(whole.memory().first(64)).status()));
}

TEST(HostileHeader, IsCopiedOnceAndNeverReadAgain) {
  TestRing ring(Descriptors(4, 100, 256));
  ASSERT_TRUE(ring.Publish("before").ok());
  memset(&ring.header().constants, 0xff, sizeof(RingConstants));
  EXPECT_EQ(ring.Read(), "before");
  ASSERT_TRUE(ring.Publish("after").ok());
  EXPECT_EQ(ring.Read(), "after");
}

TEST(HostileTail, RunningBackwardsIsDataLoss) {
  TestRing ring(Descriptors(8, 8, 1024));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ring.Publish("x").ok());
  ring.Read();
  ring.header().tail = 2;
  for (int i = 0; i < 3; ++i) ring.Read();  // what was seen as published is still read
  EXPECT_TRUE(IsDataLoss(ring.Look().status()));
}

TEST(HostileTail, FurtherAheadThanTheRingHasSlotsIsDataLoss) {
  for (uint64_t ahead : {uint64_t{9}, uint64_t{1000}, uint64_t{1} << 62}) {
    TestRing ring(Descriptors(7, 8, 1024));
    ring.header().tail = ahead;
    EXPECT_TRUE(IsDataLoss(ring.Look().status())) << ahead;
  }
  TestRing ring(Descriptors(7, 8, 1024));
  ring.header().tail = ~uint64_t{0};  // before the base
  EXPECT_TRUE(IsDataLoss(ring.Look().status()));
}

TEST(HostileDescriptor, IsDataLoss) {
  const std::vector<std::function<void(Descriptor&)>> lies = {
      [](auto& d) { d.kind = MessageKind::kNone; },
      [](auto& d) { d.kind = MessageKind::kComplete; },
      [](auto& d) { d.length = 101; },
      [](auto& d) { d.length = ~0u; },
      [](auto& d) { d.offset = 1; },
      [](auto& d) { d.offset = 8; },
      [](auto& d) { d.offset = 256; },                // 1 byte beyond
      [](auto& d) { d.offset = ~uint64_t{0} - 63; },  // offset + length wraps
      [](auto& d) { d.offset = uint64_t{1} << 63; },
      [](auto& d) { d.offset = 192, d.length = 65; },
  };
  for (size_t i = 0; i < lies.size(); ++i) {
    TestRing ring(Descriptors(6, 100, 256));
    ASSERT_TRUE(ring.Publish("x").ok());
    lies[i](ring.descriptor(0));
    EXPECT_TRUE(IsDataLoss(ring.Look().status())) << "lie " << i;
    std::string out;
    std::optional<RingReader::Gap> gap;
    EXPECT_TRUE(IsDataLoss(ring.reader().CopyOut(ring.next(), out, gap).status())) << "lie " << i;
  }
}

TEST(HostileCompletion, MustAgreeWithTheHeader) {
  TestRing ring(Descriptors(6, 100, 256));
  ASSERT_TRUE(ring.Publish("x").ok());
  ring.header().close_number = 0;
  ring.header().closed = 1;
  EXPECT_TRUE(IsDataLoss(ring.Look().status())) << "closed, but the descriptor is a value's";
  ring.writer().Complete("");
  ring.header().error_length = ~0u;
  EXPECT_LE(ring.reader().ErrorText().size(), kErrorBytes);
}

TEST(HostileReleased, AheadOfTheTailIsDataLoss) {
  TestRing ring(Descriptors(6, 100, 256));
  ASSERT_TRUE(ring.Publish("x").ok());
  ring.header().released = 1000;
  std::string out;
  std::optional<RingReader::Gap> gap;
  EXPECT_TRUE(IsDataLoss(ring.reader().CopyOut(ring.next(), out, gap).status()));
}

// Garbage everywhere, for ever: only the sanitizer and the bounds of the answers judge.
TEST(HostileRing, NoGarbageLeadsOutOfTheRing) {
  std::mt19937_64 random(99);
  for (int round = 0; round < 2000; ++round) {
    RingOptions options = round % 2 ? Descriptors(6, 100, 256) : Fixed(6, 40);
    options.annotated = round % 3 == 0;
    TestRing ring(options);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(ring.Publish("0123456789").ok());
    auto words = std::span(reinterpret_cast<uint64_t*>(ring.memory().data()), ring.memory().size() / 8);
    const int flips = 1 + random() % 8;
    for (int i = 0; i < flips; ++i) {
      uint64_t& word = words[random() % (random() % 2 ? words.size() : sizeof(RingHeader) / 8)];
      word = random() % 2 ? random() : word ^ (uint64_t{1} << (random() % 64));
    }
    RingReader reader = ring.reader();  // opened before the garbage
    if (auto reopened = RingReader::Open(ring.memory()); reopened.ok() && round % 5 == 0) reader = *reopened;
    const std::span<const std::byte> memory = ring.memory();
    std::string out;
    for (uint64_t number = 0, copied = 0; number < 10; ++number, ++copied) {
      if (auto item = reader.Look(number); item.ok() && item->has_value()) {
        const auto bytes = (*item)->bytes;
        if (!bytes.empty()) {
          EXPECT_GE(bytes.data(), memory.data());
          EXPECT_LE(bytes.data() + bytes.size(), memory.data() + memory.size());
        }
      }
      std::optional<RingReader::Gap> gap;
      (void)reader.CopyOut(copied, out, gap);
      (void)reader.ErrorText();
    }
  }
}

}  // namespace
}  // namespace puma
