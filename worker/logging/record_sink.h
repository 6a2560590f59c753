#ifndef PUMA_WORKER_LOGGING_RECORD_SINK_H_
#define PUMA_WORKER_LOGGING_RECORD_SINK_H_
// Where log records of this process go, and who the calling thread is in them.
#include <puma/log.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/logging/levels.h"

namespace puma::logging {

// Views are valid during the call only. `where` and `logger` of a record of this process are constants: the same address, the same text.
struct Record {
  int64_t time_unix_ns = 0;
  Level level = Level::kInfo;
  std::string_view process;  // empty: this one. Else it came from a child, and its times and ids are the child's
  std::string_view logger;   // empty: nobody in particular
  Here where{"", "", 0};
  int64_t thread = 0;
  uint32_t slot_plus_one = 0;
  std::string_view text;
  bool only_for_captures = false;  // below the level; made since somebody captures
  bool more = false;               // a Flush will follow: the sink may wait for it
};

// Thread-safe; must not throw and must not log.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void Write(const Record& record) = 0;
  virtual void Flush() {}
};

// The sink of a process whose logging somebody else configures (its parent, the host). Null: none, lines on stderr. The sink must outlive
// all logging. Returns the one before. What InitLogging has opened goes before it.
RecordSink* InstallSink(RecordSink* sink);
bool SinkInstalled();
// What InitLogging has opened. Null: nothing.
void SetConfiguredSink(std::shared_ptr<RecordSink> sink);

// To the captures, then to the sink. For records of this process and of its children. FlushSink: after records with `more`.
void Dispatch(const Record& record);
void FlushSink();
// For a sink that was replaced while somebody was about to write to it: to its successor.
void WriteElsewhere(const Record& record, const RecordSink* closed);

// Sees all records from `level` on while it is added. A shield keeps them from those added before it and from the sink.
class Interceptor {
 public:
  Interceptor(Level level, bool shield) : level(level), shield(shield) {}
  virtual ~Interceptor() = default;
  virtual void Take(const Record& record) = 0;  // one call at a time
  const Level level;
  const bool shield;
  bool ended = false;  // RestoreLogging does not bring it back
};
void AddInterceptor(std::shared_ptr<Interceptor> interceptor);
void EndInterceptor(const std::shared_ptr<Interceptor>& interceptor);  // it is not called any more when this returns

// Who this process is in its records. The program's name, until somebody gives another.
const std::string& ProcessName();
void SetProcessName(std::string_view name);
// The calling thread's id, cached. After a raw fork the child must call ForgetThreadId.
int64_t CachedThreadId();
void ForgetThreadId();

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
// The same by hand, for who runs several runnables on one thread in turns. Returns who it was.
struct ThreadIdentity {
  const Logger* logger = nullptr;
  uint32_t slot_plus_one = 0;
};
ThreadIdentity ExchangeThreadIdentity(ThreadIdentity identity);
uint32_t CurrentSlotPlusOne();  // 0: not a runnable's thread. Async-signal-safe

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_RECORD_SINK_H_
