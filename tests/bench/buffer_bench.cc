// The data plane against what the machine and the best known queue do in the same run.
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <climits>
#include <memory>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/buffer/lane_fixture.h"
#include "worker/buffer/ring_batch.h"
#include "worker/platform/system.h"

namespace puma::bench {
namespace {

using testing::GateOf;
using testing::Lane;

// Stored and loaded sixteen bytes at a time, here and in every peer's case: what was stored in halves can't be forwarded to a wider load,
// which then waits for every earlier store to reach its line, and measures nothing but that.
using Wide [[gnu::vector_size(16)]] = uint64_t;
struct alignas(16) Message64 {
  Wide words[4];
};
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSmallDepth = 1000;
thread_local uint64_t sink;  // keeps what was read

// `bytes`: a multiple of 64.
uint64_t Sum(const void* data, size_t bytes) {
  const auto* words = static_cast<const Wide*>(data);
  Wide a{}, b{}, c{}, d{};
  for (size_t i = 0; i < bytes / sizeof(Wide); i += 4) {
    a += words[i];
    b += words[i + 1];
    c += words[i + 2];
    d += words[i + 3];
  }
  a += b + c + d;
  return a[0] + a[1];
}

void Fill64(void* at, uint64_t i) {
  auto* words = static_cast<Wide*>(at);
  for (uint64_t k = 0; k < 4; ++k) words[k] = Wide{i, k};
}

// ---- what the machine does -------------------------------------------------------------------------------------------------------------

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
double FutexRoundTrip(unsigned other_core) {
  constexpr uint32_t kRounds = 5'000;
  alignas(128) std::atomic<uint32_t> there{0};
  alignas(128) std::atomic<uint32_t> back{0};
  std::jthread echo([&] {
    PinTo(other_core);
    for (uint32_t i = 1; i <= kRounds; ++i) {
      FutexAwait(there, i);
      FutexPass(back, i);
    }
  });
  const double start = NowSeconds();
  for (uint32_t i = 1; i <= kRounds; ++i) {
    FutexPass(there, i);
    FutexAwait(back, i);
  }
  return (NowSeconds() - start) / kRounds * 1e6;
}

struct Free {
  void operator()(void* data) const { free(data); }
};
std::unique_ptr<std::byte[], Free> Filled(size_t bytes) {
  auto* data = static_cast<std::byte*>(aligned_alloc(4096, bytes));
  memset(data, 1, bytes);
  return std::unique_ptr<std::byte[], Free>(data);
}
double Memcpy() {
  constexpr int kRounds = 2'000;
  const auto from = Filled(kMiB), to = Filled(kMiB);
  const double start = NowSeconds();
  for (int i = 0; i < kRounds; ++i) {
    memcpy(to.get(), from.get(), kMiB);
    asm volatile("" : : "r"(to.get()) : "memory");
  }
  return kRounds * static_cast<double>(kMiB) / (NowSeconds() - start) / 1e9;
}

// ---- boost::lockfree::spsc_queue -------------------------------------------------------------------------------------------------------

double BoostRate(size_t batch) {
  constexpr uint64_t kMessages = 4'000'000;
  auto queue = std::make_unique<boost::lockfree::spsc_queue<Message64, boost::lockfree::capacity<kSmallDepth>>>();
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    std::vector<Message64> messages(batch);
    uint64_t sum = 0;
    for (uint64_t read = 0; read < kMessages;) {
      const size_t count = queue->pop(messages.data(), batch);
      if (count == 0) Pause();
      sum += Sum(messages.data(), count * sizeof(Message64));
      read += count;
    }
    sink += sum;
  });
  std::vector<Message64> messages(batch);
  for (uint64_t sent = 0; sent < kMessages;) {
    const size_t want = std::min<uint64_t>(batch, kMessages - sent);
    for (size_t i = 0; i < want; ++i) Fill64(&messages[i], sent + i);
    for (size_t done = 0; done < want;) {
      const size_t count = queue->push(messages.data() + done, want - done);
      if (count == 0) Pause();
      done += count;
    }
    sent += want;
  }
  consumer.join();
  return kMessages / (NowSeconds() - start) / 1e6;
}

// ---- ours ------------------------------------------------------------------------------------------------------------------------------

