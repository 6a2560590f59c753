#ifndef PUMA_WORKER_ENVIRONMENT_EVENT_CORE_H_
#define PUMA_WORKER_ENVIRONMENT_EVENT_CORE_H_
// What puma::Event stands on: the sleep word that publishers look at, and the subscriptions that one sleep is for.
#include <puma/event.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "worker/buffer/task_page.h"
#include "worker/buffer/waiter.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

class SubscriptionCore;

class EventCore : public std::enable_shared_from_this<EventCore> {
 public:
  EventCore() = default;
  explicit EventCore(KickWord* kick) : kick_(kick) {}  // of a runnable, whose loop sleeps by itself, on SleepHeader's word
  void Set();                                          // ends one Wait; any thread
  void Kick();                                         // makes a Wait look again; any thread
  absl::Status Wait(Timeout timeout);

  absl::StatusOr<UniqueFd> SleepPage() PUMA_EXCLUDES(mutex_);  // a descriptor of the page whose sleep word Wait uses
  PageHeader* SleepHeader() PUMA_EXCLUDES(mutex_);             // null: nobody has asked for the page
  void Add(std::weak_ptr<SubscriptionCore> subscription) PUMA_EXCLUDES(mutex_);

 private:
  bool LookAround();
  void Sleep(uint32_t seen_kick, absl::Duration at_most);
  KickWord own_kick_;
  Spin spin_{Spin::kUsual};  // of the waiting thread
  KickWord* const kick_ = &own_kick_;
  std::atomic<bool> set_{false};
  Mutex mutex_;
  std::optional<TaskPage> page_ PUMA_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<SubscriptionCore>> subscriptions_ PUMA_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<SubscriptionCore>> waited_for_;  // of the waiting thread
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_EVENT_CORE_H_
