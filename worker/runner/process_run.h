#ifndef PUMA_WORKER_RUNNER_PROCESS_RUN_H_
#define PUMA_WORKER_RUNNER_PROCESS_RUN_H_
// A run in a process of its own: this program again.
#include <atomic>
#include <memory>

#include "worker/platform/mutex.h"
#include "worker/runner/call_segments.h"
#include "worker/runner/run.h"

namespace puma::runner {

class ProcessRun final : public Run {
 public:
  absl::Status Start(RunPlan plan, internal::RunnableCore& half, std::shared_ptr<RunListener> self,
                     std::shared_ptr<internal::EnvironmentCore> environment) override;
  void Stop() override;
  absl::Status Send(const OutgoingCall& call, absl::Time deadline) override;
  void Watch(WaitSet& words) override;
  void Fetch() override;
  bool Terminate(bool by_force) override;
  int pid() const override { return pid_.load(std::memory_order_acquire); }

 private:
  struct Channel;
  std::shared_ptr<Channel> channel() PUMA_EXCLUDES(mutex_);
  Mutex mutex_;
  std::shared_ptr<Channel> channel_ PUMA_GUARDED_BY(mutex_);  // null: not started
  UniqueFd pidfd_ PUMA_GUARDED_BY(mutex_);
  Segment cells_;  // of the shared attributes: the parent's half looks there as long as it lives
  std::atomic<int> pid_{0};
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_PROCESS_RUN_H_
