#ifndef PUMA_TESTS_ENVIRONMENT_BOTH_KINDS_H_
#define PUMA_TESTS_ENVIRONMENT_BOTH_KINDS_H_
// One test body for threads and processes: the other end of a buffer is a job of the environment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <puma/environment.h>
#include <puma/testing/log_capture.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/buffer/waiter.h"

namespace puma::testing {

// The warnings and errors that this process logs while it lives.
class CapturedLog {
 public:
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const LogRecord& record : capture_.Records({.level = Level::kWarn})) lines.push_back(record.text);
    return lines;
  }

 private:
  LogCapture capture_;
};

// A watchdog, no timing assumption.
inline ::testing::AssertionResult Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (!condition()) {
    if (absl::Now() > deadline) return ::testing::AssertionFailure() << "never came";
    absl::SleepFor(absl::Milliseconds(1));
  }
  return ::testing::AssertionSuccess();
}

// Everything that comes until the completion.
template <class T>
struct Received {
  std::vector<T> values;
  std::vector<absl::Status> completions;
};
template <class T>
Received<T> TakeAll(Subscription<T>& subscription, Event& event) {
  Received<T> received;
  while (received.completions.empty()) {
    EXPECT_TRUE(event.Wait(absl::Seconds(60)).ok()) << "nothing came within the watchdog's time";
    auto taken = subscription.Drain([&](const T& value) { received.values.push_back(value); },
                                    [&](const absl::Status& error) { received.completions.push_back(error); });
    EXPECT_TRUE(taken.ok()) << taken.status();
    if (::testing::Test::HasFailure()) break;
  }
  return received;
}
// What is there now.
template <class T>
std::vector<T> TakeSome(Subscription<T>& subscription, size_t at_most = 1000) {
  std::vector<T> values;
  auto taken = subscription.Drain([&](const T& value) { values.push_back(value); }, [](const absl::Status&) {}, at_most);
  EXPECT_TRUE(taken.ok()) << taken.status();
  return values;
}

class BothKinds : public ::testing::TestWithParam<const char*> {
 protected:
  bool processes() const { return std::string(GetParam()) == "processes"; }
  std::unique_ptr<Environment> env_ = CreateEnvironment(GetParam());
};
inline std::string KindName(const ::testing::TestParamInfo<const char*>& info) { return info.param; }
#define PUMA_IN_BOTH_KINDS(Fixture) \
  INSTANTIATE_TEST_SUITE_P(In, Fixture, ::testing::Values("threads", "processes"), ::puma::testing::KindName)

// ---- jobs ------------------------------------------------------------------------------------------------------------------------------

// {buffer, first, count, end}: publishes ints. end: "complete", "leave", or the text of an error.
absl::Status PublishInts(Environment& environment, const std::vector<std::string>& arguments);
// {buffer, count}: takes that many ints and leaves. Its error is their list.
absl::Status TakeInts(Environment& environment, const std::vector<std::string>& arguments);
// {buffer}: takes all ints to the completion. Its error is their list, and the completion's message if that is an error.
absl::Status TakeIntsToTheEnd(Environment& environment, const std::vector<std::string>& arguments);
// {buffer, gate}: subscribes, says so by a 1 in buffer `gate`, and waits for the gate's second use by the test, a value in "go".
absl::Status SubscribeAndWait(Environment& environment, const std::vector<std::string>& arguments);

inline std::string Listed(const std::vector<int>& values) {
  std::string list;
  for (int value : values) list += (list.empty() ? "" : " ") + std::to_string(value);
  return list;
}

}  // namespace puma::testing
#endif  // PUMA_TESTS_ENVIRONMENT_BOTH_KINDS_H_
