#ifndef PUMA_SERVER_SUPERVISOR_EVENT_LOOP_H_
#define PUMA_SERVER_SUPERVISOR_EVENT_LOOP_H_
// The supervisor's one thread: descriptors, posted work, one timer. Everything that decides runs here.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/platform/mutex.h"
#include "worker/platform/unique_fd.h"

namespace puma::server {

class EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  // Any thread. Work runs in the order of the calls.
  void Post(std::function<void()> work) PUMA_EXCLUDES(mutex_);
  void Stop();

  // Only the loop's thread, or before Run. `ready` is called while `fd` is readable; Unwatch may be called from within.
  void Watch(int fd, std::function<void()> ready);
  void WatchWritable(int fd, bool on);  // also call `ready` while it is writable
  void Unwatch(int fd);

  // Runs until Stop. `idle` is called before each sleep and returns when it wants to be called again at the latest (CLOCK_BOOTTIME ns; 0:
  // never).
  void Run(const std::function<int64_t()>& idle);

 private:
  EventLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  void RunPosted() PUMA_EXCLUDES(mutex_);
  UniqueFd epoll_, wake_;
  std::map<int, std::shared_ptr<std::function<void()>>> watched_;
  Mutex mutex_;
  std::vector<std::function<void()>> posted_ PUMA_GUARDED_BY(mutex_);
  bool stopped_ PUMA_GUARDED_BY(mutex_) = false;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_EVENT_LOOP_H_
