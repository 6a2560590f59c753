#ifndef PUMA_WORKER_RUNNER_THREAD_RUN_H_
#define PUMA_WORKER_RUNNER_THREAD_RUN_H_
// A run on a thread of this process.
#include <atomic>
#include <deque>
#include <memory>
#include <thread>

#include "worker/platform/mutex.h"
#include "worker/runner/run.h"

namespace puma::runner {

// The commands of such a run. Thread-safe, but for Poll.
class LocalCommands final : public internal::CommandSource {
 public:
  absl::Status Push(OutgoingCall call, absl::Time deadline) PUMA_EXCLUDES(mutex_);
  void Stop() PUMA_EXCLUDES(mutex_);
  void End() PUMA_EXCLUDES(mutex_);                                                         // nobody will poll any more
  void Serve(KickWord* kick, std::shared_ptr<RunListener> listener) PUMA_EXCLUDES(mutex_);  // before the first Poll; null: no longer

  bool Poll(const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) override PUMA_EXCLUDES(mutex_);
  bool Pending() const override { return pending_.load(std::memory_order_acquire); }
  bool StopAsked() const override { return stop_.load(std::memory_order_acquire); }
  const Word32* tail_word() const override { return nullptr; }
  uint32_t tail_seen() const override { return 0; }

 private:
  void Wake() PUMA_REQUIRES(mutex_);
  Mutex mutex_;
  CondVar room_;
  std::deque<OutgoingCall> calls_ PUMA_GUARDED_BY(mutex_);
  KickWord* kick_ PUMA_GUARDED_BY(mutex_) = nullptr;
  std::shared_ptr<RunListener> listener_ PUMA_GUARDED_BY(mutex_);
  bool ended_ PUMA_GUARDED_BY(mutex_) = false;
  std::atomic<bool> pending_{false}, stop_{false};
};

class ThreadRun final : public Run {
 public:
  ~ThreadRun() override;
  absl::Status Start(RunPlan plan, internal::RunnableCore& half, std::shared_ptr<RunListener> self,
                     std::shared_ptr<internal::EnvironmentCore> environment) override;
  void Stop() override { commands_.Stop(); }
  absl::Status Send(const OutgoingCall& call, absl::Time deadline) override { return commands_.Push(call, deadline); }
  bool Terminate(bool) override { return false; }
  void Join() override;
  internal::RunnableCore* core() const override { return core_.load(std::memory_order_acquire); }

 private:
  absl::Status Perform(const RunPlan& plan, internal::RunnableCore& half, const std::shared_ptr<RunListener>& self,
                       std::shared_ptr<internal::EnvironmentCore> environment);
  LocalCommands commands_;
  std::atomic<internal::RunnableCore*> core_{nullptr};
  std::thread thread_;
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_THREAD_RUN_H_
