#include <atomic>
#include <cstring>
#include <thread>

#include "tests/control/both_ends.h"

namespace puma::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using ControlSegments = BothEnds;

TEST_F(ControlSegments, CarryCommandsAndTheirResults) {
  Connect();
  ASSERT_TRUE(host_->SendCommand(1, CommandRecord{}, "grab", "{}").ok());
  EXPECT_EQ(NextCommand(0), "");
  EXPECT_EQ(NextCommand(1), "grab{}");
  EXPECT_EQ(NextCommand(1), "");
  Result(17, "{\"a\":1}", 1);
  Result(18, "");
  EXPECT_THAT(Results(), ElementsAre(Pair(17, "{\"a\":1}"), Pair(18, "")));
  EXPECT_THAT(Results(), IsEmpty());
}

TEST_F(ControlSegments, TakeCommandsBeforeTheWorkerIsConnected) {
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "early", "").ok());
  EXPECT_EQ(NextCommand(0), "early");
}

TEST_F(ControlSegments, RefuseACommandTooManyButNeverStop) {
  Connect();
  for (uint64_t i = 0; i < kCommandCapacity; ++i) ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "c", "").ok()) << i;
  EXPECT_EQ(host_->SendCommand(0, CommandRecord{}, "c", "").code(), absl::StatusCode::kResourceExhausted);
  host_->SendStop(0);
  host_->SendStop(0);
  for (uint64_t i = 0; i < kCommandCapacity; ++i) EXPECT_EQ(NextCommand(0), "c");
  EXPECT_EQ(NextCommand(0), "stop");
  EXPECT_EQ(NextCommand(0), "");
}

TEST_F(ControlSegments, MakeRoomForCommandsAsTheWorkerReads) {
  Connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, std::to_string(i), std::string(60'000, 'x')).ok()) << i;
    EXPECT_EQ(NextCommand(0).substr(0, 2), (std::to_string(i) + "x").substr(0, 2));
  }
}

TEST_F(ControlSegments, GiveASlotsNextTaskAFreshRing) {
  Connect();
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "old", "").ok());
  host_->SendStop(0);
  EXPECT_EQ(NextCommand(0), "old");
  host_->ResetSlot(0, 4);
  // The old position is of the ring before: it neither lets anything be overwritten nor counts as read.
  for (uint64_t i = 0; i < kCommandCapacity; ++i) ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "new" + std::to_string(i), "").ok());
  EXPECT_EQ(host_->SendCommand(0, CommandRecord{}, "c", "").code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(worker_->OpenSlot(0).ok());
  EXPECT_EQ(NextCommand(0), "new0");
  EXPECT_EQ(NextCommand(0), "new1");
  EXPECT_TRUE(host_->SendCommand(0, CommandRecord{}, "c", "").ok());
  EXPECT_EQ(worker_->host_slot(0).log_level.load(), 4u);
}

TEST_F(ControlSegments, ShowWhoIsInASlotAndHowItEnded) {
  Connect();
  EXPECT_EQ(host_->View(1).state, SlotState::kFree);
  worker_->EnterTask(1, 5, 6, 7);
  EXPECT_EQ(host_->View(1).state, SlotState::kStarting);
  EXPECT_EQ(host_->View(1).task, 5u);
  worker_->SetState(1, SlotState::kRunning);
  worker_->Fail(1, "{\"code\":3}");
  const auto view = host_->View(1);
  EXPECT_EQ(view.state, SlotState::kFailed);
  EXPECT_EQ(view.failure, "{\"code\":3}");
  EXPECT_EQ(view.run, 6u);
  EXPECT_EQ(view.ticket, 7u);
  worker_->EnterTask(1, 8, 9, 10);
  EXPECT_EQ(host_->View(1).failure, "");
}

TEST_F(ControlSegments, NeverShowANewTaskWithTheOldOnesEnd) {
  Connect();
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    for (uint64_t run = 1; !stop; ++run) {
      worker_->EnterTask(0, run, run, run);
      worker_->SetState(0, run % 2 == 0 ? SlotState::kCompleted : SlotState::kStopped);
    }
  });
  for (int ends = 0; ends < 10'000 && !HasFailure();) {
    const auto view = host_->View(0);
    if (view.state != SlotState::kCompleted && view.state != SlotState::kStopped) continue;
    ++ends;
    EXPECT_EQ(view.state == SlotState::kCompleted, view.run % 2 == 0);
    EXPECT_EQ(view.run, view.task);
  }
  stop = true;
  worker.join();
}

