#ifndef PUMA_CLIENT_LIB_WAITING_H_
#define PUMA_CLIENT_LIB_WAITING_H_
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace puma::client {

// Waiting times between attempts: 20 ms, doubled up to 500 ms.
class Backoff {
 public:
  // False, at once: `until` would be passed, or stop was requested meanwhile.
  bool Wait(absl::Time until, std::stop_token stop) {
    if (absl::Now() + next_ > until) return false;
    std::mutex mutex;
    std::condition_variable_any sleep;
    std::unique_lock<std::mutex> lock(mutex);
    sleep.wait_for(lock, stop, absl::ToChronoNanoseconds(next_), [] { return false; });
    next_ = std::min(2 * next_, absl::Milliseconds(500));
    return !stop.stop_requested();
  }

 private:
  absl::Duration next_ = absl::Milliseconds(20);
};

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_WAITING_H_
