#include "worker/runner/thread_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "worker/platform/system.h"
#include "worker/runner/perform.h"

namespace puma::runner {

// ---- commands --------------------------------------------------------------------------------------------------------------------------

void LocalCommands::Wake() {
  pending_.store(!calls_.empty() || StopAsked(), std::memory_order_release);
  if (kick_ != nullptr) kick_->Kick();
}

absl::Status LocalCommands::Push(OutgoingCall call, absl::Time deadline) {
  MutexLock lock(mutex_);
  while (calls_.size() >= kCommandCapacity && !ended_) {
    const absl::Duration left = deadline - MonotonicTime();
    if (left <= absl::ZeroDuration()) {
      return absl::ResourceExhaustedError(
          fmt::format("\"{}\" was not sent: {} commands wait already to be executed", call.name, calls_.size()));
    }
    room_.WaitFor(mutex_, left);
  }
  if (ended_) return absl::UnavailableError(fmt::format("\"{}\" was not sent: the runnable has ended", call.name));
  calls_.push_back(std::move(call));
  Wake();
  return absl::OkStatus();
}

void LocalCommands::Stop() {
  MutexLock lock(mutex_);
  stop_.store(true, std::memory_order_release);
  Wake();
}

void LocalCommands::End() {
  MutexLock lock(mutex_);
  ended_ = true;
  calls_.clear();
  listener_ = nullptr;
  kick_ = nullptr;
  room_.NotifyAll();
}

void LocalCommands::Serve(KickWord* kick, std::shared_ptr<RunListener> listener) {
  MutexLock lock(mutex_);
  kick_ = kick;
  listener_ = std::move(listener);
}

bool LocalCommands::Poll(const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) {
  while (true) {
    OutgoingCall call;
    std::shared_ptr<RunListener> listener;
    {
      MutexLock lock(mutex_);
      pending_.store(calls_.size() > 1 || StopAsked(), std::memory_order_release);
      if (calls_.empty()) return StopAsked();
      call = std::move(calls_.front());
      calls_.pop_front();
      listener = listener_;
      room_.NotifyAll();
    }
    internal::CommandCall incoming;
    incoming.id = call.id;
    incoming.deadline_ns = call.deadline_ns;
    incoming.name = call.name;
    incoming.positional = &call.arguments;
    incoming.answered = call.answered;
    absl::StatusOr<Value> result = serve(incoming);
    if (call.answered && listener != nullptr) listener->OnAnswer(call.id, std::move(result));
  }
}

// ---- the run ---------------------------------------------------------------------------------------------------------------------------

// Its own thread may be the last that knows it, when it was left behind.
ThreadRun::~ThreadRun() { Join(); }

void ThreadRun::Join() {
  if (!thread_.joinable()) return;
  if (thread_.get_id() == std::this_thread::get_id()) return thread_.detach();
  thread_.join();
}

absl::Status ThreadRun::Start(RunPlan plan, internal::RunnableCore& half, std::shared_ptr<RunListener> self,
                              std::shared_ptr<internal::EnvironmentCore> environment) {
  try {
    thread_ = std::thread([this, plan = std::move(plan), &half, self = std::move(self), environment = std::move(environment)]() mutable {
      NameThread(plan.name);
      const absl::Status status = Perform(plan, half, self, std::move(environment));
      commands_.End();
      auto listener = std::move(self);
      listener->OnEnded(status);
    });
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(fmt::format("no thread can be started: {}", e.what()));
  }
  return absl::OkStatus();
}

absl::Status ThreadRun::Perform(const RunPlan& plan, internal::RunnableCore& half, const std::shared_ptr<RunListener>& self,
                                std::shared_ptr<internal::EnvironmentCore> environment) {
  Stage stage;
  stage.maker = environment->NewMaker();
  stage.environment = std::move(environment);
  stage.commands = &commands_;
  stage.parent = &half;
  stage.running = [&] { self->OnRunning(); };
  stage.status = [&](std::string type, Value status) { self->OnStatus(std::move(type), std::move(status)); };
  stage.reach = [&](internal::RunnableCore* core) {
    core_.store(core, std::memory_order_release);
    commands_.Serve(core != nullptr ? &core->context().kick : nullptr, core != nullptr ? self : nullptr);
  };
  return runner::Perform(plan, stage);
}

}  // namespace puma::runner
