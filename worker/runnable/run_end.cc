// Start, execute, and the end: subscribers completed, then the hook, then subscriptions left, then outputs completed or left.
#include <utility>

#include "worker/logging/record_sink.h"
#include "worker/runnable/door.h"
#include "worker/runnable/runnable_core.h"

namespace puma::internal {

absl::Status RunnableCore::Start() {
  logging::ThreadScope scope(logger_, options_.slot);
  const ExecutingScope executing(this);
  context_.busy_since->store(static_cast<uint64_t>(CoarseNanos()), std::memory_order_relaxed);
  absl::Status status = ThroughDoor([&] { return self_->OnStart(); });
  context_.busy_since->store(0, std::memory_order_relaxed);
  return status;
}

Outcome RunnableCore::Run() {
  logging::ThreadScope scope(logger_, options_.slot);
  const ExecutingScope executing(this);
  context_.thread = pthread_self();
  for (auto& output : outputs_) output->Open();
  executing_ = true;
  absl::Status status = ThroughDoor([&] { return self_->Execute(); });
  if (status.ok() && !command_error_.ok()) status = command_error_;
  const bool asked = !inputs_completed_ && stopping();
  const bool stopped = asked && (status.ok() || absl::IsCancelled(status));
  Outcome outcome = End(stopped ? absl::OkStatus() : std::move(status), stopped);
  context_.busy_since->store(0, std::memory_order_relaxed);
  context_.thread = pthread_t{};
  return outcome;
}

Outcome RunnableCore::End(absl::Status error, bool stopped) {
  bool handled = CompleteAtEnd(error);
  handled = CallOnEnd(error) || handled;
  if (!error.ok()) {
    Error full = ErrorOf(error);
    if (full.path.empty() || full.path.back() != options_.name) full.path.push_back(options_.name);
    error = ToStatus(full);
    if (handled) {
      logger_.debug("ended with an error that was handled: {}", Explain(error));
      error = absl::OkStatus();
    }
  }
  executing_ = false;
  Leave(error, stopped);
  if (!error.ok()) {
    if (options_.logs_its_error) logger_.error("ended with an error: {}", Explain(error));
    return {Outcome::Kind::kFailed, error};
  }
  return {stopped ? Outcome::Kind::kStopped : Outcome::Kind::kCompleted, absl::OkStatus()};
}

// An error raised while another is on its way: the first one wins, this one is logged.
void RunnableCore::LogFurther(const absl::Status& first, const absl::Status& further) {
  if (first.code() == further.code() && first.message() == further.message()) {
    logger_.debug("the error was handed on: {}", std::string(further.message()));
  } else {
    logger_.warn("a further error: {}", Explain(further));
  }
}

// Every subscriber that has not completed gets the error or OK; one whose completion failed is offered the error once more. True: one of
// them has taken the error.
bool RunnableCore::CompleteAtEnd(absl::Status& error) {
  bool taken = false;
  const auto offer = [&](Subscriber& subscriber) {
    subscriber.completed = true;
    if (!subscriber.on_complete) return;
    const absl::Status offered = error;
    absl::Status status = ThroughDoor([&] { return subscriber.on_complete(offered); });
    if (status.ok()) {
      taken = taken || !offered.ok();
    } else if (error.ok()) {
      error = std::move(status);
      subscriber.failed = true;
    } else {
      LogFurther(error, status);
    }
  };
  for (Subscriber& subscriber : subscribers_) {
    bool connected = false;
    for (Input* input : subscriber.inputs) connected = connected || input->connected();
    if (connected && !subscriber.completed) offer(subscriber);
  }
  for (Subscriber& subscriber : subscribers_) {
    if (subscriber.failed && !error.ok()) offer(subscriber);
    subscriber.failed = false;
  }
  return taken;
}

bool RunnableCore::CallOnEnd(absl::Status& error) {
  bool handled = false;
  absl::Status status = ThroughDoor([&]() -> absl::Status {
    handled = self_->OnEnd(error);
    return absl::OkStatus();
  });
  if (!status.ok()) {
    if (error.ok()) {
      error = std::move(status);
    } else {
      LogFurther(error, status);
    }
    return false;
  }
  return handled && !error.ok();
}

// Under the host an error does not complete the outputs: it does, once the task will not run again.
void RunnableCore::Leave(const absl::Status& error, bool stopped) {
  ThroughDoor([&] {
    objects_.Clear();
    return absl::OkStatus();
  }).IgnoreError();
  for (auto& input : inputs_) input->Leave();
  const bool completes = error.ok() ? !stopped : options_.completes_with_error;
  for (auto& output : outputs_) {
    if (completes && output->connected() && !output->completed()) (void)output->Complete(error);
    output->Close();
  }
}

}  // namespace puma::internal
