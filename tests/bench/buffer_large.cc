// Large messages: beside a copy on one core, a raw hand-over between two, and many publishers at once.
#include <algorithm>

#include "tests/bench/buffer_cases.h"

namespace puma::bench {
namespace {

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

// What two cores can do: one copies into an area of so many messages, the other sums; two plain counters say how far each is.
double RawHandOver(uint64_t messages, uint64_t depth = 4) {
  const auto from = Filled(kMiB), area = Filled(depth * kMiB);
  alignas(128) std::atomic<uint64_t> written{0};
  alignas(128) std::atomic<uint64_t> read{0};
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    for (uint64_t i = 0; i < messages; ++i) {
      while (written.load(std::memory_order_acquire) == i) Pause();
      sink += Sum(area.get() + i % depth * kMiB, kMiB);
      read.store(i + 1, std::memory_order_release);
    }
  });
  for (uint64_t i = 0; i < messages; ++i) {
    while (i - read.load(std::memory_order_acquire) == depth) Pause();
    memcpy(area.get() + i % depth * kMiB, from.get(), kMiB);
    written.store(i + 1, std::memory_order_release);
  }
  consumer.join();
  return static_cast<double>(messages * kMiB) / (NowSeconds() - start) / 1e9;
}

double Large(uint64_t messages) {
  const auto from = Filled(kMiB);
  Lane lane(OptionsOf({.layout = RingLayout::kDescriptors, .bytes = kMiB, .depth = 4}));
  Subscription subscription(lane, 1);
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    for (uint64_t read = 0; read < messages;) {
      const uint64_t count = ReadBatch(*subscription.reader, 1, [](const RingItem& item) { sink += Sum(item.bytes.data(), kMiB); });
      if (count == 0) Pause();
      read += count;
    }
  });
  for (uint64_t i = 0; i < messages; ++i) {
    memcpy(Reserve(*lane.writer, kMiB), from.get(), kMiB);
    lane.writer->Commit(kMiB);
  }
  consumer.join();
  return static_cast<double>(messages * kMiB) / (NowSeconds() - start) / 1e9;
}

// Threads that publish messages of 64 KiB, each into its own lane; one reads them all, and sleeps when there is nothing. Both sides spin
// and then block, as runnables do. With two cores all publishers share one: that many of them cost no more than one is all that can be
// shown.
double ManyPublishers(uint64_t publishers) {
  constexpr uint64_t kBytes = 64 << 10;
  const uint64_t each = 65'536 / publishers;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::unique_ptr<LaneReader>> readers;
  std::vector<LaneReader*> all;
  TaskPage page = TaskPage::Create(1, 1, {}).value();
  for (uint64_t i = 0; i < publishers; ++i) {
    RingOptions options = OptionsOf({.layout = RingLayout::kDescriptors, .bytes = kBytes, .depth = 8});
    options.lane_id = i + 1;
    lanes.push_back(std::make_unique<Lane>(options));
    PageSlot& slot = page.slot(static_cast<uint32_t>(i));
    lanes.back()->writer->SetGate(GateOf(1, page.header(), slot, 0));
    readers.push_back(LaneReader::Open(lanes.back()->Fd(), slot, 0).value());
    all.push_back(readers.back().get());
  }
  const auto from = Filled(kBytes);
  KickWord kick;
  const double start = NowSeconds();
  std::vector<std::jthread> threads;
  for (auto& lane : lanes) {
    threads.emplace_back([&from, &lane, each] {
      PinTo(0);
      RingWriter* ring = lane->writer.get();
      Spin spin(Spin::kUsual);
      for (uint64_t i = 0; i < each; ++i) {
        std::byte* room;
        while ((room = ring->ReserveOrNull(kBytes)) == nullptr) (void)WaitForRoom({&ring, 1}, kBytes, {.spin = &spin});
        memcpy(room, from.get(), kBytes);
        ring->Commit(kBytes);
      }
    });
  }
  PinTo(1);
  Spin spin(Spin::kUsual);
  for (uint64_t read = 0; read < each * publishers;) {
    uint64_t count = 0;
    for (LaneReader* lane : all) {
      count += ReadBatch(*lane, 4, [](const RingItem& item) { sink += Sum(item.bytes.data(), kBytes); });
    }
    if (count == 0) SleepOnLanes({.page = page.header(), .lanes = all, .kick = kick, .seen_kick = kick.value(), .spin = &spin});
    read += count;
  }
  const double seconds = NowSeconds() - start;
  PinTo(0);
  return static_cast<double>(each * publishers * kBytes) / seconds / 1e9;
}

}  // namespace

void AddLarge(Bench& bench) {
  bench.Add("memcpy, 1 MiB", "GB/s", "", Memcpy);
  bench.Add("raw hand-over, 1 MiB", "GB/s", "memcpy, 1 MiB", [] { return RawHandOver(2'000); });
  bench.Add("1 MiB written and read in place", "GB/s", "raw hand-over, 1 MiB", [] { return Large(2'000); });
  bench.Add("1 publisher, 64 KiB", "GB/s", "raw hand-over, 1 MiB", [] { return ManyPublishers(1); });
  bench.Add("8 publishers, 64 KiB", "GB/s", "1 publisher, 64 KiB", [] { return ManyPublishers(8); });
  bench.Add("raw hand-over, 1 MiB, through 32 MiB", "GB/s", "raw hand-over, 1 MiB", [] { return RawHandOver(2'000, 32); });
  bench.Add("64 publishers, 64 KiB (32 MiB of lanes)", "GB/s", "raw hand-over, 1 MiB, through 32 MiB", [] { return ManyPublishers(64); });
}

}  // namespace puma::bench
