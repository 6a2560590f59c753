// A message there and one back: polling beside the cache line, blocking beside the futex, and what processor time each takes.
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <iterator>

#include "tests/bench/buffer_cases.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace puma::bench {
namespace {

double CacheLineRoundTrip() {
  constexpr uint32_t kRounds = 200'000;
  alignas(128) std::atomic<uint32_t> there{0};
  alignas(128) std::atomic<uint32_t> back{0};
  std::jthread echo([&] {
    PinTo(1);
    for (uint32_t i = 1; i <= kRounds; ++i) {
      while (there.load(std::memory_order_acquire) != i) Pause();
      back.store(i, std::memory_order_release);
    }
  });
  const double start = NowSeconds();
  for (uint32_t i = 1; i <= kRounds; ++i) {
    there.store(i, std::memory_order_release);
    while (back.load(std::memory_order_acquire) != i) Pause();
  }
  return (NowSeconds() - start) / kRounds * 1e9;
}

void FutexPass(std::atomic<uint32_t>& word, uint32_t value) {
  word.store(value, std::memory_order_release);
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}
void FutexAwait(std::atomic<uint32_t>& word, uint32_t value) {
  while (word.load(std::memory_order_acquire) != value) ::syscall(SYS_futex, &word, FUTEX_WAIT, value - 1, nullptr, nullptr, 0);
}
// What a runnable's sleep needs of the kernel, and nothing besides: a second word, by which its own process wakes it, and a time by which
// it looks again in any case.
void WaitvAwait(std::atomic<uint32_t>& word, uint32_t value) {
  static const std::atomic<uint32_t> kick{0};
  while (word.load(std::memory_order_acquire) != value) {
    const futex_waitv words[] = {{value - 1, reinterpret_cast<uintptr_t>(&word), FUTEX_32, 0},
                                 {0, reinterpret_cast<uintptr_t>(&kick), FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}};
    timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 2;
    ::syscall(SYS_futex_waitv, words, std::size(words), 0, &end, CLOCK_MONOTONIC);
  }
}
// The same, and that a publisher needs no fence.
void MembarrierAwait(std::atomic<uint32_t>& word, uint32_t value) {
  if (word.load(std::memory_order_acquire) == value) return;
  ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
  WaitvAwait(word, value);
}
using Await = void (*)(std::atomic<uint32_t>&, uint32_t);
constexpr uint32_t kFutexRounds = 5'000;
double FutexRoundTrip(unsigned other_core, Await await = FutexAwait) {
  constexpr uint32_t kRounds = kFutexRounds;
  alignas(128) std::atomic<uint32_t> there{0};
  alignas(128) std::atomic<uint32_t> back{0};
  std::jthread echo([&] {
    PinTo(other_core);
    for (uint32_t i = 1; i <= kRounds; ++i) {
      await(there, i);
      FutexPass(back, i);
    }
  });
  const double start = NowSeconds();
  for (uint32_t i = 1; i <= kRounds; ++i) {
    FutexPass(there, i);
    await(back, i);
  }
  return (NowSeconds() - start) / kRounds * 1e6;
}

// A message there and one back. `blocking`: each side sleeps until it comes. In nanoseconds.
double RoundTrip(const Kind& kind, uint64_t rounds, bool blocking, unsigned other_core) {
  Lane there(OptionsOf(kind)), back(OptionsOf(kind));
  Subscription far(there, 1), near(back, 1);
  KickWord kick;
  const auto pass = [&](Lane& lane, uint64_t i) {
    Fill64(Reserve(*lane.writer, kind.bytes), i);
    lane.writer->Commit(kind.bytes);
  };
  const auto await = [&](Subscription& subscription) {
    LaneReader* const lanes[] = {subscription.reader.get()};
    while (ReadBatch(*subscription.reader, 1, Read64) == 0) {
      if (blocking) {
        SleepOnLanes({.page = subscription.page.header(), .lanes = lanes, .kick = kick, .seen_kick = kick.value()});
      } else {
        Pause();
      }
    }
  };
  std::jthread echo([&] {
    PinTo(other_core);
    for (uint64_t i = 0; i < rounds; ++i) {
      await(far);
      pass(back, i);
    }
  });
  const double start = NowSeconds();
  for (uint64_t i = 0; i < rounds; ++i) {
    pass(there, i);
    await(near);
  }
  return (NowSeconds() - start) / static_cast<double>(rounds) * 1e9;
}

// Processor time of both sides per round trip, in microseconds.
template <typename Trips>
double CpuPer(uint64_t rounds, Trips trips) {
  const double start = CpuSeconds();
  trips();
  return (CpuSeconds() - start) / static_cast<double>(rounds) * 1e6;
}

}  // namespace

