#ifndef PUMA_LOGGING_H_
#define PUMA_LOGGING_H_
// What is logged, and where it goes. Without any of this: warnings and errors of all threads and processes, as lines on stderr.
//
// A *section* is a dotted prefix of loggers' names: "imaging" is a section of the logger "imaging.sobel", and so is "imaging.sobel" itself.
// A logger takes the level of the nearest section that was given one, else the root's. All functions are thread-safe; none throws.
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "puma/log.h"

namespace puma {

// Configures this process, and all that it starts as its children, from now on: levels, destinations and the form of a line.
//   ""  or "development"   everything from debug on, to stderr
//   "production"           from info on to logs/<program>_<time>.NNNNNN.log (10 MiB each, the newest 20 are kept); warnings to stderr, too
//   anything else          the path of a YAML file; worker/logging/README.md shows all that may stand in it
// Levels set before by hand are undone. Relative paths of log files are taken from the working directory of this moment.
// Errors, upon which everything stays as it was: NOT_FOUND and others for a file that can't be read; INVALID_ARGUMENT "file:line:column:
// what is wrong"; FAILED_PRECONDITION in a child process or under the host, where the parent decides; the error of a log file that can't be
// opened.
absl::Status InitLogging(std::string_view configuration = "");

// The level of a section from now on; "" is the root. The root's leaves sections alone that were given one. Running children follow.
void SetLevel(std::string_view section, Level level);
// One level for all: what sections were given before is forgotten.
void OverrideLevels(Level level);
// The level that a logger of this name has, captures for tests (puma/testing/log_capture.h) aside.
Level LevelOf(std::string_view logger);

// Forgets everything: levels, destinations, captures. As at the start of the process.
void ResetLogging();
// Closes all destinations. Records are dropped silently from now on, until InitLogging, ResetLogging or RestoreLogging. (Not needed before
// the process ends: each record is written when its call returns.)
void ShutdownLogging();

// Levels, destinations and captures as they are now. Keeps the files open while it lives. Copyable.
class SavedLogging {
 public:
  struct State;

 private:
  friend SavedLogging SaveLogging();
  friend void RestoreLogging(const SavedLogging& saved);
  std::shared_ptr<const State> state_;
};
SavedLogging SaveLogging();
// Captures whose scope has ended meanwhile stay ended. What was never saved: does nothing.
void RestoreLogging(const SavedLogging& saved);

// "trace", "debug", "info", "warn", "error", "off"; also "warning", and in any case.
std::optional<Level> ParseLevel(std::string_view name);
std::string_view LevelName(Level level);

}  // namespace puma
#endif  // PUMA_LOGGING_H_
