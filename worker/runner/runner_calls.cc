// Calls of a runnable's commands from its program, and its statuses.
#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <utility>

#include "worker/platform/system.h"
#include "worker/runner/runner_core.h"

namespace puma::internal {
namespace {

constexpr absl::Duration kSendAtMost = absl::Seconds(10);  // while the command buffer is full

// What runnables of this process wait for, so that two that wait for each other can be told.
struct Waiting {
  Mutex mutex;
  std::map<std::string, std::string> of PUMA_GUARDED_BY(mutex);  // runnable to `"command" of "other"`
};
Waiting& WaitingRunnables() {
  static auto* const waiting = new Waiting;  // never destroyed: threads that are left behind may use it
  return *waiting;
}
class WaitingScope {
 public:
  explicit WaitingScope(const std::string& for_what) {
    if (CurrentCore() == nullptr) return;
    who_ = CurrentCore()->options().name;
    MutexLock lock(WaitingRunnables().mutex);
    WaitingRunnables().of[who_] = for_what;
  }
  ~WaitingScope() {
    if (who_.empty()) return;
    MutexLock lock(WaitingRunnables().mutex);
    WaitingRunnables().of.erase(who_);
  }
  WaitingScope(const WaitingScope&) = delete;
  WaitingScope& operator=(const WaitingScope&) = delete;

