#ifndef PUMA_WORKER_ENVIRONMENT_ENVIRONMENT_CORE_H_
#define PUMA_WORKER_ENVIRONMENT_ENVIRONMENT_CORE_H_
// What an environment and the handles of its buffers and jobs share.
#include <puma/environment.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "worker/environment/broker.h"
#include "worker/environment/ends.h"
#include "worker/environment/keeper.h"
#include "worker/environment/page_table.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

enum class Kind { kThreads, kProcesses };
class RemoteParty;

class EnvironmentCore {
 public:
  explicit EnvironmentCore(Kind kind);  // keeps its buffers itself
  // Of a child: another process keeps them. `range`: of its numbers.
  EnvironmentCore(Kind kind, uint64_t range, std::unique_ptr<Ends> ends, std::unique_ptr<KeeperLink> link);
  ~EnvironmentCore();
  Kind kind() const { return kind_; }
  Keeper* keeper() { return keeper_.get(); }  // null: a child
  PageTable& pages() { return pages_; }       // with a keeper only
  KeeperLink& link() { return *link_; }
  Ends& ends() { return *ends_; }
  Broker& broker() { return *broker_; }
  uint64_t NewMaker() { return last_maker_.fetch_add(1, std::memory_order_relaxed) + 1; }
  // For another process of this program's tree; only with a keeper.
  struct Made {
    PartySocket socket;
    std::shared_ptr<RemoteParty> party;
  };
  absl::StatusOr<Made> MakeParty(UniqueFd pidfd);

 private:
  const Kind kind_;
  std::atomic<uint64_t> last_range_{1}, last_maker_;
  PageTable pages_;
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

// Who is told of a child process. On the broker's thread.
class ChildListener {
 public:
  virtual ~ChildListener() = default;
  virtual void OnRunning() {}
  virtual void OnNews() {}                               // there is something to read from it
  virtual void OnEnded(const absl::Status& status) = 0;  // once. What it returned, or how its process ended without that
};

// A function that runs somewhere else.
class JobCore : public ChildListener {
 public:
  explicit JobCore(std::string name) : name_(std::move(name)) {}
  ~JobCore() override;
  const std::string& name() const { return name_; }
  void RunOnThread(std::function<absl::Status()> function);
  void SetProcess(int pid, UniqueFd pidfd);
  void OnEnded(const absl::Status& status) override PUMA_EXCLUDES(mutex_);
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

// What a child process runs. Either a plain function of the user's or one of ours.
struct ChildContext;
using ChildMain = absl::Status (*)(ChildContext&);
struct ChildStart {
  std::string name;
  Environment::Function function = nullptr;
  ChildMain main = nullptr;  // instead of the function
  std::vector<std::string> arguments;
  std::vector<UniqueFd> fds;
};
struct ChildContext {
  std::shared_ptr<EnvironmentCore> environment;
  uint64_t maker;
  std::vector<std::string> arguments;
  std::vector<UniqueFd> fds;
  std::function<void()> running, news;                       // tells the parent
  std::function<void(std::function<void()>)> when_orphaned;  // what to do when the parent or the keeper has ended
};
struct Child {
  int pid = 0;
  UniqueFd pidfd;
};
// Starts this program again, in a process of its own (processes.cc). `listener` is kept until it has been told of the end.
absl::StatusOr<Child> LaunchProcess(const std::shared_ptr<EnvironmentCore>& environment, std::shared_ptr<ChildListener> listener,
                                    ChildStart start);

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_ENVIRONMENT_CORE_H_
