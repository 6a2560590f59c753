// No wake-up is lost. Random load can't show that (the next message hides the lost wake-up of the one before), so here both ends fall
// silent after each message, and stop between any two steps of the protocol while the other end does all it can do. A sleep that only the 2
// s belt ended although there was work counts as lost, whatever came of it.
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/buffer/lane_fixture.h"
#include "worker/buffer/stop_point.h"
#include "worker/platform/system.h"

namespace puma {
namespace {

thread_local std::function<void(std::string_view)> at_stop_point;  // of this thread

}  // namespace

void internal::StopPoint(const char* name) {
  if (!at_stop_point) return;
  auto hook = std::exchange(at_stop_point, nullptr);  // what the hook itself does passes freely
  hook(name);
  at_stop_point = std::move(hook);
}

namespace {

using testing::GateOf;
using testing::Lane;

// Calls `action` the first time that this thread passes `point`.
void Once(std::string point, std::function<void()> action) {
  at_stop_point = [point = std::move(point), action = std::move(action), done = false](std::string_view name) mutable {
    if (!done && name == point) {
      done = true;
      action();
    }
  };
}

// 'S': asleep in the kernel. (A guess at the best moment to go on; nothing depends on it.)
char StateOf(int64_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t at = text.rfind(')');
  return at == std::string::npos || at + 2 >= text.size() ? '?' : text[at + 2];
}

// A lane and one reader of it.
struct Pair {
  Lane lane;
  TaskPage page;
  std::unique_ptr<LaneReader> reader;
  KickWord kick;

