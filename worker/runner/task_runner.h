#ifndef PUMA_WORKER_RUNNER_TASK_RUNNER_H_
#define PUMA_WORKER_RUNNER_TASK_RUNNER_H_
// Runs one task on a thread of its own, from its start spec to its outcome.
#include <pthread.h>
#include <puma/module.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/task_page.h"
#include "worker/control/start_spec.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/runnable_core.h"

namespace puma::runner {

// What the runner asks of whoever runs it. All are called on the task's thread.
struct RunnerHooks {
  std::function<absl::StatusOr<Module::Factory>()> load;                  // finds the type
  std::function<absl::Status(uint64_t id, Segment& segment)> offer_page;  // before anybody could attach anything
  std::function<absl::Status(uint64_t id, Segment& segment)> offer_lane;
  std::function<void(uint64_t lane, const std::string& what)> bad_lane;  // a lane was left: its publisher can't be believed
  std::function<void()> running;                                         // OnStart has returned
  std::function<void()> ended;                                           // the thread's last act: Join returns soon
};

struct RunnerOptions {
  internal::CommandSource* commands = nullptr;  // null: none
  const Word32* log_level = nullptr;
  Word64* busy_since = nullptr;  // all four or none
  Word64* published = nullptr;
  Word64* finished = nullptr;
  Word64* grown = nullptr;
  bool processes = false;  // the kind of environment for runners of the runnable's own
};

// Thread-safe.
class TaskRunner {
 public:
  TaskRunner(control::StartSpec spec, RunnerHooks hooks, RunnerOptions options);
  ~TaskRunner();  // stops and joins

  absl::Status Start();      // once
  void Stop();               // asked for; also before the start and after the end
  internal::Outcome Join();  // waits for the end. Once

  // A lane to read; kept until the runnable is there to take it.
  void Attach(internal::LaneAttachment lane);
  void EndPublisher(std::string port, uint64_t publisher, absl::Status error);
  void LeaveLane(std::string port, uint64_t lane);
  // A page that gates `lane` from now on; returns the first message that it gets. NOT_FOUND: no such lane here.
  absl::StatusOr<uint64_t> SetGate(internal::PageAttachment page);
  void GateDown(uint64_t lane, uint64_t subscription, control::GateChange change);

  const control::StartSpec& spec() const { return spec_; }

 private:
  static void* ThreadMain(void* self);
  internal::Outcome Run();
  internal::Outcome RunCore(std::unique_ptr<internal::RunnableCore> core, TaskPage& page);
  absl::StatusOr<std::unique_ptr<internal::RunnableCore>> Construct();
  absl::StatusOr<TaskPage> MakePage() const;
  absl::Status ConnectPorts(internal::RunnableCore& core);
  absl::Status OfferAll(internal::RunnableCore& core, TaskPage& page);
  internal::Outcome Failed(absl::Status status, std::string_view when);
  void Publish(internal::RunnableCore* core);

  const control::StartSpec spec_;
  const RunnerHooks hooks_;
  const RunnerOptions options_;
  pthread_t thread_{};
  bool started_ = false, joined_ = false;
  internal::Outcome outcome_;
  std::unique_ptr<Environment> environment_;  // of the task's thread

  Mutex mutex_;
  bool stop_ PUMA_GUARDED_BY(mutex_) = false;
  internal::RunnableCore* core_ PUMA_GUARDED_BY(mutex_) = nullptr;                             // while it can be reached
  std::vector<std::function<void(internal::RunnableCore&)>> pending_ PUMA_GUARDED_BY(mutex_);  // for the core that is to come
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_TASK_RUNNER_H_
