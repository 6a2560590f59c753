// litmus_peer sleeper [fence] | publisher (create|resume) (fenced|asymmetric) (registers|silent|refused): one end of the litmus of
// litmus_test.cc, in a process of its own whose membarrier registration is as said: exec has cleared its parent's.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cstdio>
#include <random>
#include <string_view>
#include <thread>

#include "tests/buffer/litmus.h"
#include "tests/buffer/no_membarrier.h"
#include "worker/buffer/ring_format.h"
#include "worker/platform/system.h"

namespace puma {

class RingWriterTestPeer {
 public:
  static uint32_t LastWoken(const RingWriter& writer) { return writer.sleepers_.at(0).woken; }
};

namespace {

using testing::kLitmusBytes;
using testing::Litmus;

void Until(const Word64& word, uint64_t value) {
  for (int i = 0; word.load(std::memory_order_acquire) < value; ++i) {
    if (i > 5000) std::this_thread::yield();
  }
}

void Pause(uint64_t turns) {
  for (uint64_t i = 0; i < turns; ++i) asm volatile("");
}

// S1 to S3, and S5: up to the call that sleeps, which compares the tail once more and so hides nearly all that would be lost.
// `fence`: S2 is only a fence, whatever the ring says.
int Sleep(Litmus& litmus, std::span<std::byte> memory, bool fence) {
  Until(litmus.opened, 1);
  const auto ring = RingReader::Open(memory);
  if (!ring.ok()) return 2;
  const WakeMode mode = fence ? WakeMode::kFenced : ring->constants().wake_mode;
  std::mt19937_64 random(1);
  const size_t payload = kLitmusBytes * ring->constants().slots;
  const std::byte* lines = memory.data() + memory.size() - payload;
  for (uint64_t round = 1; round <= litmus.rounds; ++round) {
    uint64_t sum = 0;  // the lines come over here
    for (size_t i = 0; i < payload; i += 64) sum += static_cast<uint64_t>(lines[i]);
    litmus.ready.store(round + sum / 1'000'000, std::memory_order_release);
    Pause(random() % 512);
    litmus.sleep.store(static_cast<uint32_t>(2 * round + 1), std::memory_order_release);  // S1
    if (!internal::BarrierOfTheSleeper(mode)) return 3;                                   // S2
    litmus.seen.store(ring->tail(), std::memory_order_relaxed);                           // S3
    litmus.over.store(2 * round - 1, std::memory_order_release);
    Until(litmus.over, 2 * round);
    litmus.sleep.store(static_cast<uint32_t>(2 * round + 2), std::memory_order_relaxed);  // S5
  }
  return 0;
}

int Publish(Litmus& litmus, RingWriter& ring) {
  ring.SetGate({.subscription = 1, .position = &litmus.position, .sleep = &litmus.sleep});
  litmus.registered.store(MembarrierRegistered() ? 1 : 0, std::memory_order_relaxed);
  litmus.asymmetric.store(ring.constants().wake_mode == WakeMode::kAsymmetric ? 1 : 0, std::memory_order_relaxed);
  litmus.opened.store(1, std::memory_order_release);
  std::mt19937_64 random(2);
  for (uint64_t round = 1; round <= litmus.rounds; ++round) {
    auto room = ring.TryReserve(kLitmusBytes);
    if (!room.ok()) return 2;
    Until(litmus.ready, round);
    Pause(random() % 512);
    for (size_t i = 0; i < kLitmusBytes; i += 64) (*room)[i] = std::byte{1};
    ring.Commit(kLitmusBytes);
    Until(litmus.over, 2 * round - 1);
    const bool woken = RingWriterTestPeer::LastWoken(ring) == 2 * round + 1;
    if (!woken && litmus.seen.load(std::memory_order_relaxed) != round) litmus.lost.fetch_add(1, std::memory_order_relaxed);
    litmus.position.store(round, std::memory_order_release);
    litmus.over.store(2 * round, std::memory_order_release);
  }
  return 0;
}

int Main(std::span<char*> arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct stat file {};
  if (arguments.size() < 2 || fstat(testing::kLitmusFd, &file) != 0) return 64;
  void* const at = mmap(nullptr, static_cast<size_t>(file.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, testing::kLitmusFd, 0);
  if (at == MAP_FAILED) return 65;
  auto& litmus = *static_cast<Litmus*>(at);
  const std::span memory(static_cast<std::byte*>(at) + testing::kRingAt, static_cast<size_t>(file.st_size) - testing::kRingAt);
  if (std::string_view(arguments[1]) == "sleeper") {
    RegisterMembarrier();
    return Sleep(litmus, memory, arguments.size() > 2);
  }
  if (arguments.size() != 5) return 64;
  const std::string_view how = arguments[2], mode = arguments[3], registers = arguments[4];
  if (registers == "registers" && !RegisterMembarrier()) return 77;
  if (registers == "refused" && !testing::ForbidMembarrier()) return 77;
  const RingOptions options = testing::LitmusRing(mode == "fenced" ? WakeMode::kFenced : WakeMode::kAsymmetric);
  auto ring = how == "create" ? RingWriter::Create(memory, options) : RingWriter::Resume(memory);
  return ring.ok() ? Publish(litmus, **ring) : 66;
}

}  // namespace
}  // namespace puma

int main(int argc, char** argv) { return puma::Main(std::span(argv, static_cast<size_t>(argc))); }
