#ifndef PUMA_WORKER_RUNNER_RUNNER_CORE_H_
#define PUMA_WORKER_RUNNER_RUNNER_CORE_H_
// What the handle of a program's runner stands on: the parent's half, the run's state, its calls, its statuses, its one error.
#include <puma/environment.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/waiter.h"
#include "worker/environment/environment_core.h"
#include "worker/platform/mutex.h"
#include "worker/runner/run.h"

namespace puma::internal {

// One call, sent or refused.
class CallCore {
 public:
  CallCore() = default;  // for one that is decided elsewhere
  CallCore(std::shared_ptr<RunnerCore> runner, uint64_t id, std::string name)
      : runner_(std::move(runner)), id_(id), name_(std::move(name)) {}
  explicit CallCore(absl::StatusOr<Value> result) : result_(std::move(result)) {}  // decided at once
  virtual ~CallCore();
  CallCore(const CallCore&) = delete;
  CallCore& operator=(const CallCore&) = delete;
  virtual absl::StatusOr<Value> Await(Timeout timeout) PUMA_EXCLUDES(mutex_);
  virtual absl::Status Sent() const;

 private:
  friend class RunnerCore;
  const std::shared_ptr<RunnerCore> runner_;  // null: decided
  const uint64_t id_ = 0;
  const std::string name_;
  int64_t sent_ns_ = 0, slow_ns_ = 1'000'000'000;
  Mutex mutex_;
  std::optional<absl::StatusOr<Value>> result_ PUMA_GUARDED_BY(mutex_);
};

// Thread-safe.
class RunnerCore final : public runner::RunListener, public ObjectLink, public std::enable_shared_from_this<RunnerCore> {
 public:
  // Whoever holds it holds the environment too, until the run has ended.
  RunnerCore(const std::shared_ptr<EnvironmentCore>& environment, std::string name, RunnableType type, RunnerOptions options);
  ~RunnerCore() override;

  absl::Status Start() PUMA_EXCLUDES(mutex_);
  absl::Status WaitUntilRunning(Timeout timeout) PUMA_EXCLUDES(mutex_);
  void Stop() PUMA_EXCLUDES(mutex_);
  absl::Status Join(Timeout timeout) PUMA_EXCLUDES(mutex_);
  absl::Status CheckForErrors() PUMA_EXCLUDES(mutex_);
  absl::Status Close() PUMA_EXCLUDES(mutex_);
  void OnEnd(std::function<void(const absl::Status&)> callback) PUMA_EXCLUDES(mutex_);
  bool IsAlive() PUMA_EXCLUDES(mutex_);
  int pid();
  bool closed() PUMA_EXCLUDES(mutex_);
  const std::string& name() const { return name_; }

  std::shared_ptr<CallCore> Send(std::string_view method, std::vector<Value> arguments, Timeout within, bool answered)
      PUMA_EXCLUDES(mutex_);
  absl::StatusOr<Value> Await(CallCore& call, Timeout timeout) PUMA_EXCLUDES(mutex_);
  void Forget(uint64_t call) PUMA_EXCLUDES(mutex_);
  absl::StatusOr<Value> CallObject(ObjectCall call) override PUMA_EXCLUDES(mutex_);
  void ReleaseObject(uint64_t object) override PUMA_EXCLUDES(mutex_);
  absl::StatusOr<Value> Latest(const std::string& type, Timeout timeout) PUMA_EXCLUDES(mutex_);
  Runnable* parent() const { return half_ != nullptr ? half_->self() : nullptr; }

  void OnRunning() override PUMA_EXCLUDES(mutex_);
  void OnStatus(std::string type, Value status) override PUMA_EXCLUDES(mutex_);
  void OnAnswer(uint64_t call, absl::StatusOr<Value> result) override PUMA_EXCLUDES(mutex_);
  void OnEnded(const absl::Status& error) override PUMA_EXCLUDES(mutex_);

 private:
  enum class Phase { kNew, kStarting, kRunning, kEnded };
  struct PendingCall {
    std::string name;
    std::optional<absl::StatusOr<Value>> result;
  };
  // One look at what has come, and then a sleep until more does.
  class Look {
   public:
    explicit Look(RunnerCore& core);
    bool Sleep(absl::Time deadline) const;  // false: the deadline has passed

   private:
    WaitSet words_;
  };

  void MakeHalf(RunnableType type);
  void WireAll();
  void WireFacades();
  void Wire(std::vector<runner::Wire>& to, const std::vector<BufferWire>& wires, std::string_view kind);
  void CheckType(std::string_view kind, const std::string& port, const TypeInfo& type, const std::vector<BufferWire>& wires);
  void LeaveSeats();
  absl::Status Unusable() const PUMA_REQUIRES(mutex_);  // once closed
  absl::Status TakeError() PUMA_REQUIRES(mutex_);
  absl::Status Gone() const PUMA_REQUIRES(mutex_);  // why a call can't be answered any more
  absl::Status NotCommand(std::string_view what) const;
  absl::Status NotAnswered(const CallCore& call, Timeout timeout);
  void WarnIfSlow(const CallCore& call) PUMA_EXCLUDES(mutex_);
  absl::Status CanBeCalled() const PUMA_REQUIRES(mutex_);
  std::shared_ptr<CallCore> Dispatch(runner::OutgoingCall call, std::string shown, Timeout within) PUMA_EXCLUDES(mutex_);
  void SendReleases() PUMA_EXCLUDES(mutex_);
  bool WaitForEnd(absl::Duration at_most) PUMA_EXCLUDES(mutex_);
  absl::Status EndTheHardWay() PUMA_EXCLUDES(mutex_);

  EnvironmentCore* const environment_;
  const std::weak_ptr<EnvironmentCore> weak_environment_;
  const std::string name_;
  RunnerOptions options_;  // without the buffers, once they are wired: they would keep the environment
  runner::RunPlan plan_;
  std::vector<std::string> mistakes_;
  absl::Status broken_;                 // why it can't start
  std::shared_ptr<runner::Run> run_;    // from the beginning
  std::unique_ptr<RunnableCore> half_;  // ends before the run, whose cells its attributes look at
  KickWord changed_;
  std::atomic<uint64_t> last_call_{0};

  Mutex mutex_;
  Phase phase_ PUMA_GUARDED_BY(mutex_) = Phase::kNew;
  bool was_running_ PUMA_GUARDED_BY(mutex_) = false, stop_ PUMA_GUARDED_BY(mutex_) = false, closed_ PUMA_GUARDED_BY(mutex_) = false;
  bool killed_ PUMA_GUARDED_BY(mutex_) = false;
  absl::Status end_ PUMA_GUARDED_BY(mutex_);  // how it has ended
  bool taken_ PUMA_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, PendingCall> calls_ PUMA_GUARDED_BY(mutex_);
  std::vector<Value> releases_ PUMA_GUARDED_BY(mutex_);  // of objects, not yet sent
  std::map<std::string, Value> statuses_ PUMA_GUARDED_BY(mutex_);
  std::map<std::string, bool> warned_ PUMA_GUARDED_BY(mutex_);  // commands that were slow once
  std::vector<std::function<void(const absl::Status&)>> callbacks_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNER_RUNNER_CORE_H_
