#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <puma/logging.h>
#include <puma/testing/gtest_macros.h>
#include <puma/testing/log_capture.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/logging/folder.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"

namespace puma {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LogCapture;
using testing::LogRecord;

class CountingSink : public logging::RecordSink {
 public:
  void Write(const logging::Record& record) override {
    if (record.only_for_captures) return;
    MutexLock lock(mutex_);
    texts_.emplace_back(record.text);
  }
  std::vector<std::string> texts() {
    MutexLock lock(mutex_);
    return texts_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> texts_ PUMA_GUARDED_BY(mutex_);
};

class LogCaptureTest : public ::testing::Test {
 protected:
  LogCaptureTest() : before_(logging::InstallSink(&sink_)) {}
  ~LogCaptureTest() override {
    ResetLogging();
    logging::InstallSink(before_);
  }
  static std::vector<std::string> Texts(const LogCapture& capture, const testing::LogFilter& filter = {}) {
    std::vector<std::string> texts;
    for (const LogRecord& record : capture.Records(filter)) texts.push_back(record.text);
    return texts;
  }
  CountingSink sink_;
  logging::RecordSink* const before_;
  const Logger logger_{"imaging.sobel"};
};

TEST_F(LogCaptureTest, CapturesWithinItsScopeFromDebugOn) {
  logger_.error("before");
  {
    LogCapture capture;
    logger_.trace("too fine");
    logger_.debug("debug");
    logger_.error("error");
    EXPECT_THAT(Texts(capture), ElementsAre("debug", "error"));
  }
  logger_.debug("after");
  EXPECT_FALSE(logger_.enabled(Level::kInfo));
}

TEST_F(LogCaptureTest, WhatIsBelowTheLevelsGoesToTheCaptureOnly) {
  SetLevel("imaging", Level::kInfo);
  LogCapture capture({.level = Level::kTrace});
  logger_.trace("for the capture");
  logger_.info("for both");
  EXPECT_THAT(Texts(capture), ElementsAre("for the capture", "for both"));
  EXPECT_THAT(sink_.texts(), ElementsAre("for both"));
}

TEST_F(LogCaptureTest, KnowsAllOfARecord) {
  LogCapture capture;
  logger_.warn("three {}", 3);
  const int line = __LINE__ - 1;
  const auto records = capture.Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].level, Level::kWarn);
  EXPECT_EQ(records[0].logger, "imaging.sobel");
  EXPECT_EQ(records[0].process, "logging_log_capture_test");
  EXPECT_EQ(records[0].text, "three 3");
  EXPECT_EQ(records[0].function, "TestBody");
  EXPECT_EQ(records[0].line, line);
  EXPECT_THAT(records[0].file, HasSubstr("log_capture_test.cc"));
  EXPECT_GT(records[0].thread, 0);
  EXPECT_LE(records[0].time, absl::Now());
}

TEST_F(LogCaptureTest, CapturesNest) {
  LogCapture outer;
  logger_.info("1");
  {
    LogCapture inner;
    logger_.info("2");
    EXPECT_THAT(Texts(inner), ElementsAre("2"));
  }
  logger_.info("3");
  EXPECT_THAT(Texts(outer), ElementsAre("1", "2", "3"));
}

TEST_F(LogCaptureTest, AnInnerCaptureMayShieldTheOuterOne) {
  LogCapture outer;
  {
    LogCapture inner({.shield = true});
    logger_.error("expected by the inner test");
    EXPECT_THAT(Texts(inner), ElementsAre("expected by the inner test"));
  }
  logger_.error("for all");
  EXPECT_THAT(Texts(outer), ElementsAre("for all"));
  EXPECT_THAT(sink_.texts(), ElementsAre("for all"));
}

TEST_F(LogCaptureTest, EachCaptureHasItsLevel) {
  LogCapture errors({.level = Level::kError});
  LogCapture all({.level = Level::kTrace});
  logger_.trace("t");
  logger_.error("e");
  EXPECT_THAT(Texts(errors), ElementsAre("e"));
  EXPECT_THAT(Texts(all), ElementsAre("t", "e"));
}

