#include <fcntl.h>
#include <fmt/format.h>
#include <puma/environment.h>
#include <puma/log.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "worker/environment/environment_core.h"
#include "worker/environment/remote_party.h"
#include "worker/platform/seqpacket.h"
#include "worker/platform/system.h"
#include "worker/runnable/door.h"

namespace puma {
namespace internal {
namespace {

// The keeper in this very process.
class LocalLink final : public KeeperLink {
 public:
  LocalLink(EnvironmentCore& environment, Keeper& keeper, Party& party) : environment_(environment), keeper_(keeper), party_(party) {}
  absl::StatusOr<BufferFacts> CreateBuffer(uint64_t maker, std::string_view name, const BufferType& type,
                                           const BufferOptions& options) override {
    return keeper_.CreateBuffer(nullptr, maker, name, type, options);
  }
  absl::Status DestroyBuffer(uint64_t buffer) override { return keeper_.DestroyBuffer(buffer); }
  absl::StatusOr<BufferFacts> FindBuffer(uint64_t maker, std::string_view name) override { return keeper_.FindBuffer(maker, name); }
  absl::StatusOr<uint64_t> ReserveSeat(uint64_t buffer) override { return keeper_.ReserveSeat(party_, buffer); }
  void LeaveSeat(uint64_t seat) override { keeper_.LeaveSeat(seat); }
  absl::StatusOr<uint64_t> KeepPage(uint64_t maker, std::string_view name, KeptPage page) override {
    return environment_.pages().Keep(nullptr, maker, name, std::move(page));
  }
  absl::StatusOr<KeptPage> FindPage(uint64_t maker, std::string_view name) override { return environment_.pages().Find(maker, name); }
  void DropPage(uint64_t page) override { environment_.pages().Drop(nullptr, page); }
  absl::StatusOr<PartySocket> NewParty(int pidfd) override {
    auto made = environment_.MakeParty(UniqueFd(::fcntl(pidfd, F_DUPFD_CLOEXEC, 0)));
    if (!made.ok()) return made.status();
    return std::move(made->socket);
  }
  absl::Status OpenPublisher(uint64_t buffer, uint64_t lane, UniqueFd fd, uint64_t seat) override {
    return keeper_.OpenPublisher(party_, buffer, lane, std::move(fd), seat);
  }
  void PublisherCompleted(uint64_t lane) override { keeper_.PublisherCompleted(lane); }
  void ClosePublisher(uint64_t lane) override { keeper_.ClosePublisher(lane); }
  absl::Status OpenSubscription(SubscriptionRequest request) override {
    struct Latch {
      Mutex mutex;
      CondVar changed;
      bool answered PUMA_GUARDED_BY(mutex) = false;
      absl::Status status PUMA_GUARDED_BY(mutex);
    };
    auto latch = std::make_shared<Latch>();
    keeper_.OpenSubscription(party_, std::move(request), [latch](const absl::Status& status) {
      MutexLock lock(latch->mutex);
      latch->answered = true;
      latch->status = status;
      latch->changed.NotifyAll();
    });
    const absl::Time deadline = MonotonicTime() + absl::Seconds(10);
    MutexLock lock(latch->mutex);
    while (!latch->answered) {
      const absl::Duration left = deadline - MonotonicTime();
      if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("a publisher's process does not say where reading begins");
      latch->changed.WaitFor(latch->mutex, left);
    }
    return latch->status;
  }
  void LaneDone(uint64_t subscription, uint64_t lane, bool completed) override { keeper_.LaneDone(subscription, lane, completed); }
  void Delivered(uint64_t subscription) override { keeper_.Delivered(subscription); }
  void CloseSubscription(uint64_t subscription) override { keeper_.CloseSubscription(subscription); }

