#ifndef PUMA_WORKER_LOGGING_CRASH_HANDLER_H_
#define PUMA_WORKER_LOGGING_CRASH_HANDLER_H_
// What a process says before it dies of a fatal signal: whose thread it was, and a short stack on stderr. Then it dies of that signal.
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace puma::logging {

// Where the culprit is noted: words that outlive the process.
struct CulpritWords {
  std::atomic<uint32_t>* slot_plus_one = nullptr;
  uint32_t* signal = nullptr;
};

// Once per process, early. The words must live as long as the process. The calling thread also needs an AlternateStack.
void InstallCrashHandler(CulpritWords words);
// Notes the calling thread's task, if nobody was noted before. Async-signal-safe.
void NoteCulprit(uint32_t signal);

// A turn of reading the process's own output. None begins any more once a crash is told, so that what it says stays in the pipe, where the
// reader of a dead process's output finds it; and the telling waits a moment for the turn that is under way.
class ReadingTurn {
 public:
  ReadingTurn();
  ~ReadingTurn();
  ReadingTurn(const ReadingTurn&) = delete;
  ReadingTurn& operator=(const ReadingTurn&) = delete;
  explicit operator bool() const { return begun_; }

 private:
  bool begun_;
};

// A stack for the handler, so that a stack overflow can be told, too. One per thread, for as long as it lives.
class AlternateStack {
 public:
  AlternateStack();
  ~AlternateStack();
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  void* memory_;
};

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_CRASH_HANDLER_H_
