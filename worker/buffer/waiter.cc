#include "worker/buffer/waiter.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>

#include "worker/platform/system.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace puma {
namespace {

constexpr absl::Duration kBelt = absl::Seconds(2);       // no wake-up is lost for longer than this, whatever happened
constexpr absl::Duration kPoll = absl::Milliseconds(1);  // where the kernel can't watch all that the sleeper waits for

std::atomic<uint64_t> belt_wakeups{0};
std::atomic<bool> no_waitv{false};  // before Linux 5.16, or a filter forbids it

void Wake(const Word32* word, int operation) { ::syscall(SYS_futex, word, operation, INT_MAX, nullptr, nullptr, 0); }

timespec ToTimespec(int64_t nanos) {
  nanos = std::max<int64_t>(nanos, 0);
  return {static_cast<time_t>(nanos / 1'000'000'000), static_cast<long>(nanos % 1'000'000'000)};
}

}  // namespace

void WakeShared(const Word32* word) { Wake(word, FUTEX_WAKE); }

uint64_t BeltWakeups() { return belt_wakeups.load(std::memory_order_relaxed); }
void CountBeltWakeup() { belt_wakeups.fetch_add(1, std::memory_order_relaxed); }

void KickWord::Kick() {
  word_.fetch_add(1, std::memory_order_release);  // with value(): what was written before the kick is seen after it
  Wake(&word_, FUTEX_WAKE_PRIVATE);
}

int64_t Spin::Now() { return MonotonicNanos(); }
void Spin::Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void WaitSet::AddShared(const Word32* word, uint32_t seen) { Add({word, seen, true}); }
void WaitSet::AddPrivate(const Word32* word, uint32_t seen) { Add({word, seen, false}); }

void WaitSet::Add(const Entry& entry) {
  if (full()) {
    overflowed_ = true;
  } else {
    entries_.push_back(entry);
  }
}

bool WaitSet::Sleep(absl::Duration at_most) const {
  if (at_most <= absl::ZeroDuration()) return true;
  const absl::Duration pause = std::min(at_most, overflowed_ ? kPoll : kBelt);
  if (entries_.empty()) {
    const timespec time = absl::ToTimespec(pause);
    ::nanosleep(&time, nullptr);
    return true;
  }
  if (!no_waitv.load(std::memory_order_relaxed)) {
    const int error = SleepOnAll(pause);
    if (error != ENOSYS && error != EPERM) return error != ETIMEDOUT || pause < kBelt;
    no_waitv.store(true, std::memory_order_relaxed);
  }
  SleepOnFirst(std::min(pause, kPoll));
  return true;
}

// 0, or errno.
int WaitSet::SleepOnAll(absl::Duration at_most) const {
  std::array<futex_waitv, kMaxWords> words;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const uint32_t flags = FUTEX_32 | (entries_[i].shared ? 0 : FUTEX_PRIVATE_FLAG);
    words[i] = {entries_[i].seen, reinterpret_cast<uintptr_t>(entries_[i].word), flags, 0};
  }
  const timespec deadline = ToTimespec(MonotonicNanos() + absl::ToInt64Nanoseconds(at_most));
  return ::syscall(SYS_futex_waitv, words.data(), entries_.size(), 0, &deadline, CLOCK_MONOTONIC) >= 0 ? 0 : errno;
}

// The kernel watches one word; the time covers the others. (Only the kernel may look at shared ones: they may be unmapped meanwhile.)
void WaitSet::SleepOnFirst(absl::Duration at_most) const {
  for (const Entry& entry : entries_) {
    if (!entry.shared && entry.word->load(std::memory_order_acquire) != entry.seen) return;
  }
  const timespec pause = absl::ToTimespec(at_most);
  ::syscall(SYS_futex, entries_[0].word, entries_[0].shared ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE, entries_[0].seen, &pause, nullptr, 0);
}

}  // namespace puma