struct Kind {
  RingLayout layout = RingLayout::kFixedStride;
  WakeMode mode = WakeMode::kAsymmetric;
  uint64_t bytes = sizeof(Message64);
  uint64_t depth = kSmallDepth;
};
RingOptions OptionsOf(const Kind& kind) {
  RingOptions options{.layout = kind.layout, .capacity = kind.depth, .max_message = kind.bytes, .wake_mode = kind.mode};
  if (kind.layout == RingLayout::kFixedStride) {
    options.stride = kind.bytes;
  } else {
    options.payload_bytes = kind.depth * kind.bytes;
  }
  return options;
}

// A lane and a subscription, which reads it through a mapping of its own.
struct Subscription {
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  std::unique_ptr<LaneReader> reader;
  Subscription(Lane& lane, uint64_t id) {
    lane.writer->SetGate(GateOf(id, page.header(), page.slot(0), 0));
    reader = LaneReader::Open(lane.Fd(), page.slot(0), 0).value();
  }
};

template <typename Ring>
std::byte* Reserve(Ring& ring, size_t bytes) {
  while (true) {
    if (std::byte* room = ring.ReserveOrNull(bytes)) return room;
    Pause();
  }
}

// Reads up to `most` messages in place, and stores the position once.
template <typename Handle>
uint64_t ReadBatch(LaneReader& lane, uint64_t most, Handle handle) {
  uint64_t count = 0;
  RingItem item;
  while (count < most && lane.PeekInto(item)) {
    handle(item);
    lane.Finish();
    ++count;
  }
  lane.StorePosition();
  return count;
}

// Messages per second, in millions.
template <typename Fill, typename Handle>
double Rate(const Kind& kind, uint64_t messages, uint64_t batch, uint64_t subscriptions, Fill fill, Handle handle) {
  Lane lane(OptionsOf(kind));
  std::vector<std::unique_ptr<Subscription>> all;
  for (uint64_t i = 0; i < subscriptions; ++i) all.push_back(std::make_unique<Subscription>(lane, i));
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    std::vector<uint64_t> read(subscriptions, 0);
    for (uint64_t finished = 0; finished < subscriptions;) {
      for (uint64_t i = 0; i < subscriptions; ++i) {
        if (read[i] == messages) continue;
        const uint64_t count = ReadBatch(*all[i]->reader, 256, handle);
        if (count == 0) Pause();
        read[i] += count;
        if (read[i] == messages) ++finished;
      }
    }
  });
  RingWriter& ring = *lane.writer;
  for (uint64_t i = 0; i < messages;) {
    if (batch == 1) {
      fill(Reserve(ring, kind.bytes), i++);
      ring.Commit(kind.bytes);
      continue;
    }
    RingBatch many(ring);
    for (const uint64_t end = std::min(i + batch, messages); i < end; ++i) {
      fill(Reserve(many, kind.bytes), i);
      many.Add(kind.bytes);
    }
  }
  consumer.join();
  return static_cast<double>(messages) / (NowSeconds() - start) / 1e6;
}

inline void Read64(const RingItem& item) { sink += Sum(item.bytes.data(), sizeof(Message64)); }
double SmallRate(const Kind& kind, uint64_t batch = 1, uint64_t subscriptions = 1) {
  return Rate(
      kind, 3'000'000, batch, subscriptions, [](void* at, uint64_t i) { Fill64(at, i); }, [](const RingItem& item) { Read64(item); });
}

