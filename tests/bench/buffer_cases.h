#ifndef PUMA_TESTS_BENCH_BUFFER_CASES_H_
#define PUMA_TESTS_BENCH_BUFFER_CASES_H_
// What the cases of buffer_bench share: messages, lanes with their subscriptions, and the counter of system calls.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/buffer/lane_fixture.h"
#include "worker/buffer/ring_batch.h"

namespace puma::bench {

using testing::GateOf;
using testing::Lane;

void AddRates(Bench& bench);
void AddRoundTrips(Bench& bench);
void AddLarge(Bench& bench);
void AddWakes(Bench& bench);
void AddPeers(Bench& bench);

// Stored and loaded sixteen bytes at a time, here and in every peer's case: what was stored in halves can't be forwarded to a wider load,
// which then waits for every earlier store to reach its line, and measures nothing but that.
using Wide [[gnu::vector_size(16)]] = uint64_t;
struct alignas(16) Message64 {
  Wide words[4];
};
inline constexpr uint64_t kMiB = 1 << 20;
inline constexpr uint64_t kSmallDepth = 1000;
inline thread_local uint64_t sink;  // keeps what was read

// `bytes`: a multiple of 64.
inline uint64_t Sum(const void* data, size_t bytes) {
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

inline void Fill64(void* at, uint64_t i) {
  auto* words = static_cast<Wide*>(at);
  for (uint64_t k = 0; k < 4; ++k) words[k] = Wide{i, k};
}

struct Free {
  void operator()(void* data) const { free(data); }
};
inline std::unique_ptr<std::byte[], Free> Filled(size_t bytes) {
  auto* data = static_cast<std::byte*>(aligned_alloc(4096, bytes));
  memset(data, 1, bytes);
  return std::unique_ptr<std::byte[], Free>(data);
}
struct Kind {
  RingLayout layout = RingLayout::kFixedStride;
  WakeMode mode = WakeMode::kAsymmetric;
  uint64_t bytes = sizeof(Message64);
  uint64_t depth = kSmallDepth;
};
inline RingOptions OptionsOf(const Kind& kind) {
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

inline void Read64(const RingItem& item) { sink += Sum(item.bytes.data(), sizeof(Message64)); }

// Every system call that goes through ::syscall (futex, futex_waitv, membarrier): the linker puts our counter before it.
struct Calls {
  uint64_t all = 0, wakes = 0;
};
Calls& CallsOfThisThread();

double CpuSeconds();  // of the process

}  // namespace puma::bench
#endif  // PUMA_TESTS_BENCH_BUFFER_CASES_H_
