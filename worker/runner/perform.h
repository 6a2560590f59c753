#ifndef PUMA_WORKER_RUNNER_PERFORM_H_
#define PUMA_WORKER_RUNNER_PERFORM_H_
// The child's half of a program's own runnable, from its construction to its end, on the calling thread: the same for threads and
// processes.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "worker/environment/environment_core.h"
#include "worker/runnable/runnable_core.h"
#include "worker/runner/run_plan.h"

namespace puma::runner {

// Who runs it.
struct Stage {
  std::shared_ptr<internal::EnvironmentCore> environment;
  uint64_t maker = 0;  // of the buffers that the runnable makes
  internal::CommandSource* commands = nullptr;
  const internal::RunnableCore* parent = nullptr;              // the parent's half, if it is in this process
  std::span<Word64> cells;                                     // else: of the shared attributes
  std::function<void()> running;                               // OnStart has returned
  std::function<void(std::string type, Value status)> status;  // the runnable says something of itself
  std::function<void(const absl::Status&)> ended;              // it has left its buffers, and still exists; null: nobody cares
  internal::Stepper* stepper = nullptr;                        // runs it inline, and hands out its error; null: the thread is its own
  std::function<void(internal::RunnableCore*)> reach;          // may be stopped by other threads from now on; null: no longer
};

// OK: completed, or stopped. When it returns, the runnable has left its buffers and is destroyed.
absl::Status Perform(const RunPlan& plan, const Stage& stage);

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_PERFORM_H_
