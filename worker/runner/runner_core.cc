// A runner's life: made with the parent's half, started, ended, left; and its one error.
#include "worker/runner/runner_core.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <utility>

#include "worker/platform/system.h"
#include "worker/proxy/facade_core.h"

namespace puma::internal {
namespace {

constexpr absl::Duration kTermGrace = absl::Seconds(1);  // between SIGTERM and SIGKILL
constexpr absl::Duration kKillGrace = absl::Seconds(30);

absl::Time DeadlineAfter(absl::Duration at_most) {
  return at_most == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + at_most;
}

absl::Status CheckTimeout(const std::string& name, Timeout timeout) {
  if (timeout.valid() && !timeout.as_spec()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("\"{}\": a timeout is a duration above zero, kNoWait or kInfinite", name));
}

std::vector<std::string> PortsOf(const std::vector<BufferWire>& wires) {
  std::vector<std::string> ports;
  for (const BufferWire& wire : wires) ports.push_back(wire.port);
  return ports;
}

}  // namespace

// ---- making ----------------------------------------------------------------------------------------------------------------------------

RunnerCore::RunnerCore(const std::shared_ptr<EnvironmentCore>& environment, std::string name, RunnableType type, RunnerOptions options)
    : environment_(environment.get()),
      weak_environment_(environment),
      name_(std::move(name)),
      options_(std::move(options)),
      run_(runner::Run::New(environment->kind())) {
  plan_.name = name_;
  plan_.factory = type.make;
  if (name_.empty()) mistakes_.emplace_back("a runner needs a name");
  if (options_.stop_grace <= absl::ZeroDuration()) mistakes_.emplace_back("stop_grace is above zero");
  for (const auto& [param, value] : options_.params) plan_.params[param] = value.ToJson();
  MakeHalf(type);
  WireAll();
  options_.inputs.clear();
  options_.outputs.clear();
  options_.pass_on.clear();
  options_.facades.clear();
  if (mistakes_.empty()) return;
  broken_ = absl::InvalidArgumentError(fmt::format("runner \"{}\":\n  {}", name_, fmt::join(mistakes_, "\n  ")));
  LeaveSeats();
}

RunnerCore::~RunnerCore() { LeaveSeats(); }

void RunnerCore::MakeHalf(RunnableType type) {
  CoreOptions options;
  options.name = name_;
  options.scope = Scope::kParent;
  options.params = plan_.params;
  options.inputs = PortsOf(options_.inputs);
  options.outputs = PortsOf(options_.outputs);
  options.passed = PortsOf(options_.pass_on);
  for (const FacadeWire& wire : options_.facades) options.facades.push_back(wire.name);
  auto half = RunnableCore::ConstructAnyway(type.make, std::move(options));
  if (!half.ok()) {
    mistakes_.emplace_back(half.status().message());
    return;
  }
  half_ = *std::move(half);
  mistakes_.insert(mistakes_.end(), half_->mistakes().begin(), half_->mistakes().end());
  plan_.declarations = half_->Declarations();
}

void RunnerCore::WireAll() {
  Wire(plan_.inputs, options_.inputs, "input");
  Wire(plan_.outputs, options_.outputs, "output");
  Wire(plan_.passed, options_.pass_on, "buffer to be passed on");
  WireFacades();
  if (half_ == nullptr) return;
  for (const auto& input : half_->inputs()) CheckType("input", input->name(), input->declaration().type, options_.inputs);
  for (const auto& output : half_->outputs()) CheckType("output", output->port(), output->type(), options_.outputs);
  for (const auto& passed : half_->passed()) CheckType("buffer to be passed on", passed->name, passed->type, options_.pass_on);
  if (!mistakes_.empty()) return;
  for (runner::Wire& wire : plan_.outputs) {
    auto seat = environment_->link().ReserveSeat(wire.buffer.id);
    if (seat.ok()) {
      wire.seat = *seat;
    } else {
      mistakes_.push_back(fmt::format("output \"{}\": {}", wire.port, std::string(seat.status().message())));
    }
  }
}

void RunnerCore::Wire(std::vector<runner::Wire>& to, const std::vector<BufferWire>& wires, std::string_view kind) {
  for (const BufferWire& wire : wires) {
    if (std::any_of(to.begin(), to.end(), [&](const runner::Wire& known) { return known.port == wire.port; }))
      mistakes_.push_back(fmt::format("{} \"{}\" is connected twice", kind, wire.port));
    if (absl::Status status = wire.buffer.status(); !status.ok())
      mistakes_.push_back(fmt::format("{} \"{}\": {}", kind, wire.port, std::string(status.message())));
    to.push_back({wire.port, wire.buffer.core()->facts()});
  }
}

void RunnerCore::WireFacades() {
  for (const FacadeWire& wire : options_.facades) {
    const FacadeSlot& given = *wire.facade.slot();
    if (std::any_of(plan_.facades.begin(), plan_.facades.end(), [&](const runner::Wire& known) { return known.port == wire.name; }))
      mistakes_.push_back(fmt::format("facade \"{}\" is given twice", wire.name));
    if (given.core == nullptr) {
      mistakes_.push_back(fmt::format("facade \"{}\": what is given reaches its object only where its runnable runs", wire.name));
      continue;
    }
    if (absl::Status status = given.core->status(); !status.ok())
      mistakes_.push_back(fmt::format("facade \"{}\": {}", wire.name, std::string(status.message())));
    plan_.facades.push_back({wire.name, given.core->requests()});
    if (half_ == nullptr) continue;
    for (const auto& declared : half_->facades()) {
      if (declared->name != wire.name || declared->type == given.type) continue;
      mistakes_.push_back(fmt::format("facade \"{}\" is one of {}, but what is given is one of {}", wire.name, declared->type, given.type));
    }
  }
}

void RunnerCore::CheckType(std::string_view kind, const std::string& port, const TypeInfo& type, const std::vector<BufferWire>& wires) {
  for (const BufferWire& wire : wires) {
    if (wire.port != port || !wire.buffer.status().ok() || wire.buffer.core()->facts().type == type.name()) continue;
    mistakes_.push_back(fmt::format("{} \"{}\" takes {}, but buffer \"{}\" carries {}", kind, port, type.name(), wire.buffer.name(),
                                    wire.buffer.core()->facts().type));
  }
  const bool told = std::any_of(wires.begin(), wires.end(), [&](const BufferWire& w) { return w.port == port && !w.buffer.status().ok(); });
  if (type.destroy != nullptr && environment_->kind() == Kind::kProcesses && !told) {
    mistakes_.push_back(fmt::format("{} \"{}\": {} can't cross processes: make it a plain struct, a puma::Block or give it a puma::Codec",
                                    kind, port, type.name()));
  }
}

void RunnerCore::LeaveSeats() {
  for (runner::Wire& wire : plan_.outputs) {
    if (const uint64_t seat = std::exchange(wire.seat, 0); seat != 0) environment_->link().LeaveSeat(seat);
  }
}

// ---- from the run ----------------------------------------------------------------------------------------------------------------------

void RunnerCore::OnRunning() {
  {
    MutexLock lock(mutex_);
    if (phase_ == Phase::kStarting) phase_ = Phase::kRunning;
    was_running_ = true;
  }
  changed_.Kick();
}

void RunnerCore::OnStatus(std::string type, Value status) {
  {
    MutexLock lock(mutex_);
    statuses_[std::move(type)] = std::move(status);
  }
  changed_.Kick();
}

void RunnerCore::OnAnswer(uint64_t call, absl::StatusOr<Value> result) {
  Attach(result, shared_from_this());  // if nobody waits any more, it is let go of here
  {
    MutexLock lock(mutex_);
    auto at = calls_.find(call);
    if (at == calls_.end()) return;  // nobody waits any more
    at->second.result = std::move(result);
  }
  changed_.Kick();
  SendReleases();
}

void RunnerCore::OnEnded(const absl::Status& error) {
  run_->Fetch();  // what it said before
  LeaveSeats();
  std::vector<std::function<void(const absl::Status&)>> callbacks;
  absl::Status end;
  {
    MutexLock lock(mutex_);
    end_ = error;
    if (killed_)
      end_ = absl::DeadlineExceededError(
          fmt::format("\"{}\" did not end within {} and was killed", name_, absl::FormatDuration(options_.stop_grace)));
    if (!end_.ok()) {
      Error full = ErrorOf(end_);
      if (full.path.empty() || full.path.back() != name_) full.path.push_back(name_);
      end_ = ToStatus(full);
    }
    end = end_;
    phase_ = Phase::kEnded;
    callbacks.swap(callbacks_);
  }
  changed_.Kick();
  for (auto& callback : callbacks) environment_->broker().Post([callback = std::move(callback), end] { callback(end); });
}

// ---- waiting ---------------------------------------------------------------------------------------------------------------------------

RunnerCore::Look::Look(RunnerCore& core) {
  words_.AddPrivate(core.changed_.word(), core.changed_.value());
  core.run_->Watch(words_);
  core.run_->Fetch();
}

bool RunnerCore::Look::Sleep(absl::Time deadline) const {
  const absl::Duration left = deadline == absl::InfiniteFuture() ? absl::InfiniteDuration() : deadline - MonotonicTime();
  if (left <= absl::ZeroDuration()) return false;
  words_.Sleep(left);
  return true;
}

absl::Status RunnerCore::Unusable() const {
  return closed_ ? absl::FailedPreconditionError(fmt::format("runner \"{}\" has been closed", name_)) : absl::OkStatus();
}

absl::Status RunnerCore::TakeError() {
  if (phase_ != Phase::kEnded || std::exchange(taken_, true)) return absl::OkStatus();
  return end_;
}

// ---- the life --------------------------------------------------------------------------------------------------------------------------

absl::Status RunnerCore::Start() {
  bool stop;
  {
    MutexLock lock(mutex_);
    if (absl::Status status = Unusable(); !status.ok()) return status;
    if (!broken_.ok()) return broken_;
    if (phase_ != Phase::kNew) return absl::FailedPreconditionError(fmt::format("runner \"{}\" has been started already", name_));
    phase_ = Phase::kStarting;
    stop = stop_;
  }
  auto saved = half_->SaveAttributes(environment_->kind() == Kind::kProcesses);
  absl::Status status = saved.status();
  if (status.ok()) {
    plan_.attributes = *std::move(saved);
    status = run_->Start(plan_, *half_, shared_from_this(), weak_environment_.lock());
  }
  if (!status.ok()) {
    OnEnded(status);
    MutexLock lock(mutex_);
    taken_ = true;
    return end_;
  }
  if (stop) run_->Stop();
  return status;
}

absl::Status RunnerCore::WaitUntilRunning(Timeout timeout) {
  if (absl::Status status = CheckTimeout(name_, timeout); !status.ok()) return status;
  const absl::Time deadline = DeadlineAfter(timeout.duration());
  while (true) {
    const Look look(*this);
    {
      MutexLock lock(mutex_);
      if (absl::Status status = Unusable(); !status.ok()) return status;
      if (phase_ == Phase::kNew) return absl::FailedPreconditionError(fmt::format("runner \"{}\" has not been started", name_));
      if (phase_ == Phase::kRunning) return absl::OkStatus();
      if (phase_ == Phase::kEnded) return TakeError();
    }
    if (!look.Sleep(deadline))
      return absl::DeadlineExceededError(fmt::format("\"{}\" does not run yet: its OnStart has not returned", name_));
  }
}

void RunnerCore::Stop() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    if (phase_ != Phase::kStarting && phase_ != Phase::kRunning) return;
  }
  run_->Stop();
}

