#include "worker/primitives/primitive_core.h"

#include <fmt/format.h>

#include <cerrno>
#include <ctime>

#include "absl/time/clock.h"
#include "worker/buffer/waiter.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

absl::Time DeadlineAfter(Timeout timeout) {  // rounded up and saturated: never early
  const absl::Duration at_most = timeout.duration();
  if (at_most > absl::Hours(24 * 36500)) return absl::InfiniteFuture();
  return MonotonicTime() + absl::Ceil(at_most, absl::Nanoseconds(1));
}

// Sleeps until the word is no longer `seen`, or its sleepers are woken. False: the deadline has passed.
bool SleepOn(const Word32& word, uint32_t seen, absl::Time deadline) {
  const absl::Duration left = deadline == absl::InfiniteFuture() ? absl::InfiniteDuration() : deadline - MonotonicTime();
  if (left <= absl::ZeroDuration()) return false;
  WaitSet words;
  words.AddShared(&word, seen);
  words.Sleep(left);
  return true;
}

int LockBy(pthread_mutex_t& mutex, absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) return ::pthread_mutex_lock(&mutex);
#if defined(__SANITIZE_THREAD__)  // it does not know pthread_mutex_clocklock, nor that one with a time may find a dead holder
  int error = EBUSY;
  while ((error = ::pthread_mutex_trylock(&mutex)) == EBUSY && MonotonicTime() < deadline) absl::SleepFor(absl::Milliseconds(1));
  return error == EBUSY ? ETIMEDOUT : error;
#else
  const timespec until = absl::ToTimespec(deadline);
  return ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
#endif
}

}  // namespace

PageLayout& PrimitiveCore::Usable() {
  if (page_ == nullptr) Throw(status_);
  return layout();
}

absl::Status PrimitiveCore::CheckTimeout(Timeout timeout) const {
  if (!status_.ok()) return status_;
  if (timeout.valid() && !timeout.as_spec()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("\"{}\": a timeout is a duration above zero, kNoWait or kInfinite", name_));
}

absl::Status PrimitiveCore::NotWithin(Timeout timeout, std::string_view what) const {
  return absl::DeadlineExceededError(fmt::format("\"{}\" {} within {}", name_, what, absl::FormatDuration(timeout.duration())));
}

// ---- events ----------------------------------------------------------------------------------------------------------------------------

// All are woken and one takes it: were only one woken, it might be one that is just being killed. Exchanged, not stored: who takes one of
// two sets sees what both setters have written.
void PrimitiveCore::SetOnce() {
  Word32& word = Usable().word;
  word.exchange(1, std::memory_order_release);
  WakeShared(&word);
}

absl::Status PrimitiveCore::TakeSet(Timeout timeout) {
  if (absl::Status status = CheckTimeout(timeout); !status.ok()) return status;
  Word32& word = layout().word;
  const absl::Time deadline = DeadlineAfter(timeout);
  while (true) {
    uint32_t set = 1;
    if (word.compare_exchange_strong(set, 0, std::memory_order_acquire)) return absl::OkStatus();
    if (!SleepOn(word, 0, deadline)) return NotWithin(timeout, "was not set");
  }
}

// The lowest bit: set. The others count how often it was, so that who waits sees one that was reset at once. Set twice is written twice, so
// that what the second setter has written before is seen, too.
void PrimitiveCore::SetUntilReset() {
  Word32& word = Usable().word;
  uint32_t now = word.load(std::memory_order_relaxed);
  while (!word.compare_exchange_weak(now, (now & 1) != 0 ? now : now + 3, std::memory_order_release, std::memory_order_relaxed)) {
  }
  WakeShared(&word);
}

void PrimitiveCore::Reset() { Usable().word.fetch_and(~uint32_t{1}, std::memory_order_release); }
bool PrimitiveCore::IsSet() { return (Usable().word.load(std::memory_order_acquire) & 1) != 0; }

absl::Status PrimitiveCore::AwaitSet(Timeout timeout) {
  if (absl::Status status = CheckTimeout(timeout); !status.ok()) return status;
  const Word32& word = layout().word;
  const absl::Time deadline = DeadlineAfter(timeout);
  const uint32_t first = word.load(std::memory_order_acquire);
  for (uint32_t now = first; (now & 1) == 0 && now == first; now = word.load(std::memory_order_acquire)) {
    if (!SleepOn(word, first, deadline)) return NotWithin(timeout, "was not set");
  }
  return absl::OkStatus();
}

// ---- the lock --------------------------------------------------------------------------------------------------------------------------

absl::Status PrimitiveCore::Acquire(Timeout timeout, bool& held) {
  held = false;
  if (absl::Status status = CheckTimeout(timeout); !status.ok()) return status;
  absl::Status status = AcquireUntil(DeadlineAfter(timeout), held);
  if (absl::IsDeadlineExceeded(status)) return NotWithin(timeout, "did not become free");
  return status;
}