  explicit Pair(const RingOptions& options) : lane(options), page(TaskPage::Create(1, 1, {}).value()) {
    lane.writer->SetGate(GateOf(1, page.header(), page.slot(0), options.base));
    reader = LaneReader::Open(lane.Fd(), page.slot(0), options.base).value();
  }
  void Publish() {
    ASSERT_TRUE(lane.writer->TryReserve(8).ok());
    lane.writer->Commit(8);
  }
  uint64_t Drain() {
    uint64_t count = 0;
    while (reader->Peek().value().has_value()) {
      reader->Finish();
      ++count;
    }
    reader->StorePosition();
    return count;
  }
  void Sleep(uint32_t seen_kick, absl::Time deadline = absl::InfiniteFuture()) {
    LaneReader* const lanes[] = {reader.get()};
    SleepOnLanes({.page = page.header(), .lanes = lanes, .kick = kick, .seen_kick = seen_kick, .deadline = deadline});
  }
};

class WakeUp : public ::testing::TestWithParam<WakeMode> {
 protected:
  static void SetUpTestSuite() { RegisterMembarrier(); }
  // A lost wake-up ends the test at once: thousands would take the belt's 2 s each.
  void SetUp() override {
    watch_ = std::jthread([lost = BeltWakeups()](const std::stop_token& over) {
      while (!over.stop_requested()) {
        if (BeltWakeups() != lost) Lost();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      if (BeltWakeups() != lost) Lost();
    });
  }
  void TearDown() override {
    at_stop_point = nullptr;
    watch_ = {};
  }
  [[noreturn]] static void Lost() {
    fputs("a wake-up was lost\n", stderr);
    ::_exit(1);
  }
  static RingOptions Options(uint64_t capacity = 4, uint64_t base = ~uint64_t{0} - 9) {
    RingOptions options{.layout = RingLayout::kFixedStride, .base = base, .capacity = capacity, .stride = 8};
    options.wake_mode = GetParam();
    return options;
  }

 private:
  std::jthread watch_;
};
INSTANTIATE_TEST_SUITE_P(Modes, WakeUp, ::testing::Values(WakeMode::kFenced, WakeMode::kAsymmetric),
                         [](const auto& info) { return info.param == WakeMode::kFenced ? "Fenced" : "Asymmetric"; });

// ---- one end acts at each step of the other --------------------------------------------------------------------------------------------

TEST_P(WakeUp, AMessageAtAnyStepOfTheSleeperIsSeen) {
  for (const char* point : {"position | sleep", "sleep | look", "look | wait"}) {
    Pair pair(Options());
    for (int i = 0; i < 20; ++i) {
      Once(point, [&] { pair.Publish(); });
      pair.Sleep(pair.kick.value());
      EXPECT_EQ(pair.Drain(), 1u) << point;
    }
  }
}

TEST_P(WakeUp, AKickAtAnyStepOfTheSleeperIsSeen) {
  for (const char* point : {"position | sleep", "sleep | look", "look | wait"}) {
    Pair pair(Options());
    const uint32_t seen = pair.kick.value();
    Once(point, [&] { pair.kick.Kick(); });
    pair.Sleep(seen);
    EXPECT_NE(pair.kick.value(), seen);
  }
}

TEST_P(WakeUp, TheCompletionAtAnyStepOfTheSleeperIsSeen) {
  for (const char* point : {"position | sleep", "sleep | look", "look | wait"}) {
    Pair pair(Options());
    Once(point, [&] { pair.lane.writer->Complete("over"); });
    pair.Sleep(pair.kick.value());
    EXPECT_EQ(pair.reader->Peek().value()->kind, MessageKind::kComplete);
  }
}

TEST_P(WakeUp, RoomAtAnyStepOfTheWaitingPublisherIsSeen) {
  for (const char* point : {"want position | want", "want | look", "look at positions | wait"}) {
    Pair pair(Options());
    for (int round = 0; round < 20; ++round) {
      while (pair.lane.writer->HasRoom(8)) pair.Publish();
      Once(point, [&] { pair.Drain(); });
      RingWriter* ring = pair.lane.writer.get();
      EXPECT_EQ(WaitForRoom(std::span(&ring, 1), 8, {}).value(), 0u) << point;
      EXPECT_EQ(pair.page.slot(0).position, ring->tail());
    }
  }
}

TEST_P(WakeUp, AGateThatGoesAtAnyStepOfTheWaitingPublisherIsSeen) {
  for (const char* point : {"want position | want", "want | look", "look at positions | wait"}) {
    Pair pair(Options());
    while (pair.lane.writer->HasRoom(8)) pair.Publish();
    Once(point, [&] { pair.lane.writer->RemoveGate(1); });
    RingWriter* ring = pair.lane.writer.get();
    EXPECT_TRUE(WaitForRoom(std::span(&ring, 1), 8, {}).ok()) << point;
  }
}

TEST_P(WakeUp, APublisherThatWaitsForASlotToBeBoundIsWokenByItsReader) {
  Lane lane(Options());
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  page.slot(0).tag = 99;  // another lane's, drained and left
  lane.writer->SetGate(GateOf(1, page.header(), page.slot(0), Options().base));
  while (lane.writer->HasRoom(8)) {
    ASSERT_TRUE(lane.writer->TryReserve(8).ok());
    lane.writer->Commit(8);
  }
  std::jthread reader([&] {
    auto opened = LaneReader::Open(lane.Fd(), page.slot(0), Options().base).value();
    while (opened->Peek().value().has_value()) opened->Finish();
    opened->StorePosition();
  });
  RingWriter* ring = lane.writer.get();
  EXPECT_TRUE(WaitForRoom(std::span(&ring, 1), 8, {}).ok());
}

TEST(Spin, LooksUntilItIsThereOrTheTimeIsOver) {
  Spin spin(absl::Milliseconds(1));
  int looks = 0;
  EXPECT_TRUE(spin.Until(absl::InfiniteDuration(), [&] { return ++looks == 3; }));
  EXPECT_EQ(looks, 3);
  const absl::Time start = MonotonicTime();
  EXPECT_FALSE(spin.Until(absl::InfiniteDuration(), [] { return false; }));
  EXPECT_GE(MonotonicTime() - start, absl::Microseconds(900));
  EXPECT_FALSE(Spin().Until(absl::InfiniteDuration(), [] { return true; })) << "without a limit nobody looks";
}

TEST(Spin, GivesUpWhatDoesNotHelpAndTriesAgainNowAndThen) {
  Spin spin(absl::Nanoseconds(1));
  int looks = 0, spins = 0;
  const auto in_vain = [&] {
    const int before = looks;
    EXPECT_FALSE(spin.Until(absl::InfiniteDuration(), [&] { return ++looks < 0; }));
    spins += looks != before;
  };
  for (uint32_t i = 0; i < Spin::kPatience; ++i) in_vain();
  EXPECT_EQ(spins, Spin::kPatience);
  for (uint32_t i = 0; i < 10 * Spin::kTryAgain; ++i) in_vain();
  EXPECT_EQ(spins, Spin::kPatience + 10);
  for (uint32_t i = 1; i < Spin::kTryAgain; ++i) in_vain();
  EXPECT_TRUE(spin.Until(absl::InfiniteDuration(), [] { return true; })) << "its turn to try";
  EXPECT_TRUE(spin.Until(absl::InfiniteDuration(), [] { return true; })) << "and it has helped";
}

// Both ends look for a while before they sleep: nothing is lost, whichever of the two it was that ended the wait.
TEST_P(WakeUp, WhoSpinsBeforeItSleepsMissesNothing) {
  constexpr uint64_t kMessages = 20'000;
  Pair pair(Options());
  std::jthread reader([&] {
    Spin spin(absl::Microseconds(5));
    LaneReader* const lanes[] = {pair.reader.get()};
    for (uint64_t read = 0; read < kMessages;) {
      const uint64_t count = pair.Drain();
      read += count;
      if (count == 0) SleepOnLanes({.page = pair.page.header(), .lanes = lanes, .kick = pair.kick, .seen_kick = 0, .spin = &spin});
    }
  });
  Spin spin(absl::Microseconds(5));
  RingWriter* ring = pair.lane.writer.get();
  for (uint64_t i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(WaitForRoom(std::span(&ring, 1), 8, {.spin = &spin}).ok());
    pair.Publish();
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 300));
  }
}

TEST_P(WakeUp, AKickAndAnInterruptEndASpin) {
  Pair pair(Options());
  Spin spin(absl::Hours(1));
  LaneReader* const lanes[] = {pair.reader.get()};
  std::jthread kicker([&] { pair.kick.Kick(); });
  SleepOnLanes({.page = pair.page.header(), .lanes = lanes, .kick = pair.kick, .seen_kick = 0, .spin = &spin});
  kicker.join();
  while (pair.lane.writer->HasRoom(8)) pair.Publish();
  std::atomic<bool> stop{false};
  std::jthread stopper([&] {
    stop = true;
    pair.kick.Kick();
  });
  RingWriter* ring = pair.lane.writer.get();
  const RoomWait wait{.kick = &pair.kick, .interrupted = [&] { return stop.load(); }, .spin = &spin};
  EXPECT_EQ(WaitForRoom(std::span(&ring, 1), 8, wait).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(WaitForRoom(std::span(&ring, 1), 8, {.deadline = MonotonicTime() + absl::Milliseconds(1), .spin = &spin}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(WakeUp, AnInterruptedWaitForRoomEnds) {
  Pair pair(Options());
  while (pair.lane.writer->HasRoom(8)) pair.Publish();
  std::atomic<bool> stop{false};
  RingWriter* ring = pair.lane.writer.get();
  const RoomWait wait{.kick = &pair.kick, .interrupted = [&] { return stop.load(); }};
  Once("look at positions | wait", [&] {
    stop = true;
    pair.kick.Kick();
  });
  EXPECT_EQ(WaitForRoom(std::span(&ring, 1), 8, wait).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(WaitForRoom(std::span(&ring, 1), 8, {.deadline = absl::InfinitePast()}).status().code(), absl::StatusCode::kDeadlineExceeded);
}

// ---- one end stops at each of its steps until the other sleeps -------------------------------------------------------------------------

// The publisher stops at each point until the reader has read all that there is, and sleeps again: the generation that it then sees belongs
// to a sleeper that must not be woken yet, but by the next message.
TEST_P(WakeUp, APublisherThatStopsAtAnyStepStillWakes) {
  constexpr uint64_t kMessages = 100;
  for (const char* point : {"descriptor | tail", "tail | look at sleepers", "look at sleepers | wake", "published"}) {
    Pair pair(Options());
    std::atomic<uint64_t> read{0};
    std::atomic<int64_t> thread{0};
    std::jthread reader([&] {
      thread = ThreadId();
      while (true) {
        read += pair.Drain();
        if (read == kMessages) return;
        pair.Sleep(pair.kick.value());
      }
    });
    while (thread == 0) std::this_thread::yield();
    const auto until_reader_sleeps = [&](uint64_t messages) {
      while (read < messages || (messages < kMessages && StateOf(thread) != 'S')) std::this_thread::yield();
    };
    // Before the tail the reader can only have read the messages before; between look and wake it may be the one that must still be woken.
    const bool seen = std::string_view(point) == "tail | look at sleepers" || std::string_view(point) == "published";
    for (uint64_t i = 1; i <= kMessages; ++i) {
      Once(point, [&] {
        if (seen) pair.kick.Kick();  // else nothing would wake it for this message yet
        until_reader_sleeps(seen ? i : i - 1);
      });
      pair.Publish();
      until_reader_sleeps(i);
    }
  }
}

// The publisher looks at the sleepers so late that the reader has read the message and is about to sleep for the next one. A wake now would
// reach nobody, and use up the generation that the next message needs.
TEST_P(WakeUp, AMessageThatWasReadAlreadyWakesNobodyForTheNext) {
  Pair pair(Options());
  std::atomic<int> step{0};
  std::atomic<int64_t> thread{0};
  const auto until = [&](int reached) {
    while (step < reached) std::this_thread::yield();
  };
  std::jthread reader([&] {
    thread = ThreadId();
    until(1);
    EXPECT_EQ(pair.Drain(), 1u);
    Once("look | wait", [&] {
      step = 2;
      until(3);
    });
    pair.Sleep(pair.kick.value());
    EXPECT_EQ(pair.Drain(), 1u);
    step = 4;
  });
  Once("tail | look at sleepers", [&] {
    step = 1;
    until(2);
  });
  pair.Publish();
  step = 3;
  while (step != 4 && StateOf(thread) != 'S') std::this_thread::yield();
  pair.Publish();
}

// The host tells both ends of each other at once: the reader may be the first, and sleep where no publisher knows of it.
TEST_P(WakeUp, AReaderThatSleptBeforeItsGateWasSetIsWokenByTheGate) {
  Lane lane(Options());
  lane.writer->SetGate({.subscription = 1, .floor = Options().base});
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  auto reader = LaneReader::Open(lane.Fd(), page.slot(0), Options().base).value();
  std::atomic<int64_t> thread{0};
  std::jthread sleeper([&] {
    thread = ThreadId();
    LaneReader* const lanes[] = {reader.get()};
    KickWord kick;
    while (reader->AtEnd()) SleepOnLanes({.page = page.header(), .lanes = lanes, .kick = kick, .seen_kick = kick.value()});
  });
  while (thread == 0 || StateOf(thread) != 'S') std::this_thread::yield();
  while (lane.writer->HasRoom(8)) {
    ASSERT_TRUE(lane.writer->TryReserve(8).ok());
    lane.writer->Commit(8);
  }
  lane.writer->SetGate(GateOf(1, page.header(), page.slot(0), Options().base));
  sleeper.join();
}

// The same on the other side: the reader stops at each of its steps until the publisher sleeps, or has gone on.
TEST_P(WakeUp, AReaderThatStopsAtAnyStepStillWakes) {
  constexpr uint64_t kMessages = 200;
  for (const char* point : {"next | position", "position | look at want", "look at want | wake"}) {
    Pair pair(Options(2));
    std::atomic<uint64_t> published{0};
    std::atomic<int64_t> thread{0};
    std::jthread publisher([&] {
      thread = ThreadId();
      RingWriter* ring = pair.lane.writer.get();
      for (; published < kMessages; ++published) {
        ASSERT_TRUE(WaitForRoom(std::span(&ring, 1), 8, {}).ok());
        pair.Publish();
      }
    });
    while (thread == 0) std::this_thread::yield();
    const auto until_publisher_rests = [&] {
      while (published < kMessages && StateOf(thread) != 'S') std::this_thread::yield();
    };
    for (uint64_t read = 0; read < kMessages;) {
      until_publisher_rests();
      Once(point, until_publisher_rests);
      read += pair.Drain();
    }
  }
}

// ---- both at random --------------------------------------------------------------------------------------------------------------------

// Stops for a moment at some of the points.
void StopNowAndThen(uint64_t seed) {
  at_stop_point = [random = std::mt19937_64(seed)](std::string_view) mutable {
    const uint64_t dice = random() % 16;
    if (dice < 3) std::this_thread::yield();
    if (dice == 3) std::this_thread::sleep_for(std::chrono::microseconds(random() % 50));
  };
}

// Ping-pong over two lanes; each side sleeps after each message.
TEST_P(WakeUp, NoneIsLostWhenBothEndsFallSilentAfterEachMessage) {
  constexpr int kRounds = 1000;
  Pair there(Options()), back(Options(4, (uint64_t{1} << 32) - 16));
  std::jthread echo([&] {
    StopNowAndThen(1);
    for (int i = 0; i < kRounds;) {
      if (there.Drain() == 1) {
        back.Publish();
        ++i;
      } else {
        there.Sleep(there.kick.value());
      }
    }
  });
  StopNowAndThen(2);
  for (int i = 0; i < kRounds; ++i) {
    there.Publish();
    while (back.Drain() == 0) back.Sleep(back.kick.value());
  }
}

// Several publishers into one reader's page, full and empty all the time.
TEST_P(WakeUp, NoneIsLostBetweenThreePublishersAndOneReader) {
  constexpr uint64_t kMessages = 1000, kLanes = 3;
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::unique_ptr<LaneReader>> readers;
  std::vector<LaneReader*> all;
  for (uint64_t i = 0; i < kLanes; ++i) {
    RingOptions options = Options(1 + i);
    options.lane_id = i + 1;
    lanes.push_back(std::make_unique<Lane>(options));
    lanes[i]->writer->SetGate(GateOf(1, page.header(), page.slot(i), options.base));
    readers.push_back(LaneReader::Open(lanes[i]->Fd(), page.slot(i), options.base).value());
    all.push_back(readers[i].get());
  }
  std::vector<std::jthread> publishers;
  for (uint64_t i = 0; i < kLanes; ++i) {
    publishers.emplace_back([&lanes, i] {
      StopNowAndThen(i);
      RingWriter* ring = lanes[i]->writer.get();
      for (uint64_t n = 0; n < kMessages; ++n) {
        ASSERT_TRUE(WaitForRoom(std::span(&ring, 1), 8, {}).ok());
        ASSERT_TRUE(ring->TryReserve(8).ok());
        ring->Commit(8);
      }
    });
  }
  StopNowAndThen(99);
  KickWord kick;
  for (uint64_t read = 0; read < kMessages * kLanes;) {
    bool any = false;
    for (auto& reader : readers) {
      if (!reader->Peek().value().has_value()) continue;
      reader->Finish();
      reader->StorePosition();
      any = true;
      ++read;
    }
    if (!any) SleepOnLanes({.page = page.header(), .lanes = all, .kick = kick, .seen_kick = kick.value()});
  }
}

// One publisher, several lagging readers: it sleeps on all of their positions.
TEST_P(WakeUp, NoneIsLostBetweenAPublisherAndThreeLaggingReaders) {
  constexpr uint64_t kMessages = 1000, kReaders = 3;
  Lane lane(Options(3));
  std::vector<TaskPage> pages;
  for (uint64_t i = 0; i < kReaders; ++i) {
    pages.push_back(TaskPage::Create(i + 1, 1, {}).value());
    lane.writer->SetGate(GateOf(i, pages[i].header(), pages[i].slot(0), Options().base));
  }
  std::vector<std::jthread> readers;
  for (uint64_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      StopNowAndThen(10 + i);
      auto reader = LaneReader::Open(lane.Fd(), pages[i].slot(0), Options().base).value();
      LaneReader* const lanes[] = {reader.get()};
      KickWord kick;
      for (uint64_t n = 0; n < kMessages;) {
        if (reader->Peek().value().has_value()) {
          reader->Finish();
          reader->StorePosition();
          ++n;
        } else {
          SleepOnLanes({.page = pages[i].header(), .lanes = lanes, .kick = kick, .seen_kick = kick.value()});
        }
      }
    });
  }
  StopNowAndThen(1);
  RingWriter* ring = lane.writer.get();
  for (uint64_t n = 0; n < kMessages; ++n) {
    ASSERT_TRUE(WaitForRoom(std::span(&ring, 1), 8, {}).ok());
    ASSERT_TRUE(ring->TryReserve(8).ok());
    ring->Commit(8);
  }
}

// ---- joining while it streams ----------------------------------------------------------------------------------------------------------

// Who attaches late reads every message from the number that it was granted, and whoever leaves is no longer looked at.
TEST_P(WakeUp, ALateSubscriptionReadsAllFromTheGrantedNumber) {
  RingOptions options = Options(8);
  Pair first(options);
  std::atomic<bool> stop{false};
  std::jthread publisher([&] {
    StopNowAndThen(5);
    RingWriter* ring = first.lane.writer.get();
    while (!stop) {
      if (!WaitForRoom(std::span(&ring, 1), 8, {.deadline = MonotonicTime() + absl::Milliseconds(100)}).ok()) continue;
      auto room = ring->TryReserve(8);
      ASSERT_TRUE(room.ok());
      *reinterpret_cast<uint64_t*>(room->data()) = ring->tail();
      ring->Commit(8);
    }
  });
  std::jthread steady([&] {
    while (!stop) {
      if (first.Drain() == 0) first.Sleep(first.kick.value(), MonotonicTime() + absl::Milliseconds(10));
    }
    first.lane.writer->RemoveGate(1);
  });
  StopNowAndThen(6);
  for (int i = 0; i < 100; ++i) {
    TaskPage page = TaskPage::Create(2, 1, {}).value();
    page.slot(3).position = 5;  // another lane's
    page.slot(3).tag = 77;
    const uint64_t seen_tail = first.reader->ring().tail();
    const bool now = i % 2 == 0;
    const uint64_t start = first.lane.writer->SetGate(GateOf(2, page.header(), page.slot(3), now ? seen_tail : options.base));
    auto late = LaneReader::Open(first.lane.Fd(), page.slot(3), start).value();
    LaneReader* const lanes[] = {late.get()};
    for (uint64_t expected = start; expected != start + 30;) {
      auto item = late->Peek().value();
      if (!item) {
        SleepOnLanes({.page = page.header(), .lanes = lanes, .kick = first.kick, .seen_kick = first.kick.value()});
        continue;
      }
      ASSERT_EQ(*reinterpret_cast<const uint64_t*>(item->bytes.data()), expected) << "overwritten before it was read";
      ++expected;
      late->Finish();
      late->StorePosition();
    }
    first.lane.writer->RemoveGate(2);  // and its page is unmapped
  }
  stop = true;
}

}  // namespace
}  // namespace puma
