// Small messages as fast as they go: one publish each, in batches, to several subscriptions; beside the best known queue.
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

#include "tests/bench/buffer_cases.h"

namespace puma::bench {
namespace {

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

// Many to many: each message is a node whose turn is taken by compare-and-swap.
double BoostQueueRate() {
  constexpr uint64_t kMessages = 2'000'000;
  auto queue = std::make_unique<boost::lockfree::queue<Message64, boost::lockfree::capacity<kSmallDepth>>>();
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    Message64 message;
    uint64_t sum = 0;
    for (uint64_t read = 0; read < kMessages;) {
      if (!queue->pop(message)) {
        Pause();
        continue;
      }
      sum += Sum(&message, sizeof message);
      ++read;
    }
    sink += sum;
  });
  Message64 message;
  for (uint64_t i = 0; i < kMessages; ++i) {
    Fill64(&message, i);
    while (!queue->push(message)) Pause();
  }
  consumer.join();
  return kMessages / (NowSeconds() - start) / 1e6;
}

// As the host taps a buffer: every 2 ms it copies what is there, at most 64 KiB, and gates nothing.
class Tap {
 public:
  explicit Tap(Lane& lane)
      : segment_(Segment::MapReadOnly(lane.Fd(), Seals::kOneWriter, 1).value()),
        ring_(RingReader::Open({segment_.data(), segment_.size()}).value()),
        thread_([this](std::stop_token stop) {
          for (uint64_t next = ring_.constants().base; !stop.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds(2))) {
            for (int looks = 0; looks < 1024; ++looks) {
              const auto item = ring_.CopyOut(next, message_, gap_, 4096, whole_);
              if (!item.ok() || !item->has_value()) break;
              next = (*item)->number + 1;
              sink += whole_;
            }
          }
        }) {}

 private:
  Segment segment_;
  RingReader ring_;
  std::string message_;
  std::optional<RingReader::Gap> gap_;
  size_t whole_ = 0;
  std::jthread thread_;
};

// Messages per second, in millions.
template <typename Fill, typename Handle>
double Rate(const Kind& kind, uint64_t messages, uint64_t batch, uint64_t subscriptions, Fill fill, Handle handle, bool tapped = false) {
  Lane lane(OptionsOf(kind));
  std::vector<std::unique_ptr<Subscription>> all;
  for (uint64_t i = 0; i < subscriptions; ++i) all.push_back(std::make_unique<Subscription>(lane, i));
  std::optional<Tap> tap;
  if (tapped) tap.emplace(lane);
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

// An array is handed over, and read as far as it lies there in one piece.
double ArrayRate(const Kind& kind, uint64_t batch) {
  constexpr uint64_t kMessages = 4'000'000;
  Lane lane(OptionsOf(kind));
  Subscription subscription(lane, 0);
  const double start = NowSeconds();
  std::jthread consumer([&] {
    PinTo(1);
    uint64_t sum = 0;
    for (uint64_t read = 0; read < kMessages;) {
      const RingRun run = subscription.reader->PeekRun(batch);
      if (run.count == 0) {
        Pause();
        continue;
      }
      sum += Sum(run.data, run.count * sizeof(Message64));
      subscription.reader->FinishRun(run.count);
      subscription.reader->StorePosition();
      read += run.count;
    }
    sink += sum;
  });
  std::vector<Message64> messages(batch);
  for (uint64_t sent = 0; sent < kMessages;) {
    const size_t want = std::min<uint64_t>(batch, kMessages - sent);
    for (size_t i = 0; i < want; ++i) Fill64(&messages[i], sent + i);
    for (size_t done = 0; done < want;) {
      const size_t count = lane.writer->PublishMany(std::as_bytes(std::span(messages).subspan(done, want - done)), sizeof(Message64));
      if (count == 0) Pause();
      done += count;
    }
    sent += want;
  }
  consumer.join();
  return kMessages / (NowSeconds() - start) / 1e6;
}

double SmallRate(const Kind& kind, uint64_t batch = 1, uint64_t subscriptions = 1, bool tapped = false) {
  return Rate(
      kind, 3'000'000, batch, subscriptions, [](void* at, uint64_t i) { Fill64(at, i); }, [](const RingItem& item) { Read64(item); },
      tapped);
}

}  // namespace

void AddRates(Bench& bench) {
  const Kind fixed, descriptors{.layout = RingLayout::kDescriptors};
  const Kind fixed_fenced{.mode = WakeMode::kFenced}, descriptors_fenced{.layout = RingLayout::kDescriptors, .mode = WakeMode::kFenced};
  bench.Add("boost spsc, 64 B", "M/s", "", [] { return BoostRate(1); });
  bench.Add("64 B, fixed stride", "M/s", "boost spsc, 64 B", [=] { return SmallRate(fixed); });
  bench.Add("64 B, descriptors", "M/s", "boost spsc, 64 B", [=] { return SmallRate(descriptors); });
  bench.Add("64 B, fixed stride, tapped", "M/s", "64 B, fixed stride", [=] { return SmallRate(fixed, 1, 1, true); });
  bench.Add("64 B, descriptors, tapped", "M/s", "64 B, descriptors", [=] { return SmallRate(descriptors, 1, 1, true); });
  bench.Add("64 B, fixed stride, fenced", "M/s", "boost spsc, 64 B", [=] { return SmallRate(fixed_fenced); });
  bench.Add("64 B, descriptors, fenced", "M/s", "boost spsc, 64 B", [=] { return SmallRate(descriptors_fenced); });
  bench.Add("boost spsc, batches of 256", "M/s", "", [] { return BoostRate(256); });
  bench.Add("batches of 256, fixed stride", "M/s", "boost spsc, batches of 256", [=] { return ArrayRate(fixed, 256); });
  bench.Add("batches of 256, descriptors", "M/s", "boost spsc, batches of 256", [=] { return ArrayRate(descriptors, 256); });
  bench.Add("filled in place, fixed stride", "M/s", "boost spsc, batches of 256", [=] { return SmallRate(fixed, 256); });
  bench.Add("filled in place, descriptors", "M/s", "boost spsc, batches of 256", [=] { return SmallRate(descriptors, 256); });
  bench.Add("2 subscriptions", "M/s", "64 B, fixed stride", [=] { return SmallRate(fixed, 1, 2); });
  bench.Add("4 subscriptions", "M/s", "64 B, fixed stride", [=] { return SmallRate(fixed, 1, 4); });
  bench.Add("boost queue, 64 B", "M/s", "boost spsc, 64 B", BoostQueueRate);
  const auto touch = [](uint64_t bytes) {
    const Kind kind{.layout = RingLayout::kDescriptors, .bytes = bytes, .depth = 16};
    return Rate(
        kind, 1'000'000, 1, 1, [](void* at, uint64_t i) { memcpy(at, &i, sizeof i); },
        [](const RingItem& item) { sink += *reinterpret_cast<const uint64_t*>(item.bytes.data()); });
  };
  bench.Add("64 B, one word touched, 16 deep", "M/s", "", [=] { return touch(64); });
  bench.Add("1 MiB, one word touched, 16 deep", "M/s", "64 B, one word touched, 16 deep", [=] { return touch(kMiB); });
}

}  // namespace puma::bench
