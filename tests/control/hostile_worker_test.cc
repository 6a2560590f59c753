#include <sys/mman.h>

#include <cstring>
#include <random>

#include "tests/control/both_ends.h"

namespace puma::control {
namespace {

// The worker's end is honest up to here; then somebody writes into W what he likes.
class HostileWorker : public BothEnds {
 protected:
  std::byte* raw() { return reinterpret_cast<std::byte*>(&worker_->header()); }
  RingHeader& ring(size_t offset) { return *reinterpret_cast<RingHeader*>(raw() + offset); }
  const WorkerMap map_ = MapOfWorker(2);
};

TEST_F(HostileWorker, IsRefusedWithABadHeader) {
  worker_->header().magic ^= 1;
  EXPECT_EQ(host_->ConnectWorker(Copy(worker_fd_.get())).code(), absl::StatusCode::kDataLoss);
  worker_->header().magic ^= 1;
  worker_->header().slots = 100;
  EXPECT_EQ(host_->ConnectWorker(Copy(worker_fd_.get())).code(), absl::StatusCode::kDataLoss);
  worker_->header().slots = 2;
  ring(map_.results).constants.capacity = ~uint64_t{0};
  EXPECT_EQ(host_->ConnectWorker(Copy(worker_fd_.get())).code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(host_->connected());
}

TEST_F(HostileWorker, IsRefusedWithASegmentThatIsShortOrNotSealed) {
  const UniqueFd unsealed(::memfd_create("w", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), static_cast<off_t>(map_.bytes)), 0);
  EXPECT_EQ(host_->ConnectWorker(Copy(unsealed.get())).code(), absl::StatusCode::kDataLoss);
  auto small = Segment::Create("w", 4096, Seals::kOneWriter, 4096);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(host_->ConnectWorker(small->TakeFd()).code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileWorker, IsQuarantinedWhenItsTailRunsAway) {
  Connect();
  ring(map_.results).tail = 1ULL << 60;
  Results();
  EXPECT_EQ(status_.code(), absl::StatusCode::kDataLoss);
  ring(map_.logs).tail = 1ULL << 60;
  Logs();
  EXPECT_EQ(status_.code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileWorker, IsQuarantinedWhenItsRecordsLieAboutTheirLength) {
  Connect();
  Result(1, "four");
  // The record's own length, in the payload: somewhere behind the descriptors.
  std::byte* from = raw() + map_.results + sizeof(RingHeader);
  std::byte* to = raw() + map_.logs;
  ResultRecord record{};
  record.id = 1;
  record.length = 4;
  bool found = false;
  for (std::byte* at = from; at + sizeof(record) <= to && !found; at += 8) {
    if (std::memcmp(at, &record, sizeof(record)) != 0) continue;
    found = true;
    record.length = 1 << 30;
    std::memcpy(at, &record, sizeof(record));
  }
  ASSERT_TRUE(found);
  EXPECT_TRUE(Results().empty());
  EXPECT_EQ(status_.code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileWorker, IsQuarantinedForAResultOfNoSlot) {
  Connect();
  Result(1, "", 2);
  EXPECT_TRUE(Results().empty());
  EXPECT_EQ(status_.code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileWorker, CantMakeTheHostReadBeyondAFailuresPlace) {
  Connect();
  worker_->Fail(0, "x");
  worker_->task(0).failure_length = ~0U;
  EXPECT_EQ(host_->View(0).failure.size(), kFailureBytes);
  worker_->task(0).state = 77;
  EXPECT_EQ(host_->View(0).state, SlotState::kFailed);
}

TEST_F(HostileWorker, CantMakeTheHostReadBeyondTheSources) {
  Connect();
  const uint32_t index = worker_->InternSource(1, "a", "b", 1, "c");
  worker_->header().source_count = ~0U;
  EXPECT_FALSE(host_->SourceAt(kMaxSources).ok());
  auto& source = reinterpret_cast<Source*>(raw() + map_.sources)[index];
  source.file = ~0U - 3;
  source.file_length = 8;
  EXPECT_EQ(host_->SourceAt(index).status().code(), absl::StatusCode::kDataLoss);
  source.file = 0;
  source.file_length = kSourceBytes + 1;
  EXPECT_EQ(host_->SourceAt(index).status().code(), absl::StatusCode::kDataLoss);
  source.file_length = 1;
  source.slot_plus_one = 3;
  EXPECT_EQ(host_->SourceAt(index).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileWorker, CantLetTheHostOverwriteCommandsByImpossiblePositions) {
  Connect();
  for (uint64_t position : {~uint64_t{0}, uint64_t{1} << 40}) {
    worker_->command_position(0) = position;
    while (host_->SendCommand(0, CommandRecord{}, "c", "").ok()) {
    }
    EXPECT_LE(host_->SendCommand(0, CommandRecord{}, "c", "").code(), absl::StatusCode::kResourceExhausted);
  }
  worker_->command_position(0) = 0;
  for (uint64_t i = 0; i < kCommandCapacity; ++i) EXPECT_EQ(NextCommand(0), "c");
}

TEST_F(HostileWorker, CantCrashTheHostWithWhateverItWrites) {
  Connect();
  std::mt19937_64 random(7);
  int resets = 0;
  for (int round = 0; round < 3000; ++round) {
    Log("some text");
    Result(1, "some result");
    worker_->InternSource(1, "logger", "file", static_cast<uint32_t>(round % 100), "function");
    // Bits of everything that is not payload flip: slots, sources, ring headers, descriptors.
    const size_t from = random() % 3 == 0 ? map_.results + kLine : random() % 2 == 0 ? map_.logs + kLine : kLine;
    const size_t range = random() % 4 == 0 ? 2 * kLine : random() % 2 == 0 ? 8 << 10 : 512 << 10;
    const size_t at = std::min(from + random() % range, map_.bytes - 1);
    raw()[at] ^= static_cast<std::byte>(1U << random() % 8);
    Results();
    bool corrupt = !status_.ok();
    Logs(100);
    corrupt |= !status_.ok();
    host_->AcknowledgeLogs();
    host_->View(round % 2);
    host_->SourceAt(static_cast<uint32_t>(random() % kMaxSources)).status().IgnoreError();
    host_->SendCommand(0, CommandRecord{}, "c", "").IgnoreError();
    host_->PrepareToSleep();
    host_->Awake();
    // A ring that was found corrupt stays so; a fresh worker brings the honest state back.
    if (!corrupt && round % 50 != 0) continue;
    resets += corrupt;
    SetUp();
    Connect();
  }
  EXPECT_GT(resets, 10) << "the test has lost its teeth";
}

}  // namespace
}  // namespace puma::control
