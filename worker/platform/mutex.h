#ifndef PUMA_WORKER_PLATFORM_MUTEX_H_
#define PUMA_WORKER_PLATFORM_MUTEX_H_
// std::mutex with clang's thread-safety annotations. (Debian's absl::Mutex is a debug build: five times slower, and it aborts on what it
// takes for a lock-order inversion.)
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

#if defined(__clang__)
#define PUMA_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PUMA_THREAD_ANNOTATION(x)
#endif
#define PUMA_CAPABILITY(x) PUMA_THREAD_ANNOTATION(capability(x))
#define PUMA_SCOPED_CAPABILITY PUMA_THREAD_ANNOTATION(scoped_lockable)
#define PUMA_GUARDED_BY(x) PUMA_THREAD_ANNOTATION(guarded_by(x))
#define PUMA_PT_GUARDED_BY(x) PUMA_THREAD_ANNOTATION(pt_guarded_by(x))
#define PUMA_REQUIRES(...) PUMA_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define PUMA_EXCLUDES(...) PUMA_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define PUMA_ACQUIRE(...) PUMA_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define PUMA_RELEASE(...) PUMA_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define PUMA_NO_THREAD_SAFETY_ANALYSIS PUMA_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace puma {

class PUMA_CAPABILITY("mutex") Mutex {
 public:
  void Lock() PUMA_ACQUIRE() { mutex_.lock(); }
  void Unlock() PUMA_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class PUMA_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PUMA_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() PUMA_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  // Returns early for any reason; callers look again. The deadline belts a lost notification.
  void WaitFor(Mutex& mutex, absl::Duration at_most) PUMA_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait_for(lock, absl::ToChronoNanoseconds(at_most));
    lock.release();
  }
  void NotifyAll() { condition_.notify_all(); }
  void NotifyOne() { condition_.notify_one(); }

 private:
  std::condition_variable condition_;
};

}  // namespace puma
#endif  // PUMA_WORKER_PLATFORM_MUTEX_H_
