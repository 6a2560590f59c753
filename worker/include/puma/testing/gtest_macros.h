#ifndef PUMA_TESTING_GTEST_MACROS_H_
#define PUMA_TESTING_GTEST_MACROS_H_
// Assertions for GoogleTest. Failures show the records that were captured.
#include <gtest/gtest.h>

#include "puma/logging.h"
#include "puma/status.h"
#include "puma/testing/log_capture.h"

namespace puma::testing::internal {

inline ::testing::AssertionResult NothingLogged(const LogCapture& capture, const LogFilter& filter) {
  const std::string lines = capture.Text(filter);
  if (lines.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "unexpected in the log:\n" << lines;
}

inline ::testing::AssertionResult Logged(const LogCapture& capture, const LogFilter& filter) {
  if (capture.Count(filter) > 0) return ::testing::AssertionSuccess();
  const std::string all = capture.Text();
  return ::testing::AssertionFailure() << "expected in the log, from " << LevelName(filter.level) << " on: \"" << filter.text
                                       << "\". There is:\n"
                                       << (all.empty() ? "(nothing)\n" : all);
}

inline ::testing::AssertionResult IsOk(const absl::Status& status) {
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << Explain(status);
}
template <class T>
::testing::AssertionResult IsOk(const absl::StatusOr<T>& result) {
  return IsOk(result.status());
}

}  // namespace puma::testing::internal

// Of a status or a StatusOr. A failure shows the error with its causes and its stack.
#define PUMA_EXPECT_OK(...) EXPECT_TRUE(::puma::testing::internal::IsOk((__VA_ARGS__)))
#define PUMA_ASSERT_OK(...) ASSERT_TRUE(::puma::testing::internal::IsOk((__VA_ARGS__)))

// `capture` is a puma::testing::LogCapture.
#define EXPECT_NO_WARNINGS_OR_ERRORS_LOGGED(capture) \
  EXPECT_TRUE(::puma::testing::internal::NothingLogged((capture), {.level = ::puma::Level::kWarn}))
#define ASSERT_NO_WARNINGS_OR_ERRORS_LOGGED(capture) \
  ASSERT_TRUE(::puma::testing::internal::NothingLogged((capture), {.level = ::puma::Level::kWarn}))
#define EXPECT_NO_ERRORS_LOGGED(capture) EXPECT_TRUE(::puma::testing::internal::NothingLogged((capture), {.level = ::puma::Level::kError}))
#define ASSERT_NO_ERRORS_LOGGED(capture) ASSERT_TRUE(::puma::testing::internal::NothingLogged((capture), {.level = ::puma::Level::kError}))
// There is a record from `severity` (puma::Level) on whose text contains `text`.
#define EXPECT_LOGGED(capture, severity, contained) \
  EXPECT_TRUE(::puma::testing::internal::Logged((capture), {.level = (severity), .text = (contained)}))
#define ASSERT_LOGGED(capture, severity, contained) \
  ASSERT_TRUE(::puma::testing::internal::Logged((capture), {.level = (severity), .text = (contained)}))
#endif  // PUMA_TESTING_GTEST_MACROS_H_