bool RunnerCore::WaitForEnd(absl::Duration at_most) {
  const absl::Time deadline = DeadlineAfter(at_most);
  while (true) {
    const Look look(*this);
    {
      MutexLock lock(mutex_);
      if (phase_ == Phase::kEnded) return true;
    }
    if (!look.Sleep(deadline)) return false;
  }
}

absl::Status RunnerCore::Join(Timeout timeout) {
  if (absl::Status status = CheckTimeout(name_, timeout); !status.ok()) return status;
  {
    MutexLock lock(mutex_);
    if (absl::Status status = Unusable(); !status.ok()) return status;
    if (phase_ == Phase::kNew) return absl::FailedPreconditionError(fmt::format("runner \"{}\" has not been started", name_));
  }
  if (WaitForEnd(timeout.duration())) return absl::OkStatus();
  return absl::DeadlineExceededError(fmt::format("\"{}\" is still alive", name_));
}

absl::Status RunnerCore::CheckForErrors() {
  MutexLock lock(mutex_);
  if (absl::Status status = Unusable(); !status.ok()) return status;
  return TakeError();
}

// The runnable did not end when it was asked to.
absl::Status RunnerCore::EndTheHardWay() {
  if (!run_->Terminate(false)) {
    return absl::DeadlineExceededError(
        fmt::format("\"{}\" did not end within {}; its thread is left behind", name_, absl::FormatDuration(options_.stop_grace)));
  }
  {
    MutexLock lock(mutex_);
    killed_ = true;
  }
  if (WaitForEnd(kTermGrace)) return absl::OkStatus();
  run_->Terminate(true);
  if (WaitForEnd(kKillGrace)) return absl::OkStatus();
  return absl::DeadlineExceededError(fmt::format("\"{}\" was killed, but its process does not end", name_));
}

absl::Status RunnerCore::Close() {
  bool started;
  {
    MutexLock lock(mutex_);
    if (absl::Status status = Unusable(); !status.ok()) return status;
    started = phase_ != Phase::kNew;
  }
  Stop();
  absl::Status status;
  if (started && !WaitForEnd(options_.stop_grace)) status = EndTheHardWay();
  if (started && status.ok()) run_->Join();
  MutexLock lock(mutex_);
  closed_ = true;
  if (absl::Status error = TakeError(); !error.ok()) return error;
  return status;
}

void RunnerCore::OnEnd(std::function<void(const absl::Status&)> callback) {
  absl::Status end;
  {
    MutexLock lock(mutex_);
    if (phase_ != Phase::kEnded) {
      callbacks_.push_back(std::move(callback));
      return;
    }
    end = end_;
  }
  environment_->broker().Post([callback = std::move(callback), end] { callback(end); });
}

bool RunnerCore::IsAlive() {
  MutexLock lock(mutex_);
  return phase_ == Phase::kStarting || phase_ == Phase::kRunning;
}

bool RunnerCore::closed() {
  MutexLock lock(mutex_);
  return closed_;
}

int RunnerCore::pid() { return run_->pid(); }

}  // namespace puma::internal
