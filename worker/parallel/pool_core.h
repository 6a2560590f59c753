#ifndef PUMA_WORKER_PARALLEL_POOL_CORE_H_
#define PUMA_WORKER_PARALLEL_POOL_CORE_H_
// Workers and who gives them jobs: one at a time to each, the next from a queue when it has reported.
#include <puma/parallel.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/parallel/job_message.h"
#include "worker/platform/mutex.h"
#include "worker/runner/runner_core.h"

namespace puma::internal {

// A job's future.
class JobCall final : public CallCore {
 public:
  void Decide(absl::StatusOr<Value> result) PUMA_EXCLUDES(mutex_);  // the first one counts
  absl::StatusOr<Value> Await(Timeout timeout) override PUMA_EXCLUDES(mutex_);
  absl::Status Sent() const override { return absl::OkStatus(); }

 private:
  Mutex mutex_;
  CondVar decided_;
  std::optional<absl::StatusOr<Value>> result_ PUMA_GUARDED_BY(mutex_);
};

// Thread-safe.
class PoolCore {
 public:
  PoolCore(Environment& environment, int size, std::string name, MakeWorker make, const AnyBuffer* results);
  ~PoolCore();
  absl::Status Submit(const PackedJob& job) PUMA_EXCLUDES(mutex_);
  std::shared_ptr<CallCore> SubmitForResult(const PackedJob& job) PUMA_EXCLUDES(mutex_);
  void Withdraw(const std::vector<std::shared_ptr<CallCore>>& calls) PUMA_EXCLUDES(mutex_);
  absl::Status status() PUMA_EXCLUDES(mutex_);
  bool closed() PUMA_EXCLUDES(mutex_);
  absl::Status Close(Timeout timeout) PUMA_EXCLUDES(mutex_);
  const std::string& name() const { return name_; }

 private:
  struct Job {
    uint64_t id = 0;
    std::string packed;
    std::shared_ptr<JobCall> call;  // null: of a pool
  };
  struct Worker {
    std::optional<Buffer<std::string>> buffer;
    Publisher<std::string> jobs;
    std::optional<AnyRunner> runner;
    std::optional<Job> in_hand;
    bool ended = false;
  };
  // What the environment's thread has told; it may outlive the pool.
  struct Ended {
    Mutex mutex;
    std::vector<std::pair<size_t, absl::Status>> workers PUMA_GUARDED_BY(mutex);
    Event event;
  };
  absl::Status MakeWorkers(Environment& environment, int size, MakeWorker make, const AnyBuffer* results) PUMA_REQUIRES(mutex_);
  void NoteEnd(size_t worker) PUMA_REQUIRES(mutex_);
  absl::StatusOr<Job> Pack(const PackedJob& job) PUMA_REQUIRES(mutex_);
  Worker* Idle() PUMA_REQUIRES(mutex_);
  bool AllEnded() const PUMA_REQUIRES(mutex_);
  bool AllDone() const PUMA_REQUIRES(mutex_);
  absl::Status Give(Worker& worker, Job job) PUMA_REQUIRES(mutex_);
  void GiveNext(Worker& worker) PUMA_REQUIRES(mutex_);
  void Finish(Job& job, absl::StatusOr<Value> result) PUMA_REQUIRES(mutex_);
  void Dispatch() PUMA_EXCLUDES(mutex_);
  void OnReport(const std::string& bytes) PUMA_REQUIRES(mutex_);
  absl::Status EndedEarly(const Worker& worker) const PUMA_REQUIRES(mutex_);
  void OnWorkerEnded(Worker& worker, const absl::Status& why) PUMA_REQUIRES(mutex_);
  void WaitForJobs(absl::Time deadline) PUMA_REQUIRES(mutex_);
  std::vector<absl::Status> EndWorkers(absl::Time deadline) PUMA_EXCLUDES(mutex_);
  absl::Status TakeErrors() PUMA_REQUIRES(mutex_);

  const std::string name_;
  const std::shared_ptr<Ended> ended_ = std::make_shared<Ended>();
  PublisherParts results_;  // none: an executor's
  std::optional<Buffer<std::string>> reports_;
  std::optional<Subscription<std::string>> reported_;  // the dispatcher's
  std::atomic<bool> over_{false};
  std::thread dispatcher_;

  Mutex mutex_;
  CondVar changed_;
  absl::Status broken_ PUMA_GUARDED_BY(mutex_);
  std::vector<Worker> workers_ PUMA_GUARDED_BY(mutex_);
  std::deque<Job> queue_ PUMA_GUARDED_BY(mutex_);
  std::deque<absl::Status> errors_ PUMA_GUARDED_BY(mutex_);  // not yet handed out
  std::map<JobFunction, std::string> addresses_ PUMA_GUARDED_BY(mutex_);
  uint64_t last_job_ PUMA_GUARDED_BY(mutex_) = 0;
  bool closed_ PUMA_GUARDED_BY(mutex_) = false;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_PARALLEL_POOL_CORE_H_
