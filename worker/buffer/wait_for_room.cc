#include <algorithm>
#include <optional>

#include "worker/buffer/ring.h"
#include "worker/buffer/stop_point.h"
#include "worker/platform/system.h"

namespace puma {
namespace {

std::optional<size_t> FirstWithRoom(std::span<RingWriter* const> rings, size_t bytes) {
  for (size_t i = 0; i < rings.size(); ++i) {
    if (rings[i]->HasRoom(bytes)) return i;
  }
  return std::nullopt;
}

// Keeps the want of all rings announced while it lives.
class Want {
 public:
  Want(std::span<RingWriter* const> rings, size_t bytes) : rings_(rings) {
    for (RingWriter* ring : rings_) ring->AnnounceWant(bytes);
  }
  ~Want() {
    for (RingWriter* ring : rings_) ring->WithdrawWant();
  }
  Want(const Want&) = delete;
  Want& operator=(const Want&) = delete;
  bool CanSleepLong() const {
    return std::all_of(rings_.begin(), rings_.end(), [](const RingWriter* ring) { return ring->CanSleepLong(); });
  }

 private:
  std::span<RingWriter* const> rings_;
};

// Says in all rings' headers that their publisher waits.
class Blocked {
 public:
  explicit Blocked(std::span<RingWriter* const> rings) : rings_(rings) {
    const int64_t now = MonotonicNanos();
    for (RingWriter* ring : rings_) ring->BeginBlocked(now);
  }
  ~Blocked() {
    const int64_t now = MonotonicNanos();
    for (RingWriter* ring : rings_) ring->EndBlocked(now);
  }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  std::span<RingWriter* const> rings_;
};

absl::Status CanEverHaveRoom(std::span<RingWriter* const> rings, size_t bytes) {
  if (rings.empty()) return absl::InvalidArgumentError("ring: no ring to wait for");
  for (const RingWriter* ring : rings) {
    if (bytes > ring->constants().max_message) return absl::InvalidArgumentError("ring: the message is larger than max_message");
    if (ring->completed()) return absl::FailedPreconditionError("ring: completed");
  }
  return absl::OkStatus();
}

// The words that may interrupt, with the values they had before the question that they announce.
struct Interrupts {
  explicit Interrupts(const RoomWait& wait) : kick(wait.kick), command_tail(wait.command_tail) {
    if (kick != nullptr) seen_kick = kick->value();
    if (command_tail != nullptr) seen_command = command_tail->load(std::memory_order_acquire);
  }
  bool Moved() const {
    return (kick != nullptr && kick->value() != seen_kick) ||
           (command_tail != nullptr && command_tail->load(std::memory_order_acquire) != seen_command);
  }
  void AddTo(WaitSet& set) const {
    if (kick != nullptr) set.AddPrivate(kick->word(), seen_kick);
    if (command_tail != nullptr) set.AddShared(command_tail, seen_command);
  }
  const KickWord* kick;
  const Word32* command_tail;
  uint32_t seen_kick = 0, seen_command = 0;
};

}  // namespace

absl::StatusOr<size_t> WaitForRoom(std::span<RingWriter* const> rings, size_t bytes, const RoomWait& wait) {
  if (absl::Status status = CanEverHaveRoom(rings, bytes); !status.ok()) return status;
  WaitSet set;
  std::optional<Blocked> blocked;
  while (true) {
    if (auto found = FirstWithRoom(rings, bytes)) return *found;
    const Interrupts interrupts(wait);
    if (wait.interrupted && wait.interrupted()) return absl::CancelledError("ring: the wait for room was interrupted");
    const absl::Duration left = wait.deadline == absl::InfiniteFuture() ? absl::InfiniteDuration() : wait.deadline - MonotonicTime();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("ring: no room within the time given");
    const auto look = [&] { return FirstWithRoom(rings, bytes).has_value() || interrupts.Moved(); };
    if (wait.spin != nullptr && wait.spin->Until(left, look)) continue;

    if (!blocked.has_value()) blocked.emplace(rings);
    Want want(rings, bytes);  // F1, F2
    PUMA_STOP_POINT("want | look");
    if (auto found = FirstWithRoom(rings, bytes)) return *found;  // F3
    set.Clear();
    interrupts.AddTo(set);
    bool all_lag = true;
    for (RingWriter* ring : rings) all_lag = ring->AddLaggingTo(set) && all_lag;
    if (!all_lag) continue;
    PUMA_STOP_POINT("look at positions | wait");
    const bool rested = set.Sleep(want.CanSleepLong() ? left : std::min(left, absl::Milliseconds(1)));  // F4
    if (!rested && FirstWithRoom(rings, bytes)) CountBeltWakeup();
  }  // F5
}

}  // namespace puma
