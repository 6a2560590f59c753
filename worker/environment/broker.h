#ifndef PUMA_WORKER_ENVIRONMENT_BROKER_H_
#define PUMA_WORKER_ENVIRONMENT_BROKER_H_
// The thread of an environment that serves other processes and the keeper's clock. It begins when it is first needed.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "worker/platform/mutex.h"
#include "worker/platform/unique_fd.h"

namespace puma::internal {

// What the broker polls. Called on its thread only.
class Served {
 public:
  virtual ~Served() = default;
  virtual int socket() const = 0;
  virtual bool wants_to_send() = 0;
  virtual bool Serve(short events) = 0;  // false: it is over
  virtual void Over() = 0;
};

class Broker {
 public:
  explicit Broker(std::function<void(int64_t)> tick);  // told the time when WakeAt's has come
  ~Broker();
  void WakeAt(int64_t monotonic_ns) PUMA_EXCLUDES(mutex_);
  void Add(std::shared_ptr<Served> served) PUMA_EXCLUDES(mutex_);
  void LookAgain() PUMA_EXCLUDES(mutex_);                      // something wants to be sent
  void Post(std::function<void()> act) PUMA_EXCLUDES(mutex_);  // called on the thread, soon
  // Joins. What is served is over. On its own thread, where the last who knew the environment may let it go: the thread ends by itself.
  void Stop() PUMA_EXCLUDES(mutex_);

 private:
  void Begin() PUMA_REQUIRES(mutex_);
  void Run() PUMA_EXCLUDES(mutex_);
  bool CallPosted(const std::atomic<bool>& left) PUMA_EXCLUDES(mutex_);
  int TimeLeft() PUMA_EXCLUDES(mutex_);
  void RingBell();

  const std::function<void(int64_t)> tick_;
  UniqueFd bell_;
  Mutex mutex_;
  std::thread thread_ PUMA_GUARDED_BY(mutex_);
  std::map<int, std::shared_ptr<Served>> served_ PUMA_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> posted_ PUMA_GUARDED_BY(mutex_);
  int64_t wake_at_ PUMA_GUARDED_BY(mutex_) = 0;
  bool stopping_ PUMA_GUARDED_BY(mutex_) = false;
  const std::shared_ptr<std::atomic<bool>> left_ = std::make_shared<std::atomic<bool>>(false);  // the broker is gone: touch nothing of it
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_BROKER_H_
