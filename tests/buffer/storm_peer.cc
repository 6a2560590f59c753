// A process that publishes or consumes until it is killed. Built with stop points: it can be told to die between two steps of the protocol.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/buffer/lane_fixture.h"
#include "tests/buffer/storm_messages.h"
#include "worker/buffer/stop_point.h"
#include "worker/platform/system.h"

namespace puma {
namespace {

using testing::Hear;
using testing::kMaxWords;
using testing::kPeerSocket;
using testing::Record;
using testing::Say;
using testing::Tell;
using testing::Words;

Words start;

void Fail(const char* what) {
  (void)!::write(STDERR_FILENO, what, strlen(what));
  ::_exit(1);
}

// ---- the publisher ---------------------------------------------------------------------------------------------------------------------

class Publisher {
 public:
  Publisher() : lane_(Options()), random_(start.seed) {
    for (uint32_t i = 0; i < start.subscription; ++i) lane_.writer->SetGate({.subscription = i, .floor = start.base});
    const int fd = lane_.segment.fd();
    Tell(kPeerSocket, {.say = Say::kLane, .lane = start.lane}, std::span(&fd, 1));
    std::thread([this] { Control(); }).detach();
  }
  [[noreturn]] void Run() {
    RingWriter* ring = lane_.writer.get();
    const RoomWait wait{.kick = &kick_, .interrupted = [this] { return finish_.load(); }};
    while (!finish_) {
      const size_t bytes = 8 * (start.fixed ? 8 : 1 + random_() % kMaxWords);
      if (!WaitForRoom(std::span(&ring, 1), bytes, wait).ok()) continue;
      auto room = ring->TryReserve(bytes);
      if (!room.ok()) Fail("there was room, and then there was none\n");
      auto* words = reinterpret_cast<uint64_t*>(room->data());
      std::fill(words, words + bytes / 8, ring->tail());
      ring->Commit(bytes);
      if (random_() % 64 == 0) ::usleep(random_() % 200);  // readers fall asleep now and then
    }
    ring->Complete("over");
    while (true) ::pause();
  }

 private:
  static RingOptions Options() {
    RingOptions options{.lane_id = start.lane, .epoch = start.run, .base = start.base, .capacity = 13};
    options.wake_mode = start.asymmetric ? WakeMode::kAsymmetric : WakeMode::kFenced;
    options.max_message = start.fixed ? 64 : 8 * kMaxWords;
    if (start.fixed) {
      options.layout = RingLayout::kFixedStride;
      options.stride = 64;
    } else {
      options.payload_bytes = 3 * options.max_message;
    }
    return options;
  }
  void Control() {
    while (true) {
      Packet packet = ReceivePacket(kPeerSocket);
      Words order;
      if (!Hear(packet, order)) ::_exit(0);
      if (order.say == Say::kFinish) {
        finish_ = true;
        kick_.Kick();
        continue;
      }
      auto page = TaskPageView::Open(std::move(packet.fds.at(0)));
      if (!page.ok()) Fail("a page is refused\n");
      auto kept = std::make_unique<TaskPageView>(*std::move(page));
      lane_.writer->SetGate(testing::GateOf(order.subscription, kept->header(), kept->slot(order.slot), start.base));
      std::swap(pages_[order.subscription], kept);  // the old one is unmapped: nobody looks at it any more
    }
  }

