#include "worker/control/log_ring.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace puma::control {
namespace {

constexpr char kTexts[] = "many addresses, each of which could be a constant of a call site; what stands there does not matter at all";
CallSite Site(uint32_t line, uint32_t at = 0) { return {kTexts, kTexts + at % sizeof(kTexts), kTexts, line, 0}; }

TEST(KnownSitesTest, FindsWhatWasAddedAndNothingElse) {
  auto known = std::make_unique<KnownSites>();
  EXPECT_EQ(known->Find(Site(1)), 0u);
  known->Add(Site(1), 7);
  EXPECT_EQ(known->Find(Site(1)), 7u);
  EXPECT_EQ(known->Find(Site(2)), 0u);
  EXPECT_EQ(known->Find(Site(1, 1)), 0u);
  CallSite of_another_task = Site(1);
  of_another_task.slot_plus_one = 1;
  EXPECT_EQ(known->Find(of_another_task), 0u);
  known->Add(Site(3), 0);  // no source: nothing to know
  EXPECT_EQ(known->Find(Site(3)), 0u);
}

TEST(KnownSitesTest, MoreSitesThanPlacesAreForgottenNotMixedUp) {
  auto known = std::make_unique<KnownSites>();
  constexpr uint32_t kSites = 5000;
  for (uint32_t i = 1; i <= kSites; ++i) known->Add(Site(i, i), i);
  uint32_t found = 0;
  for (uint32_t i = 1; i <= kSites; ++i) {
    const uint32_t source = known->Find(Site(i, i));
    ASSERT_TRUE(source == 0 || source == i) << i << " is " << source;
    found += source != 0;
  }
  EXPECT_GT(found, 500u);
}

TEST(KnownSitesTest, ManyThreadsAddAndFind) {
  auto known = std::make_unique<KnownSites>();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&known] {
      for (uint32_t n = 0; n < 20'000; ++n) {
        const uint32_t i = n % 300 + 1;
        const uint32_t source = known->Find(Site(i, i));
        ASSERT_TRUE(source == 0 || source == i) << i << " is " << source;
        if (source == 0) known->Add(Site(i, i), i);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (uint32_t i = 1; i <= 300; ++i) EXPECT_EQ(known->Find(Site(i, i)), i);
}

TEST(StringArenaTest, ATextStandsThereOnceAndNothingMoves) {
  std::vector<std::byte> memory(16);
  StringArena arena(memory.data(), 16);
  uint32_t first, again, second, none;
  ASSERT_TRUE(arena.Intern("twelve bytes", first));
  ASSERT_TRUE(arena.Intern("twelve bytes", again));
  EXPECT_EQ(first, again);
  EXPECT_FALSE(arena.Intern("five!", none));
  ASSERT_TRUE(arena.Intern("four", second));
  EXPECT_EQ(arena.View(first, 12), "twelve bytes");
  EXPECT_EQ(arena.View(second, 4), "four");
  EXPECT_TRUE(arena.Intern("", none));
}

TEST(LogRingTest, DropsTheNewestAndCountsByLevel) {
  RingOptions options;
  options.capacity = 2;
  options.max_message = sizeof(LogEntry) + kLogRecordBytes;
  options.payload_bytes = 256 << 10;
  const size_t bytes = RingWriter::BytesNeeded(options).value();
  std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(std::aligned_alloc(kLine, (bytes + kLine - 1) / kLine * kLine)), std::free);
  std::memset(memory.get(), 0, bytes);
  Word64 position{0}, dropped[6] = {};
  auto ring = LogRing::Create({memory.get(), bytes}, options, &position, dropped);
  ASSERT_TRUE(ring.ok()) << ring.status();
  LogEntry entry{};
  entry.level = 3;
  EXPECT_TRUE((*ring)->Send(entry, "first"));
  EXPECT_TRUE((*ring)->Send(entry, "second"));
  EXPECT_FALSE((*ring)->Send(entry, "no room"));
  entry.level = 77;  // counts as the highest
  EXPECT_FALSE((*ring)->Send(entry, "no room"));
  EXPECT_EQ(dropped[3].load(), 1u);
  EXPECT_EQ(dropped[5].load(), 1u);
  position.store(1);
  EXPECT_TRUE((*ring)->Send(entry, "third"));
  auto reader = RingReader::Open({memory.get(), bytes});
  ASSERT_TRUE(reader.ok());
  auto third = reader->Look(2);
  ASSERT_TRUE(third.ok() && third->has_value());
  LogEntry read;
  std::memcpy(&read, (*third)->bytes.data(), sizeof(read));
  EXPECT_EQ(read.dropped_before, 2u);
}

}  // namespace
}  // namespace puma::control
