#ifndef PUMA_WORKER_ENVIRONMENT_ENVIRONMENT_CORE_H_
#define PUMA_WORKER_ENVIRONMENT_ENVIRONMENT_CORE_H_
// What an environment and the handles of its buffers and jobs share.
#include <puma/environment.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "worker/environment/broker.h"
#include "worker/environment/ends.h"
#include "worker/environment/keeper.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

enum class Kind { kThreads, kProcesses };

class EnvironmentCore {
 public:
  explicit EnvironmentCore(Kind kind);                                                       // keeps its buffers itself
  EnvironmentCore(Kind kind, std::unique_ptr<Ends> ends, std::unique_ptr<KeeperLink> link);  // of a child: another process keeps them
  ~EnvironmentCore();
  Kind kind() const { return kind_; }
  Keeper* keeper() { return keeper_.get(); }  // null: a child
  KeeperLink& link() { return *link_; }
  Ends& ends() { return *ends_; }
  Broker& broker() { return *broker_; }
  uint64_t NewRange() { return last_range_.fetch_add(1, std::memory_order_relaxed) + 1; }

 private:
  const Kind kind_;
  std::atomic<uint64_t> last_range_{1};
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<Ends> ends_;
  std::unique_ptr<KeeperLink> link_;
};

class BufferCore {
 public:
  BufferCore(std::shared_ptr<EnvironmentCore> environment, BufferFacts facts, TypeInfo type, absl::Status status)
      : environment_(std::move(environment)), facts_(std::move(facts)), type_(type), status_(std::move(status)) {}
  EnvironmentCore& environment() const { return *environment_; }
  const std::shared_ptr<EnvironmentCore>& shared_environment() const { return environment_; }
  const BufferFacts& facts() const { return facts_; }
  const TypeInfo& type() const { return type_; }
  absl::Status status() const;
  absl::Status Destroy(bool by_hand);

 private:
  const std::shared_ptr<EnvironmentCore> environment_;
  const BufferFacts facts_;
  const TypeInfo type_;
  const absl::Status status_;
  std::atomic<bool> destroyed_{false};
};

// A function that runs somewhere else.
class JobCore {
 public:
  explicit JobCore(std::string name) : name_(std::move(name)) {}
  ~JobCore();
  const std::string& name() const { return name_; }
  void RunOnThread(std::function<absl::Status()> function);
  void SetProcess(int pid, UniqueFd pidfd);
  void Finish(const absl::Status& status) PUMA_EXCLUDES(mutex_);
  absl::Status Join(Timeout timeout) PUMA_EXCLUDES(mutex_);
  int pid() const { return pid_; }
  void Kill();

 private:
  const std::string name_;
  std::thread thread_;
  int pid_ = 0;
  UniqueFd pidfd_;
  Mutex mutex_;
  CondVar finished_;
  bool done_ PUMA_GUARDED_BY(mutex_) = false;
  absl::Status status_ PUMA_GUARDED_BY(mutex_);
};

// Starts the function in a process of its own (processes.cc).
absl::Status LaunchProcess(const std::shared_ptr<EnvironmentCore>& environment, const std::shared_ptr<JobCore>& job,
                           Environment::Function function, const std::vector<std::string>& arguments);

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_ENVIRONMENT_CORE_H_
