// What sleeping and waking costs in system calls, and what an idle buffer costs.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <cstdarg>
#include <thread>

#include "tests/bench/buffer_cases.h"

extern "C" long __real_syscall(long number, ...);
// The linker's --wrap=syscall sends every call of our own code here.
extern "C" long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  puma::bench::Calls& calls = puma::bench::CallsOfThisThread();
  ++calls.all;
  if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE) ++calls.wakes;
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

namespace puma::bench {

Calls& CallsOfThisThread() {
  static thread_local Calls calls;
  return calls;
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

namespace {

void BusyFor(double seconds) {
  const double end = NowSeconds() + seconds;
  while (NowSeconds() < end) Pause();
}

// A reader that sleeps whenever there is nothing, until it has read `messages`.
class SleepyReader {
 public:
  SleepyReader(Lane& lane, uint64_t id, uint64_t messages, absl::Duration spin)
      : subscription_(lane, id), thread_([this, messages, spin] { Run(messages, spin); }) {}
  // Has read `messages`, and is about to sleep or does.
  bool AsleepBehind(uint64_t messages) {
    return read_.load(std::memory_order_acquire) == messages &&
           (subscription_.page.header().sleep.load(std::memory_order_acquire) & 1) != 0;
  }

 private:
  void Run(uint64_t messages, absl::Duration limit) {
    PinTo(1);
    Spin spin(limit);
    LaneReader* const lanes[] = {subscription_.reader.get()};
    for (uint64_t read = 0; read < messages; read_.store(read, std::memory_order_release)) {
      const uint64_t count = ReadBatch(*subscription_.reader, 256, Read64);
      if (count == 0)
        SleepOnLanes({.page = subscription_.page.header(), .lanes = lanes, .kick = kick_, .seen_kick = kick_.value(), .spin = &spin});
      read += count;
    }
  }
  Subscription subscription_;
  KickWord kick_;
  std::atomic<uint64_t> read_{0};
  std::jthread thread_;
};

void PublishOne(Lane& lane, uint64_t i) {
  Fill64(Reserve(*lane.writer, sizeof(Message64)), i);
  lane.writer->Commit(sizeof(Message64));
}

// Wake calls per 1,000 messages that are published `gap` seconds apart.
double WakesAt(double gap, absl::Duration spin) {
  const uint64_t messages = gap > 5e-5 ? 5'000 : 20'000;
  Lane lane(OptionsOf({}));
  SleepyReader reader(lane, 1, messages, spin);
  while (!reader.AsleepBehind(0)) Pause();
  const uint64_t before = CallsOfThisThread().wakes;
  for (uint64_t i = 0; i < messages; ++i) {
    PublishOne(lane, i);
    BusyFor(gap);
  }
  return static_cast<double>(CallsOfThisThread().wakes - before) / static_cast<double>(messages) * 1000;
}

// Wake calls per message when all of `sleepers` are asleep.
double WakesOfSleepers(uint64_t sleepers) {
  constexpr uint64_t kMessages = 200;
  Lane lane(OptionsOf({}));
  std::vector<std::unique_ptr<SleepyReader>> readers;
  for (uint64_t i = 0; i < sleepers; ++i) readers.push_back(std::make_unique<SleepyReader>(lane, i, kMessages, absl::ZeroDuration()));
  const uint64_t before = CallsOfThisThread().wakes;
  for (uint64_t i = 0; i < kMessages; ++i) {
    while (!std::all_of(readers.begin(), readers.end(), [&](const auto& reader) { return reader->AsleepBehind(i); }))
      std::this_thread::yield();
    BusyFor(5e-5);  // from the sleep word to the sleep
    PublishOne(lane, i);
  }
  return static_cast<double>(CallsOfThisThread().wakes - before) / kMessages;
}

struct Idle {
  double calls = 0, cpu_micros = 0;  // per second, of the reader
};
// Nobody publishes for five seconds; the reader may spin for 20 us before each sleep.
Idle IdleSecond() {
  constexpr double kSeconds = 5;
  Lane lane(OptionsOf({}));
  Subscription subscription(lane, 1);
  Idle idle;
  std::jthread reader([&] {
    LaneReader* const lanes[] = {subscription.reader.get()};
    KickWord kick;
    Spin spin(absl::Microseconds(20));
    const absl::Time deadline = absl::Now() + absl::Seconds(kSeconds);
    const Calls before = CallsOfThisThread();
    timespec from{}, to{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    while (absl::Now() < deadline) {
      SleepOnLanes({.page = subscription.page.header(), .lanes = lanes, .kick = kick, .seen_kick = 0, .deadline = deadline, .spin = &spin});
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    idle.calls = static_cast<double>(CallsOfThisThread().all - before.all) / kSeconds;
    idle.cpu_micros =
        (static_cast<double>(to.tv_sec - from.tv_sec) * 1e6 + static_cast<double>(to.tv_nsec - from.tv_nsec) / 1e3) / kSeconds;
  });
  reader.join();
  return idle;
}

}  // namespace

void AddWakes(Bench& bench) {
  constexpr absl::Duration kNo = absl::ZeroDuration(), kSpin = absl::Microseconds(20);
  bench.Add("wake calls per 1,000, gap 1 us", "calls", "", [=] { return WakesAt(1e-6, kNo); });
  bench.Add("the same, with the usual spin of 20 us", "calls", "", [=] { return WakesAt(1e-6, kSpin); });
  bench.Add("wake calls per 1,000, gap 10 us", "calls", "", [=] { return WakesAt(1e-5, kNo); });
  bench.Add("gap 10 us, with the usual spin", "calls", "", [=] { return WakesAt(1e-5, kSpin); });
  bench.Add("wake calls per 1,000, gap 100 us", "calls", "", [=] { return WakesAt(1e-4, kNo); });
  bench.Add("wake calls per message, 1 sleeper", "calls", "", [] { return WakesOfSleepers(1); });
  bench.Add("wake calls per message, 4 sleepers", "calls", "", [] { return WakesOfSleepers(4); });
  bench.Add("idle reader, system calls per second", "calls", "", [] { return IdleSecond().calls; });
  bench.Add("idle reader, CPU per second", "us", "", [] { return IdleSecond().cpu_micros; });
}

}  // namespace puma::bench
