#ifndef PUMA_EVENT_H_
#define PUMA_EVENT_H_
// What a program sleeps on: one event serves any number of subscriptions.
#include <memory>

#include "puma/status.h"

namespace puma {

namespace internal {
class EventCore;
}

// Auto-reset and sticky: each Set ends one Wait, also one that begins later. It counts as set, too, while a subscription made with it has
// something to take, so that a bounded batch leaves nothing behind. One thread at a time waits, and takes from the event's subscriptions;
// any thread sets.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void Set();
  // OK: set. DEADLINE_EXCEEDED: not within the timeout, and never earlier. INVALID_ARGUMENT: a timeout of zero or less.
  absl::Status Wait(Timeout timeout = kInfinite);

  const std::shared_ptr<internal::EventCore>& core() const { return core_; }

 private:
  std::shared_ptr<internal::EventCore> core_;
};

}  // namespace puma
#endif  // PUMA_EVENT_H_