 private:
  std::string who_;
};

std::string WhatItWaitsFor(const std::string& who) {
  MutexLock lock(WaitingRunnables().mutex);
  auto at = WaitingRunnables().of.find(who);
  return at == WaitingRunnables().of.end() ? "" : at->second;
}

}  // namespace

// ---- a call ----------------------------------------------------------------------------------------------------------------------------

CallCore::~CallCore() {
  if (runner_ != nullptr) runner_->Forget(id_);
}

absl::Status CallCore::Sent() const { return runner_ != nullptr ? absl::OkStatus() : const_cast<CallCore*>(this)->Await(kNoWait).status(); }

absl::StatusOr<Value> CallCore::Await(Timeout timeout) {
  {
    MutexLock lock(mutex_);
    if (result_) return *result_;
  }
  absl::StatusOr<Value> result = runner_->Await(*this, timeout);
  if (!absl::IsDeadlineExceeded(result.status()) || ErrorOf(result.status()).path.size() > 1) {
    MutexLock lock(mutex_);
    if (!result_) result_ = result;
  }
  return result;
}

absl::StatusOr<Value> AwaitCall(CallCore& call, Timeout timeout) { return call.Await(timeout); }
absl::Status SentStatus(const CallCore& call) { return call.Sent(); }

// ---- sending ---------------------------------------------------------------------------------------------------------------------------

absl::Status RunnerCore::NotCommand(std::string_view what) const {
  std::vector<std::string> names;
  for (const CommandDeclaration& command : half_->commands()) names.push_back(command.name);
  return absl::FailedPreconditionError(fmt::format("\"{}\" has not declared {} as a command; it has declared: {}", name_, what,
                                                   names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

absl::Status RunnerCore::Gone() const {
  if (end_.ok()) return absl::UnavailableError(fmt::format("\"{}\" has ended", name_));
  Error error;
  error.code = absl::StatusCode::kUnavailable;
  error.message = fmt::format("\"{}\" has ended: {}", name_, std::string(end_.message()));
  error.causes = {ErrorOf(end_)};
  return ToStatus(error);
}

namespace {
std::shared_ptr<CallCore> Decided(absl::StatusOr<Value> result) { return std::make_shared<CallCore>(std::move(result)); }
}  // namespace

std::shared_ptr<CallCore> RunnerCore::Send(std::string_view method, std::vector<Value> arguments, Timeout within, bool answered) {
  if (!within.valid() || within.as_spec())
    return Decided(absl::InvalidArgumentError(fmt::format("\"{}\": a deadline is above zero, kNoWait or kInfinite", name_)));
  if (half_ == nullptr) return Decided(broken_);
  const CommandDeclaration* const command = half_->FindMethod(method);
  if (command == nullptr) return Decided(NotCommand("this method"));
  {
    MutexLock lock(mutex_);
    if (absl::Status status = CanBeCalled(); !status.ok()) return Decided(status);
  }
  if (RunnableCore* core = run_->core(); core != nullptr && core == CurrentCore()) {
    auto result = core->ExecuteCommand(*core->FindCommand(command->name), arguments);
    Attach(result, shared_from_this());
    return Decided(std::move(result));
  }
  return Dispatch({.answered = answered, .name = command->name, .arguments = std::move(arguments)}, command->name, within);
}

absl::Status RunnerCore::CanBeCalled() const {
  if (absl::Status status = Unusable(); !status.ok()) return status;
  if (phase_ == Phase::kNew) return absl::FailedPreconditionError(fmt::format("runner \"{}\" has not been started", name_));
  return phase_ == Phase::kEnded ? Gone() : absl::OkStatus();
}

std::shared_ptr<CallCore> RunnerCore::Dispatch(runner::OutgoingCall call, std::string shown, Timeout within) {
  call.id = last_call_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (call.answered) {
    MutexLock lock(mutex_);
    calls_[call.id].name = shown;
  }
  auto sent = std::make_shared<CallCore>(call.answered ? shared_from_this() : nullptr, call.id, std::move(shown));
  sent->sent_ns_ = MonotonicNanos();
  const bool forever = within.duration() == absl::InfiniteDuration();
  if (!forever) call.deadline_ns = sent->sent_ns_ + std::min(absl::ToInt64Nanoseconds(within.duration()), int64_t{1} << 61);
  absl::Status status = run_->Send(call, MonotonicTime() + std::min(kSendAtMost, within.duration()));
  if (!status.ok()) return Decided(status);
  return call.answered ? sent : Decided(Value());
}

void RunnerCore::Forget(uint64_t call) {
  std::map<uint64_t, PendingCall>::node_type forgotten;  // it may be a reference, which is let go of without the lock
  MutexLock lock(mutex_);
  forgotten = calls_.extract(call);
}

// ---- references ------------------------------------------------------------------------------------------------------------------------

absl::StatusOr<Value> RunnerCore::CallObject(ObjectCall call) {
  if (!call.within.valid() || call.within.as_spec())
    return absl::InvalidArgumentError(fmt::format("\"{}\": a deadline is above zero, kNoWait or kInfinite", name_));
  {
    MutexLock lock(mutex_);
    if (closed_ || phase_ == Phase::kEnded) return Gone();
  }
  if (RunnableCore* core = run_->core(); core != nullptr && core == CurrentCore()) {
    auto result = core->CallObject(call.object, call.method, call.arguments);
    Attach(result, shared_from_this());
    return result;
  }
  runner::OutgoingCall outgoing{.name = std::string(kCallObject), .arguments = {Value(call.object), Value(call.method)}};
  for (Value& argument : call.arguments) outgoing.arguments.push_back(std::move(argument));
  auto sent = Dispatch(std::move(outgoing), call.method, call.within);
  sent->slow_ns_ = std::min(absl::ToInt64Nanoseconds(call.slow), int64_t{1} << 61);
  return sent->Await(call.within);
}

void RunnerCore::ReleaseObject(uint64_t object) {
  if (RunnableCore* core = run_->core(); core != nullptr && core == CurrentCore()) return core->ReleaseObject(object);
  {
    MutexLock lock(mutex_);
    if (closed_ || phase_ == Phase::kEnded) return;
    releases_.emplace_back(object);
  }
  SendReleases();
}

void RunnerCore::SendReleases() {
  runner::OutgoingCall call{.answered = false, .name = std::string(kReleaseObjects)};
  {
    MutexLock lock(mutex_);
    call.arguments.swap(releases_);
  }
  if (call.arguments.empty() || run_->Send(call, MonotonicTime()).ok()) return;
  MutexLock lock(mutex_);  // its command buffer is full: with the next answer
  releases_.insert(releases_.end(), call.arguments.begin(), call.arguments.end());
}

// ---- waiting ---------------------------------------------------------------------------------------------------------------------------

absl::Status RunnerCore::NotAnswered(const CallCore& call, Timeout timeout) {
  const std::string other = WhatItWaitsFor(name_);
  std::string cause = "it may be busy in a handler, or its Execute does not call PollCommands";
  if (!other.empty()) {
    cause = fmt::format("it is itself waiting for {}", other);
    if (CurrentCore() != nullptr) cause += fmt::format(", while \"{}\" waits for it", CurrentCore()->options().name);
  }
  return absl::DeadlineExceededError(
      fmt::format("\"{}\" has not answered \"{}\" within {}: {}", name_, call.name_, absl::FormatDuration(timeout.duration()), cause));
}

void RunnerCore::WarnIfSlow(const CallCore& call) {
  const int64_t took = MonotonicNanos() - call.sent_ns_;
  if (took < call.slow_ns_) return;
  {
    MutexLock lock(mutex_);
    if (std::exchange(warned_[call.name_], true)) return;
  }
  log().warn("\"{}\" took {} to answer \"{}\"", name_, absl::FormatDuration(absl::Milliseconds(took / 1'000'000)), call.name_);
}

absl::StatusOr<Value> RunnerCore::Await(CallCore& call, Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError(fmt::format("\"{}\": a deadline is above zero, kNoWait or kInfinite", name_));
  const WaitingScope waiting(fmt::format("\"{}\" of \"{}\"", call.name_, name_));
  const absl::Time deadline =
      timeout.duration() == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + timeout.duration();
  while (true) {
    const Look look(*this);
    std::optional<absl::StatusOr<Value>> result;
    {
      MutexLock lock(mutex_);
      auto at = calls_.find(call.id_);
      if (at != calls_.end()) result = at->second.result;
      if (!result && phase_ == Phase::kEnded) result = Gone();
    }
    if (result) {
      WarnIfSlow(call);
      return *std::move(result);
    }
    if (!look.Sleep(deadline)) return NotAnswered(call, timeout);
  }
}

absl::StatusOr<Value> RunnerCore::Latest(const std::string& type, Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError(fmt::format("\"{}\": a timeout is a duration above zero, kNoWait or kInfinite", name_));
  const absl::Time deadline =
      timeout.duration() == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + timeout.duration();
  while (true) {
    const Look look(*this);
    {
      MutexLock lock(mutex_);
      if (absl::Status status = Unusable(); !status.ok()) return status;
      if (phase_ == Phase::kNew) return absl::FailedPreconditionError(fmt::format("runner \"{}\" has not been started", name_));
      if (phase_ == Phase::kEnded && !end_.ok()) {
        if (absl::Status error = TakeError(); !error.ok()) return error;
      }
      if (auto at = statuses_.find(type); at != statuses_.end()) {
        Value value = std::move(at->second);
        statuses_.erase(at);
        return value;
      }
      if (phase_ == Phase::kEnded) return absl::UnavailableError(fmt::format("\"{}\" has ended without a status of type {}", name_, type));
    }
    if (timeout.duration() <= absl::ZeroDuration())
      return absl::NotFoundError(fmt::format("\"{}\" has sent no status of type {}", name_, type));
    if (!look.Sleep(deadline))
      return absl::DeadlineExceededError(
          fmt::format("\"{}\" has sent no status of type {} within {}", name_, type, absl::FormatDuration(timeout.duration())));
  }
}

}  // namespace puma::internal