  testing::Lane lane_;
  std::mt19937_64 random_;
  KickWord kick_;
  std::atomic<bool> finish_{false};
  std::unique_ptr<TaskPageView> pages_[8];
};

// ---- the consumer ----------------------------------------------------------------------------------------------------------------------

class Consumer {
 public:
  explicit Consumer(int record)
      : record_(static_cast<Record*>(::mmap(nullptr, sizeof(Record), PROT_READ | PROT_WRITE, MAP_SHARED, record, 0))),
        page_(TaskPage::Create(1, start.run, std::span(start.state, start.states)).value()) {
    if (record_ == MAP_FAILED) Fail("no record\n");
    const int fd = page_.segment().fd();
    Tell(kPeerSocket, {.say = Say::kPage}, std::span(&fd, 1));
    std::thread([this] { Control(); }).detach();
  }
  [[noreturn]] void Run() {
    while (true) {
      const uint32_t seen_kick = kick_.value();
      TakeOrders();
      const bool ended = !lanes_.empty() && std::find(ended_.begin(), ended_.end(), lanes_.front().id) != ended_.end();
      if (!lanes_.empty() && Drain(*lanes_.front().reader)) continue;
      if (ended) {  // the look that found nothing came after we had learned of the end
        const uint64_t id = lanes_.front().id;
        lanes_.pop_front();
        Tell(kPeerSocket, {.say = Say::kLeft, .lane = id});
        continue;
      }
      LaneReader* lane = lanes_.empty() ? nullptr : lanes_.front().reader.get();
      SleepOnLanes({.page = page_.header(), .lanes = std::span(&lane, lane != nullptr ? 1 : 0), .kick = kick_, .seen_kick = seen_kick});
    }
  }

 private:
  struct Lane {
    uint64_t id;
    std::unique_ptr<LaneReader> reader;
  };

  void Control() {
    while (true) {
      Packet packet = ReceivePacket(kPeerSocket);
      Words order;
      if (!Hear(packet, order)) ::_exit(0);
      {
        MutexLock lock(mutex_);
        orders_.push_back({order, packet.fds.empty() ? UniqueFd() : std::move(packet.fds[0])});
      }
      kick_.Kick();
    }
  }
  void TakeOrders() {
    std::vector<std::pair<Words, UniqueFd>> orders;
    {
      MutexLock lock(mutex_);
      orders.swap(orders_);
    }
    for (auto& [order, fd] : orders) {
      if (order.say == Say::kEnded) ended_.push_back(order.lane);
      if (order.say != Say::kAttachLane) continue;
      auto reader = LaneReader::Open(std::move(fd), page_.slot(order.slot), order.base);
      if (!reader.ok()) Fail("a lane is refused\n");
      lanes_.push_back({order.lane, *std::move(reader)});
    }
  }
  // A batch. False: nothing was there.
  bool Drain(LaneReader& lane) {
    int count = 0;
    for (; count < 5; ++count) {
      auto item = lane.Peek();
      if (!item.ok()) Fail("data loss\n");
      if (!item->has_value()) break;
      lane.Begin();
      Handle(**item);
      lane.Finish();
    }
    lane.StorePosition();
    return count > 0;
  }
  void Handle(const RingItem& item) {
    if (item.kind == MessageKind::kComplete) {
      record_->completed = 1;
      return;
    }
    const auto* words = reinterpret_cast<const uint64_t*>(item.bytes.data());
    for (size_t i = 0; i < item.bytes.size() / 8; ++i) {
      if (words[i] != item.number) ++record_->foreign;
    }
    const uint64_t expected = record_->expected;
    if (item.number == expected) {
      record_->expected = expected + 1;
    } else if (item.number == expected - 1) {
      ++record_->duplicates;
    } else {
      ++record_->disorder;
    }
  }

  Record* record_;
  TaskPage page_;
  std::deque<Lane> lanes_;  // of one publisher, older epochs first
  std::vector<uint64_t> ended_;
  KickWord kick_;
  Mutex mutex_;
  std::vector<std::pair<Words, UniqueFd>> orders_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace

void internal::StopPoint(const char* name) {
  static std::atomic<uint64_t> passed{0};
  if (std::string_view(name) == start.die_at && passed.fetch_add(1) >= start.die_after) ::raise(SIGKILL);
}

}  // namespace puma

int main() {
  puma::RegisterMembarrier();
  puma::Packet packet = puma::ReceivePacket(puma::testing::kPeerSocket);
  if (!puma::testing::Hear(packet, puma::start)) return 0;
  if (const uint32_t uid = puma::start.uid; uid != 0 && (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0)) return 1;
  if (puma::start.say == puma::testing::Say::kPublish) puma::Publisher().Run();
  puma::Consumer(packet.fds.at(0).get()).Run();
}