TEST_F(LogCaptureTest, RecordsAreFilteredByLevelTextLoggerFileAndProcess) {
  LogCapture capture;
  const Logger imaging("imaging"), other("imagingx");
  imaging.info("one apple");
  logger_.warn("two apples");
  other.error("one pear");
  EXPECT_THAT(Texts(capture, {.level = Level::kWarn}), ElementsAre("two apples", "one pear"));
  EXPECT_THAT(Texts(capture, {.text = "apple"}), ElementsAre("one apple", "two apples"));
  EXPECT_THAT(Texts(capture, {.logger = "imaging"}), ElementsAre("one apple", "two apples"));  // by dotted prefix
  EXPECT_THAT(Texts(capture, {.file = "log_capture_test.cc"}), ::testing::SizeIs(3));
  EXPECT_THAT(Texts(capture, {.file = "sobel.cc"}), IsEmpty());
  EXPECT_THAT(Texts(capture, {.process = "nobody"}), IsEmpty());
  EXPECT_EQ(capture.Count({.level = Level::kWarn, .text = "apple"}), 1u);
  capture.Clear();
  EXPECT_EQ(capture.Count(), 0u);
}

TEST_F(LogCaptureTest, SavesToAFile) {
  tests::Folder folder;
  LogCapture capture;
  logger_.info("first");
  logger_.warn("second\nline");
  ASSERT_TRUE(capture.SaveTo(folder / "captured.log").ok());
  const std::string text = folder.Read("captured.log");
  EXPECT_EQ(text, capture.Text());
  EXPECT_THAT(text,
              ::testing::ContainsRegex("INFO  logging_log_capture_test imaging.sobel [0-9]+ log_capture_test.cc:TestBody:[0-9]+ first\n"));
  EXPECT_THAT(text, HasSubstr("second\\nline\n"));
  EXPECT_EQ(capture.SaveTo(folder / "no/such/folder").code(), absl::StatusCode::kNotFound);
}

TEST_F(LogCaptureTest, CapturesAllThreads) {
  LogCapture capture;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 100; ++n) logger_.info("x");
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(capture.Count(), 400u);
}

TEST_F(LogCaptureTest, ResetForgetsCapturesAndRestoreBringsThemBack) {
  LogCapture capture;
  const SavedLogging saved = SaveLogging();
  ResetLogging();
  logger_.error("not captured");
  RestoreLogging(saved);
  logger_.debug("captured");
  EXPECT_THAT(Texts(capture), ElementsAre("captured"));
}

TEST_F(LogCaptureTest, RestoreTakesLaterCapturesAwayAndLeavesEndedOnesEnded) {
  std::optional<LogCapture> ended(std::in_place);
  const SavedLogging with_ended = SaveLogging();
  ended.reset();
  LogCapture later;
  RestoreLogging(with_ended);
  logger_.error("for nobody");
  EXPECT_EQ(later.Count(), 0u);
  EXPECT_THAT(sink_.texts(), ElementsAre("for nobody"));
}

TEST_F(LogCaptureTest, TheAssertionsShowWhatWasLogged) {
  LogCapture capture({.shield = true});
  logger_.info("harmless");
  ASSERT_NO_WARNINGS_OR_ERRORS_LOGGED(capture);
  EXPECT_NO_WARNINGS_OR_ERRORS_LOGGED(capture);
  logger_.warn("the disk is nearly full");
  EXPECT_NONFATAL_FAILURE(EXPECT_NO_WARNINGS_OR_ERRORS_LOGGED(capture), "the disk is nearly full");
  ASSERT_NO_ERRORS_LOGGED(capture);
  EXPECT_NO_ERRORS_LOGGED(capture);
  EXPECT_LOGGED(capture, Level::kWarn, "disk");
  ASSERT_LOGGED(capture, Level::kInfo, "harmless");
  EXPECT_NONFATAL_FAILURE(EXPECT_LOGGED(capture, Level::kError, "disk"), "expected in the log");
  EXPECT_NONFATAL_FAILURE(EXPECT_LOGGED(capture, Level::kWarn, "harmless"), "harmless");
}

}  // namespace
}  // namespace puma
