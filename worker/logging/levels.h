#ifndef PUMA_WORKER_LOGGING_LEVELS_H_
#define PUMA_WORKER_LOGGING_LEVELS_H_
// Who logs from which level on: the table of sections, and one word for each logger's name that is made anew from it with each change.
#include <puma/log.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace puma::logging {

struct LevelTable {
  Level root = Level::kWarn;
  std::map<std::string, Level, std::less<>> sections;
  Level Of(std::string_view logger) const;
};

// The level word of all loggers of this name; and the name. Both live as long as the process.
const std::atomic<uint32_t>* LevelWord(std::string_view name);
const std::string* InternName(std::string_view name);
// The root's word. kWarn, until somebody sets it.
const std::atomic<uint32_t>& ProcessLevel();

LevelTable CurrentLevels();
void ReplaceLevels(LevelTable table);
void ChangeLevels(const std::function<void(LevelTable&)>& change);
// As at the start of the process, or as the parent has said since.
LevelTable FirstLevels();
// After a shutdown all words are off.
void TurnOff(bool off);

// While captures are there, records from `floor` on are made, whatever the table says. kOff: no captures.
void SetCaptureFloor(Level floor);
// Such a record is for captures only. One load where there are none.
bool OnlyForCaptures(std::string_view logger, Level level);

// What a child is told when it starts and with each change: its own levels, as ApplyLevels takes them.
std::string LevelsForChildren();
// In the child. INVALID_ARGUMENT: not such a text; nothing has changed.
absl::Status ApplyLevels(std::string_view text);

// Calls `changed` with each new LevelsForChildren(), the latest last, from the thread that changes a level. It must not change levels.
class LevelListener {
 public:
  explicit LevelListener(std::function<void(const std::string&)> changed);
  ~LevelListener();  // it is not called any more when this returns
  LevelListener(const LevelListener&) = delete;
  LevelListener& operator=(const LevelListener&) = delete;

 private:
  std::function<void(const std::string&)> changed_;
};

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_LEVELS_H_
