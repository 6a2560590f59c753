#ifndef PUMA_WORKER_LOGGING_RECORD_SINK_H_
#define PUMA_WORKER_LOGGING_RECORD_SINK_H_
// Where log records of this process go, and who the calling thread is in them.
#include <puma/log.h>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace puma::logging {

struct Site {
  std::string_view logger;
  Here where;
};

// Thread-safe; must not throw and must not log.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void Write(Level level, const Site& site, std::string_view text) = 0;
};

// Records go to `sink` from now on; null: lines on stderr. The sink must outlive all logging. Returns the one before.
RecordSink* InstallSink(RecordSink* sink);

// The level of all loggers that have no word of their own. kWarn, until somebody sets it.
std::atomic<uint32_t>& ProcessLevel();

// The same text as a string that lives as long as the process.
const std::string* InternName(std::string_view name);

// While it lives, log() on this thread is `logger`, and records and crashes of the thread belong to `slot`.
class ThreadScope {
 public:
  ThreadScope(const Logger& logger, uint32_t slot);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  const Logger* previous_logger_;
  uint32_t previous_slot_;
};
uint32_t CurrentSlotPlusOne();  // 0: not a runnable's thread. Async-signal-safe

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_RECORD_SINK_H_