void AddRoundTrips(Bench& bench) {
  const Kind fixed, descriptors{.layout = RingLayout::kDescriptors};
  const Kind fenced{.mode = WakeMode::kFenced};
  constexpr uint64_t kPolls = 200'000, kSleeps = 5'000;
  bench.Add("cache line there and back", "ns", "", CacheLineRoundTrip);
  bench.Add("polling, fixed stride", "ns", "cache line there and back", [=] { return RoundTrip(fixed, kPolls, false, 1); });
  bench.Add("polling, descriptors", "ns", "cache line there and back", [=] { return RoundTrip(descriptors, kPolls, false, 1); });
  bench.Add("futex, two cores", "us", "", [] { return FutexRoundTrip(1); });
  bench.Add("futex_waitv, two words and a time, two cores", "us", "futex, two cores", [] { return FutexRoundTrip(1, WaitvAwait); });
  bench.Add("the same and a membarrier, two cores", "us", "futex, two cores", [] { return FutexRoundTrip(1, MembarrierAwait); });
  bench.Add("blocking, asymmetric, two cores", "us", "futex, two cores", [=] { return RoundTrip(fixed, kSleeps, true, 1) / 1000; });
  bench.Add("blocking, fenced, two cores", "us", "futex, two cores", [=] { return RoundTrip(fenced, kSleeps, true, 1) / 1000; });
  bench.Add("futex, one core", "us", "", [] { return FutexRoundTrip(0); });
  bench.Add("futex_waitv, two words and a time, one core", "us", "futex, one core", [] { return FutexRoundTrip(0, WaitvAwait); });
  bench.Add("the same and a membarrier, one core", "us", "futex, one core", [] { return FutexRoundTrip(0, MembarrierAwait); });
  bench.Add("blocking, asymmetric, one core", "us", "futex, one core", [=] { return RoundTrip(fixed, kSleeps, true, 0) / 1000; });
  bench.Add("blocking, fenced, one core", "us", "futex, one core", [=] { return RoundTrip(fenced, kSleeps, true, 0) / 1000; });
  bench.Add("CPU of a round trip, futex, two cores", "us", "", [] { return CpuPer(kFutexRounds, [] { FutexRoundTrip(1); }); });
  const auto cpu = [=](const Kind& kind, unsigned core) { return CpuPer(kSleeps, [&] { RoundTrip(kind, kSleeps, true, core); }); };
  bench.Add("CPU, asymmetric, two cores", "us", "CPU of a round trip, futex, two cores", [=] { return cpu(fixed, 1); });
  bench.Add("CPU, fenced, two cores", "us", "CPU of a round trip, futex, two cores", [=] { return cpu(fenced, 1); });
  bench.Add("CPU of a round trip, futex, one core", "us", "", [] { return CpuPer(kFutexRounds, [] { FutexRoundTrip(0); }); });
  bench.Add("CPU, asymmetric, one core", "us", "CPU of a round trip, futex, one core", [=] { return cpu(fixed, 0); });
  bench.Add("CPU, fenced, one core", "us", "CPU of a round trip, futex, one core", [=] { return cpu(fenced, 0); });
}

}  // namespace puma::bench