 private:
  EnvironmentCore& environment_;
  Keeper& keeper_;
  Party& party_;
};

const Logger& BufferLog() {
  static const Logger logger("buffer");
  return logger;
}

}  // namespace

EnvironmentCore::EnvironmentCore(Kind kind)
    : kind_(kind),
      last_maker_(uint64_t{1} << 32),
      broker_(std::make_unique<Broker>([this](int64_t now_ns) { keeper_->Tick(now_ns); })),
      keeper_(std::make_unique<Keeper>([this](int64_t at_ns) { broker_->WakeAt(at_ns); })),
      ends_(std::make_unique<Ends>(1)),
      link_(std::make_unique<LocalLink>(*this, *keeper_, *ends_)) {
  ends_->Connect(link_.get());
}

EnvironmentCore::EnvironmentCore(Kind kind, uint64_t range, std::unique_ptr<Ends> ends, std::unique_ptr<KeeperLink> link)
    : kind_(kind),
      last_maker_(range << 32),
      broker_(std::make_unique<Broker>([](int64_t) {})),
      ends_(std::move(ends)),
      link_(std::move(link)) {}

EnvironmentCore::~EnvironmentCore() { broker_->Stop(); }

absl::StatusOr<EnvironmentCore::Made> EnvironmentCore::MakeParty(UniqueFd pidfd) {
  auto [ours, theirs] = SeqpacketPair();
  if (!ours.valid()) return ErrnoStatus(errno, "socketpair");
  Made made;
  made.socket.socket = std::move(theirs);
  made.socket.range = last_range_.fetch_add(1, std::memory_order_relaxed) + 1;
  made.party = std::make_shared<RemoteParty>(*this, std::move(ours), std::move(pidfd));
  broker_->Add(made.party);
  return made;
}

// ---- buffers ---------------------------------------------------------------------------------------------------------------------------

absl::Status BufferCore::status() const {
  if (!status_.ok() || !destroyed_.load(std::memory_order_acquire)) return status_;
  return absl::FailedPreconditionError(fmt::format("buffer \"{}\" has been destroyed", facts_.name));
}

absl::Status BufferCore::Destroy(bool by_hand) {
  if (!status_.ok()) return by_hand ? status_ : absl::OkStatus();
  if (destroyed_.exchange(true, std::memory_order_acq_rel)) {
    if (by_hand) BufferLog().warn("buffer \"{}\" is ended a second time", facts_.name);
    return absl::OkStatus();
  }
  return environment_->link().DestroyBuffer(facts_.id);
}

namespace {

struct BufferScope {
  explicit BufferScope(std::shared_ptr<BufferCore> c) : core(std::move(c)) {}
  ~BufferScope() { static_cast<void>(core->Destroy(false)); }  // an error that was discarded has been logged
  std::shared_ptr<BufferCore> core;
};

struct PublisherScope {
  explicit PublisherScope(std::shared_ptr<PublisherEnd> e) : end(std::move(e)) {}
  ~PublisherScope() { end->Leave(); }
  std::shared_ptr<PublisherEnd> end;
};

}  // namespace

PublisherParts OpenPublisher(const std::shared_ptr<BufferCore>& buffer) {
  std::shared_ptr<PublisherEnd> end;
  if (absl::Status status = buffer->status(); !status.ok()) {
    end = std::make_shared<PublisherEnd>(buffer->facts(), buffer->type(), nullptr, nullptr, nullptr);
    end->Refuse(status);
  } else {
    end = buffer->environment().ends().OpenPublisher(buffer->facts(), buffer->type(), buffer->shared_environment());
  }
  return {std::shared_ptr<OutputCore>(end, &end->output()), std::make_shared<PublisherScope>(end)};
}

std::shared_ptr<SubscriptionCore> OpenSubscription(const std::shared_ptr<BufferCore>& buffer, EventCore* event, SubscribeOptions options) {
  if (absl::Status status = buffer->status(); !status.ok()) return std::make_shared<SubscriptionCore>(status);
  auto shared = event != nullptr ? event->shared_from_this() : std::make_shared<EventCore>();
  return buffer->environment().ends().OpenSubscription(buffer->facts(), buffer->type(), std::move(shared), std::move(options),
                                                       buffer->shared_environment());
}

// ---- jobs ------------------------------------------------------------------------------------------------------------------------------

JobCore::~JobCore() {
  if (thread_.joinable()) thread_.join();
}

void JobCore::RunOnThread(std::function<absl::Status()> function) {
  thread_ = std::thread([this, function = std::move(function)] {
    NameThread(name_);
    OnEnded(ThroughDoor(function));
  });
}

void JobCore::SetProcess(int pid, UniqueFd pidfd) {
  pid_ = pid;
  pidfd_ = std::move(pidfd);
}

void JobCore::OnEnded(const absl::Status& status) {
  MutexLock lock(mutex_);
  if (done_) return;
  done_ = true;
  status_ = status;
  finished_.NotifyAll();
}

absl::Status JobCore::Join(Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError(fmt::format("\"{}\": a timeout is above zero, kNoWait or kInfinite", name_));
  const absl::Time deadline = MonotonicTime() + timeout.duration();
  MutexLock lock(mutex_);
  while (!done_) {
    const absl::Duration left = deadline - MonotonicTime();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError(fmt::format("\"{}\" still runs", name_));
    finished_.WaitFor(mutex_, std::min(left, absl::Hours(1)));
  }
  return std::exchange(status_, absl::OkStatus());
}

void JobCore::Kill() {
  if (pidfd_.valid()) PidfdSendSignal(pidfd_.get(), SIGKILL);
}

}  // namespace internal

// ---- the public classes ----------------------------------------------------------------------------------------------------------------

const std::string& AnyBuffer::name() const { return core_->facts().name; }
const TypeInfo& AnyBuffer::type() const { return core_->type(); }
absl::Status AnyBuffer::status() const { return core_->status(); }
absl::Status AnyBuffer::Close() {
  if (scope_ != nullptr) return core_->Destroy(true);
  return FailedPrecondition(fmt::format("buffer \"{}\" is ended by who has made it", name()));
}

Job& Job::operator=(Job&& other) noexcept {
  Job old(std::move(*this));
  core_ = std::move(other.core_);
  return *this;
}
Job::~Job() {
  if (core_ == nullptr) return;
  absl::Status status = core_->Join(kInfinite);
  if (!status.ok()) log().error("\"{}\" has failed, and nobody asked: {}", core_->name(), std::string(status.message()));
}
const std::string& Job::name() const { return core_->name(); }
absl::Status Job::Join(Timeout timeout) { return core_->Join(timeout); }
int Job::pid() const { return core_->pid(); }
void Job::Kill() { core_->Kill(); }

Environment::~Environment() = default;
std::string_view Environment::kind() const { return core_->kind() == internal::Kind::kThreads ? "threads" : "processes"; }

std::pair<std::shared_ptr<internal::BufferCore>, std::shared_ptr<void>> Environment::MakeBuffer(std::string_view name, TypeInfo type,
                                                                                                BufferOptions options) {
  internal::BufferFacts facts;
  facts.name = name;
  absl::Status status;
  if (core_->kind() == internal::Kind::kProcesses && type.destroy != nullptr) {
    status = absl::InvalidArgumentError(fmt::format(
        "buffer \"{}\": {} can't cross processes: make it a plain struct, a puma::Block or give it a puma::Codec", name, type.name()));
  } else {
    auto made = core_->link().CreateBuffer(maker_, name, {.name = type.name(), .destroy = type.destroy}, options);
    status = made.status();
    if (made.ok()) facts = *std::move(made);
  }
  auto buffer = std::make_shared<internal::BufferCore>(core_, std::move(facts), type, std::move(status));
  auto scope = std::make_shared<internal::BufferScope>(buffer);
  return {std::move(buffer), std::move(scope)};
}

std::shared_ptr<internal::BufferCore> Environment::FindBuffer(std::string_view name, TypeInfo type) {
  auto found = core_->link().FindBuffer(maker_, name);
  absl::Status status = found.status();
  internal::BufferFacts facts;
  facts.name = name;
  if (found.ok()) {
    facts = *std::move(found);
    if (facts.type != type.name())
      status = absl::InvalidArgumentError(fmt::format("buffer \"{}\" carries {}, not {}", name, facts.type, type.name()));
  }
  return std::make_shared<internal::BufferCore>(core_, std::move(facts), type, std::move(status));
}

Job Environment::Launch(std::string_view name, Function function, std::vector<std::string> arguments) {
  auto job = std::make_shared<internal::JobCore>(std::string(name));
  if (core_->kind() == internal::Kind::kThreads) {
    job->RunOnThread([core = core_, maker = maker_, function, arguments = std::move(arguments)] {
      Environment environment(core, maker);
      return function(environment, arguments);
    });
  } else {
    auto child = internal::LaunchProcess(core_, job, {.name = std::string(name), .function = function, .arguments = std::move(arguments)});
    if (child.ok()) job->SetProcess(child->pid, std::move(child->pidfd));
    if (!child.ok()) job->OnEnded(child.status());
  }
  // The handle keeps the environment, whose broker waits for the process; the broker's own thread must never be the last to let it go.
  struct Kept {
    std::shared_ptr<internal::EnvironmentCore> environment;
    std::shared_ptr<internal::JobCore> job;
  };
  auto kept = std::make_shared<Kept>(Kept{core_, job});
  return Job(std::shared_ptr<internal::JobCore>(kept, job.get()));
}

ThreadEnvironment::ThreadEnvironment() : Environment(std::make_shared<internal::EnvironmentCore>(internal::Kind::kThreads)) {}
ProcessEnvironment::ProcessEnvironment() : Environment(std::make_shared<internal::EnvironmentCore>(internal::Kind::kProcesses)) {}

std::unique_ptr<Environment> CreateEnvironment(std::string_view kind) {
  if (kind == "threads") return std::make_unique<ThreadEnvironment>();
  if (kind == "processes") return std::make_unique<ProcessEnvironment>();
  return nullptr;
}

}  // namespace puma
