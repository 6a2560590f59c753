#ifndef PUMA_WORKER_BUFFER_WAITER_H_
#define PUMA_WORKER_BUFFER_WAITER_H_
// Sleeping on many words at once (futex_waitv), with an own word that anybody of this process may kick.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "worker/buffer/layout.h"

namespace puma {

// Wakes everybody who sleeps on a word in a segment. For who ends a peer's waiting when a process is proven dead.
void WakeShared(const Word32* word);

// Sleeps of this process that only the belt ended although there was work. More than a rare coincidence says that a wake-up was lost.
uint64_t BeltWakeups();
void CountBeltWakeup();

// A word that changes when there may be something to do. Thread-safe: any thread kicks, one thread waits.
class KickWord {
 public:
  void Kick();  // wakes the sleeper, now or at its next attempt to sleep
  uint32_t value() const { return word_.load(std::memory_order_acquire); }
  const Word32* word() const { return &word_; }

 private:
  Word32 word_{0};
};

// What one sleep waits on: up to kMaxWords words with the values they had when they were looked at.
class WaitSet {
 public:
  static constexpr size_t kMaxWords = 127;
  void Clear() {
    entries_.clear();
    overflowed_ = false;
  }
  bool full() const { return entries_.size() >= kMaxWords; }  // beyond it Sleep polls
  void AddShared(const Word32* word, uint32_t seen);          // in a segment
  void AddPrivate(const Word32* word, uint32_t seen);         // of this process
  // Sleeps until a word differs from its seen value or is woken, or for `at_most` (CLOCK_MONOTONIC), or for 2 s: a belt. Returns early for
  // any reason; callers look again. False: those 2 s were over.
  bool Sleep(absl::Duration at_most) const;

 private:
  struct Entry {
    const Word32* word;
    uint32_t seen;
    bool shared;
  };
  void Add(const Entry& entry);
  int SleepOnAll(absl::Duration at_most) const;
  void SleepOnFirst(absl::Duration at_most) const;
  std::vector<Entry> entries_;
  bool overflowed_ = false;
};

// Looking for a while before going to sleep: a wake costs two system calls and a hundred hand-overs, so in a busy stream a few microseconds
// of looking are cheaper. By time, not by count. Who has spun in vain several times in a row sleeps at once, and only tries again now and
// then: an idle reader costs nothing. Only the sleeping thread uses it; one for each place that sleeps.
class Spin {
 public:
  static constexpr uint32_t kPatience = 8;                          // spins in vain until it gives up
  static constexpr uint32_t kTryAgain = 128;                        // then every so many sleeps it tries once
  static constexpr absl::Duration kUsual = absl::Microseconds(20);  // about two membarriers, and a wake by another core
  Spin() = default;                                                 // never spins
  explicit Spin(absl::Duration limit) : limit_ns_(absl::ToInt64Nanoseconds(limit)) {}
  absl::Duration limit() const { return absl::Nanoseconds(limit_ns_); }

  // Asks `look` until it says true, the limit is over or `at_most` is. False: it never did, or was not asked.
  template <typename Look>
  bool Until(absl::Duration at_most, Look look) {
    if (limit_ns_ <= 0 || !Worthwhile()) return false;
    const int64_t end = Now() + std::min(limit_ns_, absl::ToInt64Nanoseconds(at_most));
    while (!look()) {
      if (Now() >= end) {
        ++in_vain_;
        return false;
      }
      Relax();
    }
    in_vain_ = 0;
    return true;
  }

 private:
  bool Worthwhile() {
    if (in_vain_ < kPatience) return true;
    if (++skipped_ < kTryAgain) return false;
    skipped_ = 0;
    return true;
  }
  static int64_t Now();
  static void Relax();  // tells the core that it waits
  int64_t limit_ns_ = 0;
  uint32_t in_vain_ = 0;
  uint32_t skipped_ = 0;
};

// How a publisher waits for room: for how long, what else may end it, and how long it looks before it sleeps.
struct RoomWait {
  absl::Time deadline = absl::InfiniteFuture();  // on MonotonicTime
  KickWord* kick = nullptr;                      // null: none
  const Word32* command_tail = nullptr;          // shared; null: none
  std::function<bool()> interrupted;             // asked whenever kick or command_tail have moved. Null: never
  Spin* spin = nullptr;                          // null: sleeps at once
};

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_WAITER_H_
