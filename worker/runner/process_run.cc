#include "worker/runner/process_run.h"

#include <csignal>
#include <cstring>
#include <utility>

#include "worker/platform/system.h"
#include "worker/runner/perform.h"
#include "worker/runner/thread_run.h"

namespace puma::runner {
namespace {

// ---- in the child ----------------------------------------------------------------------------------------------------------------------

// The runnable's core, for the thread that hears of the parent's end.
class Reachable {
 public:
  void Set(internal::RunnableCore* core) {
    MutexLock lock(mutex_);
    core_ = core;
  }
  void Stop() {
    MutexLock lock(mutex_);
    if (core_ != nullptr) core_->Stop();
  }

 private:
  Mutex mutex_;
  internal::RunnableCore* core_ PUMA_GUARDED_BY(mutex_) = nullptr;
};

std::span<Word64> CellsIn(const Segment& segment) { return {reinterpret_cast<Word64*>(segment.data()), segment.size() / sizeof(Word64)}; }

absl::Status PerformInChild(internal::ChildContext& context) {
  if (context.fds.size() < 3) return absl::InternalError("a runnable's process without its descriptors");
  auto segment = Segment::MapReadOnly(std::move(context.fds[0]), Seals::kOneWriter, 1);
  if (!segment.ok()) return segment.status();
  auto plan = Unpack({reinterpret_cast<const char*>(segment->data()), segment->size()});
  if (!plan.ok()) return plan.status();
  auto calls = CalleeEnd::Open(std::move(context.fds[1]), std::move(context.fds[2]), context.news);
  if (!calls.ok()) return calls.status();
  auto reachable = std::make_shared<Reachable>();
  context.when_orphaned([reachable] { reachable->Stop(); });
  Segment cells;
  if (context.fds.size() > 3) {
    auto mapped = Segment::MapWritable(std::move(context.fds[3]), sizeof(Word64));
    if (!mapped.ok()) return mapped.status();
    cells = *std::move(mapped);
  }
  Stage stage;
  if (cells.data() != nullptr) stage.cells = CellsIn(cells);
  stage.environment = context.environment;
  stage.maker = context.maker;
  stage.commands = calls->get();
  stage.running = context.running;
  stage.status = [&](std::string type, const Value& status) { (*calls)->Say(std::move(type), status); };
  stage.reach = [&](internal::RunnableCore* core) { reachable->Set(core); };
  return Perform(*plan, stage);
}

absl::StatusOr<UniqueFd> PlanSegment(const RunPlan& plan) {
  auto bytes = Pack(plan);
  if (!bytes.ok()) return bytes.status();
  auto segment = Segment::Create("puma-plan", bytes->size(), Seals::kOneWriter, bytes->size());
  if (!segment.ok()) return segment.status();
  std::memcpy(segment->data(), bytes->data(), bytes->size());
  return segment->TakeFd();
}

}  // namespace

// ---- in the program --------------------------------------------------------------------------------------------------------------------

// What the environment's thread and the callers share.
struct ProcessRun::Channel final : internal::ChildListener {
  std::unique_ptr<CallerEnd> calls;
  Mutex mutex;
  std::shared_ptr<RunListener> listener PUMA_GUARDED_BY(mutex);  // null: it has been told of the end

  std::shared_ptr<RunListener> Listener() {
    MutexLock lock(mutex);
    return listener;
  }
  void Fetch() {
    if (auto to = Listener()) calls->Fetch(*to);
  }
  void OnRunning() override {
    if (auto to = Listener()) to->OnRunning();
  }
  void OnNews() override { Fetch(); }
  void OnEnded(const absl::Status& status) override {
    calls->End();
    Fetch();
    std::shared_ptr<RunListener> to;
    {
      MutexLock lock(mutex);
      to.swap(listener);
    }
    if (to) to->OnEnded(status);
  }
};

std::shared_ptr<ProcessRun::Channel> ProcessRun::channel() {
  MutexLock lock(mutex_);
  return channel_;
}

absl::Status ProcessRun::Start(RunPlan plan, internal::RunnableCore& half, std::shared_ptr<RunListener> self,
                               std::shared_ptr<internal::EnvironmentCore> environment) {
  auto calls = CallerEnd::Create();
  if (!calls.ok()) return calls.status();
  auto packed = PlanSegment(plan);
  if (!packed.ok()) return packed.status();
  internal::ChildStart start{.name = plan.name, .main = PerformInChild};
  start.fds = (*calls)->Descriptors();
  start.fds.insert(start.fds.begin(), *std::move(packed));
  if (half.CellCount() != 0) {
    auto cells = Segment::Create("puma-cells", half.CellCount() * sizeof(Word64), Seals::kSize, half.CellCount() * sizeof(Word64));
    if (!cells.ok()) return cells.status();
    start.fds.push_back(cells->TakeFd());
    cells_ = *std::move(cells);
    half.BindCells(CellsIn(cells_), false);
  }
  auto made = std::make_shared<Channel>();
  made->calls = *std::move(calls);
  {
    MutexLock lock(made->mutex);
    made->listener = std::move(self);
  }
  {
    MutexLock lock(mutex_);
    channel_ = made;  // from now on it can be called and stopped
  }
  auto child = internal::LaunchProcess(environment, made, std::move(start));
  if (!child.ok()) {
    MutexLock lock(made->mutex);
    made->listener = nullptr;  // who has asked tells
    return child.status();
  }
  pid_.store(child->pid, std::memory_order_release);
  MutexLock lock(mutex_);
  pidfd_ = std::move(child->pidfd);
  return absl::OkStatus();
}

void ProcessRun::Stop() {
  if (auto c = channel()) c->calls->Stop();
}

absl::Status ProcessRun::Send(const OutgoingCall& call, absl::Time deadline) {
  auto c = channel();
  return c ? c->calls->Send(call, deadline) : absl::FailedPreconditionError("the runnable's process is not there yet");
}

void ProcessRun::Watch(WaitSet& words) {
  if (auto c = channel()) c->calls->Watch(words);
}

void ProcessRun::Fetch() {
  if (auto c = channel()) c->Fetch();
}

bool ProcessRun::Terminate(bool by_force) {
  MutexLock lock(mutex_);
  if (pidfd_.valid()) PidfdSendSignal(pidfd_.get(), by_force ? SIGKILL : SIGTERM);
  return true;
}

std::unique_ptr<Run> Run::New(internal::Kind kind) {
  if (kind == internal::Kind::kThreads) return std::make_unique<ThreadRun>();
  return std::make_unique<ProcessRun>();
}

}  // namespace puma::runner