TEST_F(ControlSegments, RingTheDoorbellOnlyForASleepingHostAndOnceASleep) {
  Connect();
  Log("awake");
  EXPECT_EQ(Rings(), 0u);
  EXPECT_FALSE(host_->PrepareToSleep());
  Logs();
  EXPECT_TRUE(host_->PrepareToSleep());
  Log("one");
  Log("two");
  Result(1, "");
  EXPECT_EQ(Rings(), 1u);
  host_->Awake();
  Log("three");
  EXPECT_EQ(Rings(), 0u);
  EXPECT_EQ(Logs().size(), 3u);
  EXPECT_EQ(Results().size(), 1u);
  EXPECT_TRUE(host_->PrepareToSleep());
  worker_->SetState(0, SlotState::kRunning);
  EXPECT_EQ(Rings(), 1u);
  EXPECT_FALSE(host_->PrepareToSleep()) << "a slot's state has changed";
  EXPECT_TRUE(host_->PrepareToSleep());
}

TEST_F(ControlSegments, LoseNoWakeUp) {
  Connect();
  constexpr int kRecords = 20'000;
  std::thread worker([&] {
    for (int i = 0; i < kRecords; ++i) {
      while (!Log("x")) std::this_thread::yield();
      if (i % 16 == 0) std::this_thread::yield();
    }
  });
  size_t taken = 0;
  ::fcntl(doorbell_.get(), F_SETFL, 0);  // a lost wake-up blocks for ever, and the watchdog speaks
  while (taken < kRecords) {
    taken += Logs().size();
    host_->AcknowledgeLogs();
    if (taken < kRecords && host_->PrepareToSleep()) Rings();
    host_->Awake();
  }
  worker.join();
}

TEST_F(ControlSegments, DropTheNewestLogRecordsAndCountThem) {
  Connect();
  size_t kept = 0;
  while (Log(std::to_string(kept), 1)) ++kept;
  EXPECT_FALSE(Log("lost", 4));
  EXPECT_EQ(kept, kLogCapacity);
  EXPECT_EQ(host_->worker().dropped[1].load(), 1u);
  EXPECT_EQ(host_->worker().dropped[4].load(), 1u);
  const auto logs = Logs();
  ASSERT_EQ(logs.size(), kept);
  EXPECT_EQ(logs.back().second, std::to_string(kept - 1));
  EXPECT_FALSE(Log("still full")) << "read, but not acknowledged";
  host_->AcknowledgeLogs();
  ASSERT_TRUE(Log("fits"));
  uint64_t dropped_before = 0;
  ASSERT_TRUE(host_->DrainLogs([&](uint64_t, const LogEntry& entry, std::string_view) { dropped_before = entry.dropped_before; }, 10).ok());
  EXPECT_EQ(dropped_before, 3u);
}

TEST_F(ControlSegments, CutALongLogRecordAndSaySo) {
  Connect();
  ASSERT_TRUE(Log(std::string(1 << 20, 'x')));
  const auto logs = Logs();
  ASSERT_EQ(logs.size(), 1u);
  EXPECT_EQ(logs[0].second.size(), kLogRecordBytes);
  EXPECT_THAT(logs[0].second, ::testing::HasSubstr("[cut: had 1048576 bytes]"));
}

TEST_F(ControlSegments, AnswerATooLargeResultWithAnError) {
  Connect();
  Result(5, std::string(kResultBytes + 1, 'x'));
  const auto results = Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_THAT(results[0].second, ::testing::HasSubstr("\"code\":8"));
}

