#ifndef PUMA_TESTING_MANUAL_CLOCK_H_
#define PUMA_TESTING_MANUAL_CLOCK_H_
// A clock that a test turns.
#include "absl/time/time.h"
#include "puma/runnable.h"

namespace puma::testing {

// Thread-compatible. Never goes back.
class ManualClock {
 public:
  Timestamp now() const { return now_; }
  void Advance(absl::Duration by) {
    if (by > absl::ZeroDuration()) now_ += by;
  }

 private:
  Timestamp now_ = absl::Seconds(1000);
};

}  // namespace puma::testing
#endif  // PUMA_TESTING_MANUAL_CLOCK_H_
