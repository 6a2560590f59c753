#ifndef PUMA_WORKER_EXEC_PROGRAM_H_
#define PUMA_WORKER_EXEC_PROGRAM_H_
// A program that runs for a task: in a session of its own, with clean signals and its three standard descriptors only. It dies with the
// worker.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/platform/mutex.h"
#include "worker/platform/unique_fd.h"

namespace puma::exec {

struct ProgramSpec {
  std::string path;
  std::vector<std::string> arguments;              // without the program's own name
  std::map<std::string, std::string> environment;  // beside the worker's
  std::string directory;                           // "": the worker's
  int input = -1, output = -1;                     // its standard input and output; -1: /dev/null, and the worker's
};

// How it ended.
struct ProgramEnd {
  int code = -1;   // -1: it did not exit
  int signal = 0;  // that killed it; 0: none
  bool core_dumped = false;
};

// The worker is its task's alone: all children of this process are the program and what it has left behind. These are reaped meanwhile, and
// killed when it ends.
class Program {
 public:
  // By the thread whose end is to end it. `ended` is called once, on a thread of its own. NOT_FOUND and others: it can't be executed.
  static absl::StatusOr<std::unique_ptr<Program>> Start(const ProgramSpec& spec, std::function<void()> ended);
  ~Program();  // kills it

  // Any thread.
  int pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once it has ended
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  // To the program, or to all of its process group. FAILED_PRECONDITION: it has ended.
  absl::Status Signal(int signal) PUMA_EXCLUDES(mutex_);
  absl::Status SignalGroup(int signal) PUMA_EXCLUDES(mutex_);

  // Its owner: waits for its end.
  ProgramEnd Wait();

 private:
  Program(int pid, UniqueFd pidfd, std::function<void()> when_ended);
  absl::Status Send(int to, int signal) PUMA_EXCLUDES(mutex_);
  void Reap() PUMA_EXCLUDES(mutex_);
  void EndLeftBehind() const;

  const int pid_;
  const UniqueFd pidfd_;
  const std::function<void()> when_ended_;
  std::atomic<bool> ended_{false};  // with it: end_
  ProgramEnd end_;
  Mutex mutex_;
  bool reaped_ PUMA_GUARDED_BY(mutex_) = false;  // its number may be another's
  std::thread reaper_;
};

}  // namespace puma::exec
#endif  // PUMA_WORKER_EXEC_PROGRAM_H_
