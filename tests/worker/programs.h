#ifndef PUMA_TESTS_WORKER_PROGRAMS_H_
#define PUMA_TESTS_WORKER_PROGRAMS_H_
// What the tests of runners share: small runnables, and the reading of a buffer to its end.
#include <puma/environment.h>

#include <string>
#include <vector>

#include "tests/environment/both_kinds.h"

namespace puma::testing {

inline constexpr Timeout kLong = absl::Seconds(60);  // a watchdog

// Publishes 1..count and completes, or fails, or waits to be stopped.
class Counter : public Runnable {
 public:
  explicit Counter(Setup& setup)
      : count_(setup.Param("count", 3, "how many")),
        end_(setup.Param("end", "complete", "complete, fail, throw, wait")),
        out_(setup.Output<int>("numbers")) {}

 protected:
  absl::Status Execute() override {
    for (int i = 1; i <= count_; ++i) PUMA_RETURN_IF_ERROR(out_.PublishValue(i, absl::Seconds(60)));
    if (end_ == "fail") return InvalidArgument("the counter has failed");
    if (end_ == "throw") throw std::out_of_range("the counter has thrown");
    if (end_ == "complete") return out_.PublishComplete();
    return Service();
  }

 private:
  int count_;
  std::string end_;
  puma::Output<int> out_;
};

// Hands on what it gets, times a factor.
class Scaler : public Runnable {
 public:
  explicit Scaler(Setup& setup) : factor_(setup.Param("factor", 2, "multiplies")), out_(setup.Output<int>("scaled")) {
    setup.Input("numbers", &Scaler::OnNumber);
  }

 private:
  absl::Status OnNumber(const int& number) { return out_.PublishValue(number * factor_, absl::Seconds(60)); }
  int factor_;
  puma::Output<int> out_;
};

template <class T>
Received<T> ReadToTheEnd(Buffer<T>& buffer) {
  Event event;
  auto subscription = buffer.Subscribe(event);
  return TakeAll(subscription, event);
}

}  // namespace puma::testing
#endif  // PUMA_TESTS_WORKER_PROGRAMS_H_
