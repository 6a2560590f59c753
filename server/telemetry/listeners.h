#ifndef PUMA_SERVER_TELEMETRY_LISTENERS_H_
#define PUMA_SERVER_TELEMETRY_LISTENERS_H_
// Who wants to be told that there is something new.
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe. No lock of its owner may be held in Notify.
class Listeners {
 public:
  // Calls `f` with each Notify until the handle is destroyed; after that `f` is not running either (so `f` must not destroy its own
  // handle).
  std::shared_ptr<void> Add(std::function<void()> f) {
    auto listener = std::make_shared<Listener>(std::move(f));
    {
      MutexLock lock(mutex_);
      std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
      listeners_.push_back(listener);
    }
    return std::shared_ptr<void>(nullptr, [listener](void*) {
      MutexLock lock(listener->mutex);
      listener->call = nullptr;
    });
  }

  void Notify() {
    std::vector<std::shared_ptr<Listener>> now;
    {
      MutexLock lock(mutex_);
      for (const auto& weak : listeners_) {
        if (std::shared_ptr<Listener> listener = weak.lock()) now.push_back(std::move(listener));
      }
    }
    for (const auto& listener : now) {
      MutexLock lock(listener->mutex);
      if (listener->call) listener->call();
    }
  }

 private:
  struct Listener {
    explicit Listener(std::function<void()> f) : call(std::move(f)) {}
    Mutex mutex;
    std::function<void()> call PUMA_GUARDED_BY(mutex);
  };
  Mutex mutex_;
  std::vector<std::weak_ptr<Listener>> listeners_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_LISTENERS_H_
