#ifndef PUMA_SERVER_SUPERVISOR_LOG_INTAKE_H_
#define PUMA_SERVER_SUPERVISOR_LOG_INTAKE_H_
// Takes log records to the file on a thread of its own, so that a slow disk never holds up the supervisor.
#include <functional>
#include <thread>
#include <vector>

#include "server/telemetry/log_store.h"
#include "worker/platform/mutex.h"

namespace puma::server {

class LogIntake {
 public:
  explicit LogIntake(LogStore& store);
  ~LogIntake();  // writes what is queued, then joins

  // Any thread. `written` is called on the intake's thread when the lines are in the file (or the file could not be written, which the
  // store has reported).
  void Write(std::vector<LogLine> lines, std::function<void()> written) PUMA_EXCLUDES(mutex_);

 private:
  struct Batch {
    std::vector<LogLine> lines;
    std::function<void()> written;
  };
  void Run() PUMA_EXCLUDES(mutex_);
  LogStore& store_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<Batch> batches_ PUMA_GUARDED_BY(mutex_);
  bool stopping_ PUMA_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_LOG_INTAKE_H_
