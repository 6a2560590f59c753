// Publishing and falling asleep at the same moment: one of the two must see the other. Between "the tail is stored" and "who sleeps?"
// stands a barrier on each side; without the publisher's the tail may wait in the core's store buffer while the publisher looks. (The
// kernel compares the tail once more, some hundred nanoseconds later, and so hides nearly all of what would be lost: hence the sleeper here
// goes up to that call, but does not make it.) To make the wait long, each message has many lines that lie in the other core.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/buffer/lane_fixture.h"
#include "worker/buffer/ring_format.h"
#include "worker/platform/system.h"

namespace puma {

class RingWriterTestPeer {
 public:
  static uint32_t LastWoken(const RingWriter& writer) { return writer.sleepers_.at(0).woken; }
};

namespace {

constexpr size_t kLines = 32, kBytes = 64 * kLines;

class Meeting : public ::testing::TestWithParam<WakeMode> {};
INSTANTIATE_TEST_SUITE_P(Modes, Meeting, ::testing::Values(WakeMode::kFenced, WakeMode::kAsymmetric),
                         [](const auto& info) { return info.param == WakeMode::kFenced ? "Fenced" : "Asymmetric"; });

void Until(const std::atomic<uint64_t>& word, uint64_t value) {
  for (int i = 0; word.load(std::memory_order_acquire) < value; ++i) {
    if (i > 5000) std::this_thread::yield();
  }
}

void Pause(uint64_t turns) {
  for (uint64_t i = 0; i < turns; ++i) asm volatile("");
}

TEST_P(Meeting, OneOfThePublisherAndTheSleeperSeesTheOther) {
  RegisterMembarrier();
  const char* given = getenv("PUMA_SECONDS");  // so long, instead of so many rounds
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(given != nullptr ? std::stoull(given) : 0);
  const uint64_t rounds = given != nullptr ? uint64_t{1} << 30 : 500;
  testing::Lane lane({.layout = RingLayout::kFixedStride, .capacity = 1, .stride = kBytes, .wake_mode = GetParam()});
  alignas(kLine) Word32 sleep{0};
  alignas(kLine) Word64 position{0};
  lane.writer->SetGate({.subscription = 1, .position = &position, .sleep = &sleep});
  std::atomic<uint64_t> ready{0}, over{0}, lost{0};
  std::atomic<uint64_t> seen{0};  // the tail that the sleeper saw in its last look

  std::jthread sleeper([&] {
    std::mt19937_64 random(1);
    const RingReader ring = RingReader::Open({lane.segment.data(), lane.segment.size()}).value();
    for (uint64_t round = 1; round <= rounds && lost == 0; ++round) {
      uint64_t sum = 0;  // the lines come over here
      const std::byte* payload = lane.segment.data() + lane.segment.size() - kBytes * ring.constants().slots;
      for (size_t i = 0; i < kBytes * ring.constants().slots; i += 64) sum += static_cast<uint64_t>(payload[i]);
      ready.store(round + sum / 1'000'000, std::memory_order_release);
      Pause(random() % 512);
      sleep.store(static_cast<uint32_t>(2 * round + 1), std::memory_order_release);  // S1
      internal::BarrierOfTheSleeper(GetParam());                                     // S2
      seen.store(ring.tail(), std::memory_order_relaxed);                            // S3
      over.store(2 * round - 1, std::memory_order_release);
      Until(over, 2 * round);
      sleep.store(static_cast<uint32_t>(2 * round + 2), std::memory_order_relaxed);  // S5
    }
  });
  std::mt19937_64 random(2);
  for (uint64_t round = 1; round <= rounds; ++round) {
    auto room = lane.writer->TryReserve(kBytes);
    ASSERT_TRUE(room.ok());
    Until(ready, round);
    Pause(random() % 512);
    for (size_t i = 0; i < kBytes; i += 64) (*room)[i] = std::byte{1};
    lane.writer->Commit(kBytes);
    Until(over, 2 * round - 1);
    const bool woken = RingWriterTestPeer::LastWoken(*lane.writer) == 2 * round + 1;
    if (!woken && seen.load(std::memory_order_relaxed) != round) lost = round;
    position.store(round, std::memory_order_release);
    const bool late = given != nullptr && std::chrono::steady_clock::now() > end;
    if (late && lost == 0) printf("no wake-up was lost in %s s\n", given);
    if (late) lost = ~uint64_t{0};  // ends the sleeper
    over.store(2 * round, std::memory_order_release);
    if (late) break;
    ASSERT_EQ(lost, 0u) << "a wake-up was lost";
  }
}

}  // namespace
}  // namespace puma
