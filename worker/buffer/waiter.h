#ifndef PUMA_WORKER_BUFFER_WAITER_H_
#define PUMA_WORKER_BUFFER_WAITER_H_
// Sleeping on many words at once (futex_waitv), with an own word that anybody of this process may kick.
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

// What may end a wait for room early: words to sleep on, and the question whether it is over.
struct Interrupts {
  KickWord* kick = nullptr;
  const Word32* command_tail = nullptr;  // shared; null: none
  std::function<bool()> interrupted;     // null: never
};

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_WAITER_H_
