#ifndef PUMA_TESTING_LOG_CAPTURE_H_
#define PUMA_TESTING_LOG_CAPTURE_H_
// What a part of a test logs. Needs no test framework; the assertions for GoogleTest stand in gtest_macros.h.
//
//   puma::testing::LogCapture capture;
//   DoIt();
//   EXPECT_EQ(capture.Count({.level = puma::Level::kWarn}), 0);
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "puma/log.h"

namespace puma::testing {

struct LogRecord {
  absl::Time time;
  Level level = Level::kInfo;
  std::string process;  // who logged: the program's name, or a child's
  std::string logger;   // "": nobody in particular
  int64_t thread = 0;   // as the kernel counts
  std::string file, function;
  int line = 0;
  std::string text;
};

// Which records; all conditions must hold, and an empty one always does.
struct LogFilter {
  Level level = Level::kTrace;  // from this one on
  std::string text;             // the text contains it
  std::string logger;           // the logger's name, or a section: "imaging" means "imaging" and "imaging.sobel"
  std::string file;             // the path ends so: "sobel.cc"
  std::string process;          // its name
};

struct LogCaptureOptions {
  // Records from here on are made while the capture lives, whatever the levels say; what is below them goes nowhere else.
  Level level = Level::kDebug;
  // Keeps the records from captures around this one, and from console and files.
  bool shield = false;
};

// Captures what this process logs, all its threads, while it lives, and what its child processes log. Captures nest: each has all records
// that none within it has shielded. Works in a child process, too, for what is logged there. Thread-safe.
//
// A record of this process is there when the logging call has returned; a child's at the latest when its runner is closed. A child that
// runs already hears of the level a moment later; one that is started within the scope has it from the start.
class LogCapture {
 public:
  explicit LogCapture(LogCaptureOptions options = {});
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  std::vector<LogRecord> Records(const LogFilter& filter = {}) const;
  size_t Count(const LogFilter& filter = {}) const;
  // One line each, as the console would show it.
  std::string Text(const LogFilter& filter = {}) const;
  // The same, to a file that is made anew.
  absl::Status SaveTo(const std::string& path) const;
  void Clear();

 private:
  class Taken;
  std::shared_ptr<Taken> taken_;
};

}  // namespace puma::testing
#endif  // PUMA_TESTING_LOG_CAPTURE_H_
