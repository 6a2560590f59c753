#ifndef PUMA_WORKER_RUNNABLE_TICKER_H_
#define PUMA_WORKER_RUNNABLE_TICKER_H_
// When the next tick is due. Times are nanoseconds of any one clock, given by the caller: nothing here waits. Thread-compatible.
#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace puma::internal {

class Ticker {
 public:
  // Moves the next tick, counted from the last planned one. INVALID_ARGUMENT: not above zero.
  absl::Status SetInterval(absl::Duration interval) {
    if (interval <= absl::ZeroDuration()) return absl::InvalidArgumentError("a tick interval is above zero");
    const int64_t ns = std::max<int64_t>(absl::ToInt64Nanoseconds(interval), 1);
    if (ticking_) next_ = Later(next_ - interval_, ns);
    interval_ = ns;
    return absl::OkStatus();
  }
  // The first tick is due one interval after `now`. No effect if ticking. FAILED_PRECONDITION: no interval.
  absl::Status Resume(int64_t now) {
    if (interval_ == 0) return absl::FailedPreconditionError("ticks need an interval: call SetTickInterval first");
    if (!ticking_) next_ = Later(now, interval_);
    ticking_ = true;
    return absl::OkStatus();
  }
  void Pause() { ticking_ = false; }
  bool ticking() const { return ticking_; }
  int64_t next() const { return next_; }
  // True: a tick is due, and is taken now. Missed ones are not made up for; the rhythm stays.
  bool Take(int64_t now) {
    if (!ticking_ || now < next_) return false;
    const int64_t missed = (now - next_) / interval_;
    next_ = Later(next_, interval_ * (missed + 1));
    return true;
  }

 private:
  static int64_t Later(int64_t from, int64_t by) { return by > INT64_MAX - std::max<int64_t>(from, 0) ? INT64_MAX : from + by; }
  int64_t interval_ = 0, next_ = 0;
  bool ticking_ = false;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_TICKER_H_
