#include "server/supervisor/log_intake.h"

#include <utility>

#include "worker/platform/system.h"

namespace puma::server {

LogIntake::LogIntake(LogStore& store) : store_(store), thread_([this] { Run(); }) {}

LogIntake::~LogIntake() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void LogIntake::Write(std::vector<LogLine> lines, std::function<void()> written) {
  {
    MutexLock lock(mutex_);
    batches_.push_back({std::move(lines), std::move(written)});
  }
  changed_.NotifyOne();
}

void LogIntake::Run() {
  NameThread("log-intake");
  for (;;) {
    std::vector<Batch> batches;
    {
      MutexLock lock(mutex_);
      while (batches_.empty() && !stopping_) changed_.WaitFor(mutex_, absl::Seconds(60));
      if (batches_.empty()) return;
      batches.swap(batches_);
    }
    for (Batch& batch : batches) store_.Append(std::move(batch.lines));
    (void)store_.Flush();
    for (Batch& batch : batches) {
      if (batch.written) batch.written();
    }
  }
}

}  // namespace puma::server