TEST_F(ControlSegments, HoldASenderOfResultsUntilTheHostReads) {
  Connect();
  constexpr uint64_t kResults = 2000;
  std::thread worker([&] {
    for (uint64_t i = 0; i < kResults; ++i) Result(i, std::string(20'000, 'r'));
  });
  uint64_t next = 0;
  while (next < kResults) {
    for (const auto& [id, text] : Results()) {
      ASSERT_EQ(id, next++);
      ASSERT_EQ(text.size(), 20'000u);
    }
    ASSERT_TRUE(status_.ok()) << status_;
  }
  worker.join();
}

TEST_F(ControlSegments, KeepTheSourcesOfLogRecordsOnce) {
  Connect();
  const uint32_t source = worker_->InternSource(2, "edges", "edges.cc", 42, "Find");
  EXPECT_NE(source, 0u);
  EXPECT_EQ(worker_->InternSource(2, "edges", "edges.cc", 42, "Find"), source);
  EXPECT_NE(worker_->InternSource(1, "edges", "edges.cc", 42, "Find"), source);
  const auto view = host_->SourceAt(source);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->slot_plus_one, 2u);
  EXPECT_EQ(view->logger, "edges");
  EXPECT_EQ(view->file, "edges.cc");
  EXPECT_EQ(view->line, 42u);
  EXPECT_EQ(view->function, "Find");
  EXPECT_TRUE(host_->SourceAt(0).ok()) << "unknown, but no fault";
}

TEST_F(ControlSegments, HaveRoomForManySourcesAndThenSayUnknown) {
  Connect();
  uint32_t made = 0;
  while (worker_->InternSource(1, "logger", "some/file.cc", made, "Function") != 0) ++made;
  EXPECT_EQ(made, kMaxSources - 1);
  EXPECT_TRUE(host_->SourceAt(kMaxSources - 1).ok());
}

TEST_F(ControlSegments, GoOnWithTheNextHost) {
  Connect();
  Log("acknowledged");
  Logs();
  host_->AcknowledgeLogs();
  Log("read, not acknowledged");
  Logs();
  Log("not read");
  Result(1, "taken");
  Results();
  Result(2, "not taken");
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "before", "").ok());
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "waiting", "").ok());
  EXPECT_EQ(NextCommand(0), "before");
  worker_->EnterTask(0, 1, 2, 3);
  ReplaceHost();
  EXPECT_THAT(Logs(), ElementsAre(Pair(1, "read, not acknowledged"), Pair(2, "not read")));
  EXPECT_THAT(Results(), ElementsAre(Pair(2, "not taken")));
  EXPECT_EQ(host_->View(0).run, 2u);
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "after", "").ok());
  EXPECT_EQ(NextCommand(0), "waiting");
  EXPECT_EQ(NextCommand(0), "after");
  host_->SendStop(0);
  ReplaceHost();
  host_->SendStop(0);
  EXPECT_EQ(NextCommand(0), "stop");
  EXPECT_EQ(NextCommand(0), "");
}

TEST_F(ControlSegments, AreWholeAgainAfterAHostThatDiedWhileItMadeASlotAnew) {
  Connect();
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "old", "").ok());
  EXPECT_EQ(NextCommand(0), "old");
  host_->ResetSlot(0, 2);
  const HostMap map = MapOfHost(2);
  auto raw = Segment::MapWritable(Copy(host_fd_.get()), map.bytes);
  ASSERT_TRUE(raw.ok());
  std::memset(raw->data() + map.first_slot + map.command_ring, 0, kLine);
  ReplaceHost();
  ASSERT_TRUE(worker_->OpenSlot(0).ok());
  ASSERT_TRUE(host_->SendCommand(0, CommandRecord{}, "new", "").ok());
  EXPECT_EQ(NextCommand(0), "new");
}

TEST_F(ControlSegments, TellACommandsHandlerToGiveUp) {
  host_->Cancel(1, 33);
  EXPECT_EQ(worker_->host_slot(1).cancel[33 % 16].load(), 33u);
}

TEST_F(ControlSegments, CantBeWrittenByTheOtherEnd) {
  EXPECT_FALSE(Segment::MapWritable(Copy(worker_fd_.get()), 1).ok());
  EXPECT_FALSE(HostControl::Adopt(Copy(worker_fd_.get())).ok());
}

TEST_F(ControlSegments, TakeNoSecondWorker) {
  Connect();
  EXPECT_EQ(host_->ConnectWorker(Copy(worker_fd_.get())).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace puma::control
