#ifndef PUMA_TESTS_PRIMITIVES_WAITING_H_
#define PUMA_TESTS_PRIMITIVES_WAITING_H_
// What the tests of waits share.
#include <chrono>
#include <functional>
#include <thread>

#include "tests/environment/both_kinds.h"

namespace puma::testing {

inline constexpr Timeout kLong = absl::Seconds(60);  // a watchdog

// A wait that nobody ends: it gives up, and never early.
inline void ExpectNeverEarly(const std::function<absl::Status(Timeout)>& wait) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(wait(kNoWait)));
  for (absl::Duration timeout : {absl::Nanoseconds(1) / 4, absl::Microseconds(1), absl::Milliseconds(14), absl::Milliseconds(15),
                                 absl::Milliseconds(16), absl::Milliseconds(18), absl::Milliseconds(300)}) {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = wait(timeout);
    EXPECT_GE(absl::FromChrono(std::chrono::steady_clock::now() - begin), timeout);
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  }
}

inline void ExpectInvalidTimeouts(const std::function<absl::Status(Timeout)>& wait) {
  for (absl::Duration timeout : {absl::ZeroDuration(), absl::Nanoseconds(-1), -absl::Hours(1), -absl::InfiniteDuration()}) {
    EXPECT_TRUE(absl::IsInvalidArgument(wait(timeout))) << timeout;
  }
}

// Centuries are for ever.
inline const absl::Duration kVeryLong[] = {absl::Hours(24 * 365) * int64_t{400}, absl::Hours(24 * 365) * int64_t{100'000'000'000},
                                           absl::InfiniteDuration()};

}  // namespace puma::testing
#endif  // PUMA_TESTS_PRIMITIVES_WAITING_H_