absl::Status PrimitiveCore::AcquireUntil(absl::Time deadline, bool& held) {
  pthread_mutex_t& mutex = layout().mutex;
  int error = ::pthread_mutex_trylock(&mutex);  // says nothing of who holds it
  while (error == EBUSY || error == ETIMEDOUT) {
    if (error == ETIMEDOUT && MonotonicTime() >= deadline) return absl::DeadlineExceededError("");
    error = LockBy(mutex, deadline);
  }
  held = error == 0 || error == EOWNERDEAD;
  if (error == 0) return absl::OkStatus();
  if (error == EDEADLK) return absl::FailedPreconditionError(fmt::format("\"{}\" is held by this thread already", name_));
  if (error != EOWNERDEAD) return ErrnoStatus(error, fmt::format("lock \"{}\"", name_));
  ::pthread_mutex_consistent(&mutex);
  return absl::AbortedError(fmt::format("\"{}\": its holder died; what it protects may be half done", name_));
}

void PrimitiveCore::Release() { ::pthread_mutex_unlock(&layout().mutex); }

// ---- the condition ---------------------------------------------------------------------------------------------------------------------

// Its place, held by this thread; null: none is free.
Waiter* PrimitiveCore::NewWaiter() {
  for (Waiter& waiter : page_->waiters()) {
    const int error = ::pthread_mutex_trylock(&waiter.alive);
    if (error != 0 && error != EOWNERDEAD) continue;  // somebody lives there
    if (error == EOWNERDEAD) ::pthread_mutex_consistent(&waiter.alive);
    waiter.notified.store(0, std::memory_order_relaxed);
    waiter.ticket = ++layout().last_ticket;
    return &waiter;
  }
  return nullptr;
}

absl::Status PrimitiveCore::AwaitUntil(absl::Time deadline) {
  Waiter* const self = NewWaiter();
  if (self == nullptr) return absl::ResourceExhaustedError(fmt::format("\"{}\": {} wait for it already", name_, page_->waiters().size()));
  Release();
  while (self->notified.load(std::memory_order_acquire) == 0 && SleepOn(self->notified, 0, deadline)) {
  }
  bool held = false;
  absl::Status status = AcquireUntil(absl::InfiniteFuture(), held);
  const bool notified = self->notified.load(std::memory_order_acquire) != 0;
  self->ticket = 0;
  ::pthread_mutex_unlock(&self->alive);
  return status.ok() && !notified ? absl::DeadlineExceededError("") : status;
}

absl::Status PrimitiveCore::AwaitNotification(Timeout timeout) {
  if (absl::Status status = CheckTimeout(timeout); !status.ok()) return status;
  absl::Status status = AwaitUntil(DeadlineAfter(timeout));
  return absl::IsDeadlineExceeded(status) ? NotWithin(timeout, "was not notified") : status;
}

absl::Status PrimitiveCore::AwaitPredicate(absl::FunctionRef<bool()> predicate, Timeout timeout) {
  if (absl::Status status = CheckTimeout(timeout); !status.ok()) return status;
  const absl::Time deadline = DeadlineAfter(timeout);
  while (!predicate()) {
    absl::Status status = AwaitUntil(deadline);
    const bool late = status.ok() ? MonotonicTime() >= deadline : absl::IsDeadlineExceeded(status);
    if (late) return predicate() ? absl::OkStatus() : NotWithin(timeout, "did not come to what was waited for");
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Who has waited longest, has not been notified yet and lives; null: nobody.
Waiter* PrimitiveCore::FirstWaiter() {
  while (true) {
    Waiter* first = nullptr;
    for (Waiter& waiter : page_->waiters()) {
      if (waiter.ticket == 0 || waiter.notified.load(std::memory_order_relaxed) != 0) continue;
      if (first == nullptr || waiter.ticket < first->ticket) first = &waiter;
    }
    if (first == nullptr) return nullptr;
    const int error = ::pthread_mutex_trylock(&first->alive);
    if (error != 0 && error != EOWNERDEAD) return first;
    if (error == EOWNERDEAD) ::pthread_mutex_consistent(&first->alive);
    first->ticket = 0;  // it died while it waited
    ::pthread_mutex_unlock(&first->alive);
  }
}

void PrimitiveCore::NotifyOne() {
  Waiter* const waiter = FirstWaiter();
  if (waiter == nullptr) return;
  waiter->notified.store(1, std::memory_order_release);
  WakeShared(&waiter->notified);
}

void PrimitiveCore::NotifyAll() {
  for (Waiter& waiter : page_->waiters()) {
    if (waiter.ticket == 0) continue;
    waiter.notified.store(1, std::memory_order_release);
    WakeShared(&waiter.notified);
  }
}

}  // namespace puma::internal