double LargeGigabytes() {
  const auto from = Filled(kMiB);
  const Kind kind{.layout = RingLayout::kDescriptors, .bytes = kMiB, .depth = 4};
  const double millions = Rate(
      kind, 3'000, 1, 1, [&](std::byte* at, uint64_t) { memcpy(at, from.get(), kMiB); },
      [](const RingItem& item) { sink += Sum(item.bytes.data(), item.bytes.size()); });
  return millions * 1e6 * static_cast<double>(kMiB) / 1e9;
}
// What was written once is handed over; each side touches one word.
double PointerRate(uint64_t bytes) {
  const Kind kind{.layout = RingLayout::kDescriptors, .bytes = bytes, .depth = 16};
  return Rate(
      kind, 1'000'000, 1, 1, [](std::byte* at, uint64_t i) { memcpy(at, &i, sizeof i); },
      [](const RingItem& item) { sink += *reinterpret_cast<const uint64_t*>(item.bytes.data()); });
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

void AddRates(Bench& bench) {
  const Kind fixed, descriptors{.layout = RingLayout::kDescriptors};
  const Kind fixed_fenced{.mode = WakeMode::kFenced}, descriptors_fenced{.layout = RingLayout::kDescriptors, .mode = WakeMode::kFenced};
  bench.Add("boost spsc, 64 B", "M/s", "", [] { return BoostRate(1); });
  bench.Add("64 B, fixed stride", "M/s", "boost spsc, 64 B", [=] { return SmallRate(fixed); });
  bench.Add("64 B, descriptors", "M/s", "boost spsc, 64 B", [=] { return SmallRate(descriptors); });
  bench.Add("64 B, fixed stride, fenced", "M/s", "boost spsc, 64 B", [=] { return SmallRate(fixed_fenced); });
  bench.Add("64 B, descriptors, fenced", "M/s", "boost spsc, 64 B", [=] { return SmallRate(descriptors_fenced); });
  bench.Add("boost spsc, batches of 256", "M/s", "", [] { return BoostRate(256); });
  bench.Add("batches of 256, fixed stride", "M/s", "boost spsc, batches of 256", [=] { return SmallRate(fixed, 256); });
  bench.Add("batches of 256, descriptors", "M/s", "boost spsc, batches of 256", [=] { return SmallRate(descriptors, 256); });
  bench.Add("2 subscriptions", "M/s", "64 B, fixed stride", [=] { return SmallRate(fixed, 1, 2); });
  bench.Add("4 subscriptions", "M/s", "64 B, fixed stride", [=] { return SmallRate(fixed, 1, 4); });
}

void AddLarge(Bench& bench) {
  bench.Add("memcpy, 1 MiB", "GB/s", "", Memcpy);
  bench.Add("1 MiB written and read in place", "GB/s", "memcpy, 1 MiB", LargeGigabytes);
  bench.Add("64 B, one word touched, 16 deep", "M/s", "", [] { return PointerRate(64); });
  bench.Add("1 MiB, one word touched, 16 deep", "M/s", "64 B, one word touched, 16 deep", [] { return PointerRate(kMiB); });
}

void AddRoundTrips(Bench& bench) {
  const Kind fixed, descriptors{.layout = RingLayout::kDescriptors};
  const Kind fenced{.mode = WakeMode::kFenced};
  constexpr uint64_t kPolls = 200'000, kSleeps = 5'000;
  bench.Add("cache line there and back", "ns", "", CacheLineRoundTrip);
  bench.Add("polling, fixed stride", "ns", "cache line there and back", [=] { return RoundTrip(fixed, kPolls, false, 1); });
  bench.Add("polling, descriptors", "ns", "cache line there and back", [=] { return RoundTrip(descriptors, kPolls, false, 1); });
  bench.Add("futex, two cores", "us", "", [] { return FutexRoundTrip(1); });
  bench.Add("blocking, asymmetric, two cores", "us", "futex, two cores", [=] { return RoundTrip(fixed, kSleeps, true, 1) / 1000; });
  bench.Add("blocking, fenced, two cores", "us", "futex, two cores", [=] { return RoundTrip(fenced, kSleeps, true, 1) / 1000; });
  bench.Add("futex, one core", "us", "", [] { return FutexRoundTrip(0); });
  bench.Add("blocking, asymmetric, one core", "us", "futex, one core", [=] { return RoundTrip(fixed, kSleeps, true, 0) / 1000; });
  bench.Add("blocking, fenced, one core", "us", "futex, one core", [=] { return RoundTrip(fenced, kSleeps, true, 0) / 1000; });
}

}  // namespace
}  // namespace puma::bench

int main(int argc, char** argv) {
  puma::RegisterMembarrier();
  puma::bench::PinTo(0);
  puma::bench::Bench bench;
  puma::bench::AddRates(bench);
  puma::bench::AddRoundTrips(bench);
  puma::bench::AddLarge(bench);
  return bench.Run(argc, argv);
}
