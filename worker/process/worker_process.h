#ifndef PUMA_WORKER_PROCESS_WORKER_PROCESS_H_
#define PUMA_WORKER_PROCESS_WORKER_PROCESS_H_
// A worker: its control segment, its socket to the shim, its tasks. The main thread is the control thread; each task has a thread.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/control/control_segments.h"
#include "worker/control/start_spec.h"
#include "worker/logging/capture.h"
#include "worker/platform/unique_fd.h"
#include "worker/process/control_sink.h"
#include "worker/process/module_loader.h"
#include "worker/process/shim_link.h"
#include "worker/runner/control_commands.h"
#include "worker/runner/task_runner.h"

namespace puma::process {

struct WorkerDescriptors {
  UniqueFd socket, host_segment, doorbell, standard_output, standard_error;
};

// Only the main thread calls it. One per process.
class WorkerProcess {
 public:
  // Makes W, offers it, starts capturing.
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Create(WorkerDescriptors descriptors);
  ~WorkerProcess();
  // Serves the shim until the only task has ended or the shim is gone. Returns the exit code.
  int Serve();
  // Hands on all output; nothing is logged any more afterwards.
  void Flush();

 private:
  // What a slot holds while its task lives.
  struct Task {
    shim::RunId id;
    control::StartSpec spec;
    std::unique_ptr<runner::ControlCommands> commands;
    std::unique_ptr<runner::TaskRunner> runner;
    std::thread describer;  // instead of the runner
    std::atomic<bool> ended{false};
  };

  WorkerProcess(WorkerDescriptors& descriptors, std::unique_ptr<control::WorkerControl> control);
  absl::Status SayHello();
  void Receive();
  void StartTask(ShimMessage message);
  absl::Status EnterSlot(const shim::StartTask& start, control::StartSpec spec);
  void StartRunner(Task& task);
  void StartDescriber(Task& task);
  absl::StatusOr<std::string> Describe(const control::StartSpec& spec);
  void Attach(ShimMessage message);
  void AttachPage(const shim::Attach& attach, Task& task, UniqueFd page);
  void EndLane(const ShimMessage& message);
  void GateDown(const ShimMessage& message);
  void LeaveLane(const ShimMessage& message);
  Task* Find(uint32_t slot);
  void TaskEnded(Task& task);  // on the task's thread: its last words
  bool ReapEnded();            // true: the worker's only task has ended
  void WriteEnd(Task& task, const internal::Outcome& outcome);

  std::unique_ptr<control::WorkerControl> control_;
  ShimLink link_;
  ControlSink sink_;
  logging::Capture capture_;
  UniqueFd ended_;  // eventfd: a task's thread is about to end
  ModuleLoader modules_;
  std::vector<std::unique_ptr<Task>> tasks_;  // by slot
  std::atomic<uint32_t> output_owner_{0};     // slot + 1 of the task that standard output belongs to
  bool shim_gone_ = false;
};

}  // namespace puma::process
#endif  // PUMA_WORKER_PROCESS_WORKER_PROCESS_H_
