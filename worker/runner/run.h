#ifndef PUMA_WORKER_RUNNER_RUN_H_
#define PUMA_WORKER_RUNNER_RUN_H_
// A run as its runner sees it: on a thread of this process, or in a process of its own.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/buffer/waiter.h"
#include "worker/environment/environment_core.h"
#include "worker/runnable/runnable_core.h"
#include "worker/runner/run_plan.h"

namespace puma::runner {

// What a run tells its runner. Any thread.
class RunListener {
 public:
  virtual ~RunListener() = default;
  virtual void OnRunning() = 0;
  virtual void OnStatus(std::string type, Value status) = 0;
  virtual void OnAnswer(uint64_t call, absl::StatusOr<Value> result) = 0;
  virtual void OnEnded(const absl::Status& error) = 0;  // once, the last
};

struct OutgoingCall {
  uint64_t id = 0;
  int64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
  bool answered = true;
  std::string name;
  std::vector<Value> arguments;
};

inline constexpr size_t kCommandCapacity = 10;  // that wait to be executed

// Thread-safe.
class Run {
 public:
  virtual ~Run() = default;
  // Once. `self` is told everything, and is kept until the end.
  // `half`: the parent's, which outlives the run.
  virtual absl::Status Start(RunPlan plan, internal::RunnableCore& half, std::shared_ptr<RunListener> self,
                             std::shared_ptr<internal::EnvironmentCore> environment) = 0;
  virtual void Stop() = 0;
  // Blocks while the command buffer is full. RESOURCE_EXHAUSTED: until the deadline.
  virtual absl::Status Send(const OutgoingCall& call, absl::Time deadline) = 0;
  // Before a look at what has come: brings it in, and adds what must be slept on until more does, as it is now.
  virtual void Watch(WaitSet& words) { static_cast<void>(words); }
  virtual void Fetch() {}
  virtual bool Terminate(bool by_force) = 0;  // false: it can't be. By force: at once
  virtual void Join() {}                      // after OnEnded: nothing of it is left afterwards
  virtual int pid() const { return 0; }
  virtual internal::RunnableCore* core() const { return nullptr; }  // null: elsewhere, or not there

  static std::unique_ptr<Run> New(internal::Kind kind);
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_RUN_H_
