// Readers that never gate: they copy, and are told exactly what they missed.
#include <atomic>
#include <thread>

#include "tests/buffer/ring_fixture.h"

namespace puma {
namespace {

using testing::Descriptors;
using testing::FakePage;
using testing::Fixed;
using testing::TestRing;

struct LossyReader {
  RingReader& reader;
  uint64_t next;
  std::string out;
  std::optional<RingReader::Gap> gap;
  // The number of the next message, after the gap if there is one.
  std::optional<uint64_t> Read() {
    auto item = reader.CopyOut(next, out, gap);
    EXPECT_TRUE(item.ok()) << item.status();
    if (!item.ok() || !item->has_value()) return std::nullopt;
    EXPECT_EQ((*item)->number, next);
    return next++;
  }
};

RingOptions Lossy(RingOptions options) {
  options.lossy = true;
  return options;
}

class LossyRing : public ::testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Bases, LossyRing, ::testing::Values(0, 5, (uint64_t{1} << 32) - 16, ~uint64_t{0} - 9));

TEST_P(LossyRing, OverwritesItsOldestAndKeepsItsCapacity) {
  const uint64_t base = GetParam();
  for (const RingOptions& options : {Fixed(5, 8, base), Descriptors(5, 8, 64 * 20, base)}) {
    for (uint64_t published = 1; published < 30; ++published) {
      TestRing ring(Lossy(options), false);
      for (uint64_t i = 0; i < published; ++i) ASSERT_TRUE(ring.Publish("12345678").ok());
      LossyReader reader{ring.reader(), base};
      const uint64_t lost = published <= 5 ? 0 : published - 5;
      EXPECT_EQ(reader.Read(), base + lost);
      EXPECT_EQ(reader.gap.has_value(), lost > 0);
      if (reader.gap) {
        EXPECT_EQ(reader.gap->first, base);
        EXPECT_EQ(reader.gap->last, base + lost - 1);
      }
      for (uint64_t n = lost + 1; n < published; ++n) {
        EXPECT_EQ(reader.Read(), base + n);
        EXPECT_FALSE(reader.gap.has_value());
      }
      EXPECT_EQ(reader.Read(), std::nullopt);
    }
  }
}

TEST(LossyReader, CopiesAMessagesBeginningAndSaysHowLongItIs) {
  TestRing ring(Descriptors(4, 64, 1024));
  ASSERT_TRUE(ring.Publish("0123456789abcdef").ok());
  for (const size_t at_most : {size_t{0}, size_t{3}, size_t{8}, size_t{16}, size_t{64}}) {
    uint64_t next = 0;
    std::string out = "left over";
    std::optional<RingReader::Gap> gap;
    size_t whole = 0;
    const auto item = ring.reader().CopyOut(next, out, gap, at_most, whole);
    ASSERT_TRUE(item.ok() && item->has_value());
    EXPECT_EQ(out, std::string("0123456789abcdef").substr(0, at_most));
    EXPECT_EQ((*item)->bytes.size(), out.size());
    EXPECT_EQ(whole, 16u);
  }
}

TEST(LossyReader, OfAReliableRingMissesWhatTheGatesHaveReleased) {
  TestRing ring(Fixed(4, 8));
  ASSERT_EQ(ring.Fill(8), 4u);
  LossyReader tap{ring.reader(), 0};
  EXPECT_EQ(tap.Read(), 0u);
  for (int i = 0; i < 3; ++i) ring.Read();
  ASSERT_EQ(ring.Fill(8), 3u);  // 0, 1 and 2 are released
  EXPECT_EQ(tap.Read(), 3u);
  ASSERT_TRUE(tap.gap.has_value());
  EXPECT_EQ(tap.gap->first, 1u);
  EXPECT_EQ(tap.gap->last, 2u);
}

TEST(LossyReader, SeesTheCompletion) {
  TestRing ring(Lossy(Descriptors(2, 8, 256)), false);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ring.Publish("x").ok());
  ring.writer().Complete("over");
  uint64_t next = 0;
  std::string out;
  std::optional<RingReader::Gap> gap;
  MessageKind last = MessageKind::kNone;
  while (true) {
    auto item = ring.reader().CopyOut(next, out, gap);
    ASSERT_TRUE(item.ok());
    if (!item->has_value()) break;
    last = (*item)->kind;
    ++next;
  }
  EXPECT_EQ(last, MessageKind::kComplete);
  EXPECT_EQ(ring.reader().ErrorText(), "over");
}

TEST(LossyRing, NeverWaitsForAGate) {
  TestRing ring(Lossy(Fixed(4, 8)), false);
  FakePage page;
  page.tag = 1;
  ring.writer().SetGate(page.ToGate(1));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(ring.Publish("x").ok());
}

// Writes words as a lossy ring's publisher must, for the copies to be no data race.
void FillWords(std::span<std::byte> room, uint64_t value) {
  auto* words = reinterpret_cast<uint64_t*>(room.data());
  for (size_t i = 0; i < room.size() / 8; ++i) std::atomic_ref<uint64_t>(words[i]).store(value, std::memory_order_relaxed);
}

// A publisher that overtakes its reader all the time: no torn message is ever shown, and messages and gaps add up without a hole.
TEST(LossyRing, UnderAFastPublisherEveryNumberIsReadOrInAGap) {
  for (const RingOptions& options : {Fixed(4, 256, ~uint64_t{0} - 1000), Descriptors(4, 256, 1024)}) {
    TestRing ring(Lossy(options), false);
    constexpr uint64_t kMessages = 200'000;
    std::jthread publisher([&] {
      for (uint64_t i = 0; i < kMessages; ++i) {
        auto room = ring.writer().TryReserve(256);
        if (!room.ok()) return;
        FillWords(*room, options.base + i);
        ring.writer().Commit(256);
      }
      ring.writer().Complete("");
    });
    uint64_t next = options.base, expected = options.base, read = 0, lost = 0;
    std::string out;
    while (true) {
      std::optional<RingReader::Gap> gap;
      auto item = ring.reader().CopyOut(next, out, gap);
      ASSERT_TRUE(item.ok()) << item.status();
      if (gap) {
        ASSERT_EQ(gap->first, expected);
        lost += gap->last - gap->first + 1;
        expected = gap->last + 1;
      }
      ASSERT_EQ(next, expected);
      if (!item->has_value()) continue;
      if ((*item)->kind == MessageKind::kComplete) break;
      uint64_t words[32];
      ASSERT_EQ(out.size(), sizeof words);
      memcpy(words, out.data(), sizeof words);
      for (uint64_t word : words) ASSERT_EQ(word, next) << "a torn copy";
      expected = ++next;
      ++read;
    }
    EXPECT_EQ(read + lost, kMessages);
  }
}

}  // namespace
}  // namespace puma
