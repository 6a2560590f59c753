// Asymmetric rings where a process may not use membarriers: no wake-up is lost, it only costs more.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/buffer/lane_fixture.h"
#include "tests/buffer/no_membarrier.h"
#include "tests/buffer/ring_fixture.h"
#include "worker/platform/system.h"

namespace puma {
namespace {

using testing::Fixed;
using testing::ForbidMembarrier;
using testing::GateOf;
using testing::Lane;

RingOptions Stream() {
  RingOptions options = Fixed(4, 8);
  options.wake_mode = WakeMode::kAsymmetric;
  return options;
}

// Moves `count` numbers from one thread to the other through `lane`; each waits whenever it can. How many arrived in order.
uint64_t Exchange(Lane& lane, uint64_t count) {
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  lane.writer->SetGate(GateOf(7, page.header(), page.slot(0), 0));
  auto reader = LaneReader::Open(lane.Fd(), page.slot(0), 0).value();
  std::thread publisher([&] {
    RingWriter* rings[] = {lane.writer.get()};
    for (uint64_t i = 0; i < count; ++i) {
      if (!WaitForRoom(rings, 8, {}).ok()) return;
      memcpy(lane.writer->TryReserve(8).value().data(), &i, 8);
      lane.writer->Commit(8);
    }
  });
  KickWord kick;
  uint64_t expected = 0;
  LaneReader* readers[] = {reader.get()};
  while (expected < count) {
    auto item = reader->Peek().value();
    if (!item.has_value()) {
      SleepOnLanes({.page = page.header(), .lanes = readers, .kick = kick, .seen_kick = kick.value()});
      continue;
    }
    uint64_t number;
    memcpy(&number, item->bytes.data(), 8);
    if (number != expected) break;
    ++expected;
    reader->Finish();
  }
  reader->StorePosition();
  publisher.join();
  return expected;
}

// Runs `body` in a child; its result is the exit code.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(MembarrierTest, ARegisteredProcessMakesAsymmetricRings) {
  EXPECT_EQ(InChild([] {
              if (!RegisterMembarrier()) return 0;  // this kernel has none
              Lane lane(Stream());
              if (lane.writer->constants().wake_mode != WakeMode::kAsymmetric) return 1;
              return Exchange(lane, 20000) == 20000 && BeltWakeups() == 0 ? 0 : 2;
            }),
            0);
}

TEST(MembarrierTest, WhoIsRefusedWritesFencedRings) {
  EXPECT_EQ(InChild([] {
              if (!ForbidMembarrier()) return 0;  // no seccomp here
              if (RegisterMembarrier() || MembarrierRegistered()) return 1;
              Lane lane(Stream());
              if (lane.writer->constants().wake_mode != WakeMode::kFenced) return 2;
              return Exchange(lane, 20000) == 20000 && BeltWakeups() == 0 ? 0 : 3;
            }),
            0);
}

TEST(MembarrierTest, ASleeperThatIsRefusedSleepsBriefly) {
  EXPECT_EQ(InChild([] {
              if (!RegisterMembarrier()) return 0;
              Lane lane(Stream());  // asymmetric: its publisher has no fence
              if (!ForbidMembarrier()) return 0;
              // Neither S2 nor F2 is to be had. What would be lost is found a millisecond later.
              return Exchange(lane, 2000) == 2000 && BeltWakeups() == 0 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace puma
