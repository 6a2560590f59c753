#include "worker/environment/event_core.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "worker/buffer/lane_reader.h"
#include "worker/environment/subscription_core.h"
#include "worker/platform/system.h"

namespace puma {
namespace internal {

void EventCore::Set() {
  set_.store(true, std::memory_order_release);
  kick_->Kick();
}

void EventCore::Kick() { kick_->Kick(); }

absl::StatusOr<UniqueFd> EventCore::SleepPage() {
  MutexLock lock(mutex_);
  if (!page_) {
    auto page = TaskPage::Create(0, 0, {});
    if (!page.ok()) return page.status();
    page_ = *std::move(page);
  }
  return UniqueFd(::fcntl(page_->segment().fd(), F_DUPFD_CLOEXEC, 0));
}

void EventCore::Add(std::weak_ptr<SubscriptionCore> subscription) {
  {
    MutexLock lock(mutex_);
    std::erase_if(subscriptions_, [](const auto& each) { return each.expired(); });
    subscriptions_.push_back(std::move(subscription));
  }
  kick_->Kick();
}

// Has any subscription something to take? Keeps all of them for the sleep.
bool EventCore::LookAround() {
  waited_for_.clear();
  {
    MutexLock lock(mutex_);
    for (const auto& each : subscriptions_) {
      if (auto subscription = each.lock()) waited_for_.push_back(std::move(subscription));
    }
  }
  return std::any_of(waited_for_.begin(), waited_for_.end(), [](const auto& subscription) { return subscription->HasWork(); });
}

PageHeader* EventCore::SleepHeader() {
  MutexLock lock(mutex_);
  return page_ ? &page_->header() : nullptr;
}

void EventCore::Sleep(uint32_t seen_kick, absl::Duration at_most) {
  PageHeader* const page = SleepHeader();
  std::vector<LaneReader*> readers;
  for (const auto& subscription : waited_for_) subscription->CollectReaders(readers);
  const absl::Time deadline = at_most == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + at_most;
  if (page != nullptr)
    return SleepOnLanes({.page = *page, .lanes = readers, .kick = *kick_, .seen_kick = seen_kick, .deadline = deadline, .spin = &spin_});
  PageHeader own{};  // no subscription yet: nobody looks at its word
  SleepOnLanes({.page = own, .lanes = readers, .kick = *kick_, .seen_kick = seen_kick, .deadline = deadline});
}

absl::Status EventCore::Wait(Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError("event: a timeout is a duration above zero, kNoWait or kInfinite");
  const bool forever = timeout.duration() == absl::InfiniteDuration();
  // Rounded up and saturated: never early.
  const int64_t begin = MonotonicNanos();
  const int64_t at_most =
      forever ? 0 : absl::ToInt64Nanoseconds(absl::Ceil(std::min(timeout.duration(), absl::Hours(24 * 36500)), absl::Nanoseconds(1)));
  while (true) {
    const uint32_t seen_kick = kick_->value();
    const bool ready = set_.exchange(false, std::memory_order_acq_rel) || LookAround();
    const int64_t left = begin + at_most - MonotonicNanos();
    if (ready || (!forever && left <= 0)) {
      waited_for_.clear();
      return ready ? absl::OkStatus() : absl::DeadlineExceededError("event: not set within the time given");
    }
    Sleep(seen_kick, forever ? absl::InfiniteDuration() : absl::Nanoseconds(left));
  }
}

}  // namespace internal

Event::Event() : core_(std::make_shared<internal::EventCore>()) {}
Event::~Event() = default;
void Event::Set() { core_->Set(); }
absl::Status Event::Wait(Timeout timeout) { return core_->Wait(timeout); }

}  // namespace puma
