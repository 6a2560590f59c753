// Copies one buffer to others, as bytes: types need not be known.
#include <fmt/format.h>
#include <puma/log.h>
#include <puma/parallel.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "worker/environment/environment_core.h"
#include "worker/environment/subscription_core.h"
#include "worker/logging/crash_handler.h"
#include "worker/platform/mutex.h"
#include "worker/platform/system.h"

namespace puma {
namespace internal {

class MulticasterCore {
 public:
  MulticasterCore(Environment& environment, const AnyBuffer& from);
  ~MulticasterCore();
  absl::Status Subscribe(const AnyBuffer& to, OnFull on_full) PUMA_EXCLUDES(mutex_);
  absl::Status Unsubscribe(const AnyBuffer& to) PUMA_EXCLUDES(mutex_);
  absl::Status Start() PUMA_EXCLUDES(mutex_);
  void Stop();
  absl::Status Join(Timeout timeout) PUMA_EXCLUDES(mutex_);
  absl::Status CheckForErrors() PUMA_EXCLUDES(mutex_);
  absl::Status Close() PUMA_EXCLUDES(mutex_);
  const std::string& name() const { return name_; }

 private:
  struct Target {
    std::shared_ptr<BufferCore> buffer;
    OnFull on_full;
    PublisherParts publisher;
  };
  std::vector<Target>::iterator Find(const AnyBuffer& to);
  absl::Status NotStarted() const PUMA_REQUIRES(mutex_);
  void Run() PUMA_EXCLUDES(mutex_);
  absl::Status CopyUntilTheEnd();
  absl::Status Copy(Bytes value);
  static absl::Status CopyTo(Target& target, Bytes value);
  void CompleteAll(const absl::Status& error);

  const std::shared_ptr<BufferCore> from_;
  const std::string name_;
  const std::shared_ptr<EventCore> event_ = std::make_shared<EventCore>();
  absl::Status broken_;
  std::vector<Target> targets_;  // once started, of the thread
  std::shared_ptr<SubscriptionCore> subscription_;
  std::atomic<bool> stop_{false};
  bool complete_ = false;
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool started_ PUMA_GUARDED_BY(mutex_) = false, ended_ PUMA_GUARDED_BY(mutex_) = false;
  bool closing_ PUMA_GUARDED_BY(mutex_) = false, closed_ PUMA_GUARDED_BY(mutex_) = false;
  absl::Status error_ PUMA_GUARDED_BY(mutex_);
};

MulticasterCore::MulticasterCore(Environment& environment, const AnyBuffer& from)
    : from_(from.core()), name_(fmt::format("multicaster of {}", from.name())), broken_(from.status()) {
  if (!broken_.ok()) return;
  if (&from_->environment() != environment.core().get()) {
    broken_ = absl::InvalidArgumentError(fmt::format("{}: the buffer belongs to another environment", name_));
  } else if (from_->type().destroy != nullptr) {
    broken_ = absl::InvalidArgumentError(
        fmt::format("{}: {} can't be copied: make it a plain struct, a puma::Block or give it a puma::Codec", name_, from_->type().name()));
  }
}

MulticasterCore::~MulticasterCore() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

// ---- from other threads ----------------------------------------------------------------------------------------------------------------

std::vector<MulticasterCore::Target>::iterator MulticasterCore::Find(const AnyBuffer& to) {
  return std::find_if(targets_.begin(), targets_.end(), [&](const Target& t) { return t.buffer->facts().id == to.core()->facts().id; });
}

absl::Status MulticasterCore::NotStarted() const {
  if (closing_) return absl::FailedPreconditionError(fmt::format("{} has been closed", name_));
  if (started_) return absl::FailedPreconditionError(fmt::format("{} has been started", name_));
  return broken_;
}

absl::Status MulticasterCore::Subscribe(const AnyBuffer& to, OnFull on_full) {
  MutexLock lock(mutex_);
  if (absl::Status status = NotStarted(); !status.ok()) return status;
  if (absl::Status status = to.status(); !status.ok()) return status;
  if (on_full == OnFull::kDropOldest || on_full == OnFull::kLatest)
    return absl::InvalidArgumentError(fmt::format("{}: drop_oldest and latest are chosen for the whole buffer \"{}\"", name_, to.name()));
  if (to.core()->facts().type != from_->facts().type) {
    return absl::InvalidArgumentError(
        fmt::format("{} carries {}, but buffer \"{}\" carries {}", name_, from_->facts().type, to.name(), to.core()->facts().type));
  }
  if (to.core()->facts().id == from_->facts().id)
    return absl::InvalidArgumentError(fmt::format("{}: a buffer can't be copied to itself", name_));
  if (Find(to) != targets_.end()) return absl::AlreadyExistsError(fmt::format("{} has output \"{}\" already", name_, to.name()));
  PublisherParts publisher = OpenPublisher(to.core());
  if (absl::Status status = publisher.output->status(); !status.ok()) return status;
  targets_.push_back({to.core(), on_full, std::move(publisher)});
  return absl::OkStatus();
}

absl::Status MulticasterCore::Unsubscribe(const AnyBuffer& to) {
  MutexLock lock(mutex_);
  if (absl::Status status = NotStarted(); !status.ok()) return status;
  const auto at = Find(to);
  if (at == targets_.end()) return absl::NotFoundError(fmt::format("{} has no output \"{}\"", name_, to.name()));
  targets_.erase(at);
  return absl::OkStatus();
}

absl::Status MulticasterCore::Start() {
  MutexLock lock(mutex_);
  if (absl::Status status = NotStarted(); !status.ok()) return status;
  subscription_ = OpenSubscription(from_, event_.get(), {});
  if (absl::Status status = subscription_->status(); !status.ok()) return status;
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(fmt::format("{}: no thread can be started: {}", name_, e.what()));
  }
  started_ = true;
  return absl::OkStatus();
}

void MulticasterCore::Stop() {
  if (stop_.exchange(true, std::memory_order_acq_rel)) return;
  event_->Set();
  MutexLock lock(mutex_);
  for (Target& target : targets_) target.publisher.output->Cancel();
}

absl::Status MulticasterCore::Join(Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError(fmt::format("{}: a timeout is above zero, kNoWait or kInfinite", name_));
  const absl::Time deadline = MonotonicTime() + timeout.duration();
  MutexLock lock(mutex_);
  if (closed_) return absl::FailedPreconditionError(fmt::format("{} has been closed", name_));
  if (!started_) return absl::FailedPreconditionError(fmt::format("{} has not been started", name_));
  while (!ended_) {
    const absl::Duration left = deadline - MonotonicTime();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError(fmt::format("{} is still alive", name_));
    changed_.WaitFor(mutex_, std::min(left, absl::Hours(1)));
  }
  return absl::OkStatus();
}

absl::Status MulticasterCore::CheckForErrors() {
  MutexLock lock(mutex_);
  if (closed_) return absl::FailedPreconditionError(fmt::format("{} has been closed", name_));
  return std::exchange(error_, absl::OkStatus());
}

absl::Status MulticasterCore::Close() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(closing_, true)) return absl::FailedPreconditionError(fmt::format("{} has been closed", name_));
  }
  Stop();
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mutex_);
  closed_ = true;
  targets_.clear();
  return std::exchange(error_, absl::OkStatus());
}

// ---- its thread ------------------------------------------------------------------------------------------------------------------------

void MulticasterCore::Run() {
  NameThread(name_);
  const logging::AlternateStack stack;
  absl::Status status = CopyUntilTheEnd();
  subscription_->End();
  const bool stopped = stop_.load(std::memory_order_acquire) && (status.ok() || absl::IsCancelled(status));
  if (!stopped && !complete_) CompleteAll(status);
  for (Target& target : targets_) target.publisher.output->End();
  MutexLock lock(mutex_);
  if (!stopped) error_ = status;
  ended_ = true;
  changed_.NotifyAll();
}

absl::Status MulticasterCore::CopyUntilTheEnd() {
  const auto on_value = [this](const Received& received) { return Copy(received.bytes); };
  const auto on_complete = [this](const absl::Status& error) {
    complete_ = true;
    CompleteAll(error);
    return targets_.empty() ? error : absl::OkStatus();  // else the outputs have it
  };
  const CompletedRef completed = on_complete;
  while (!complete_ && !stop_.load(std::memory_order_acquire)) {
    if (absl::Status status = event_->Wait(kInfinite); !status.ok()) return status;
    if (auto taken = subscription_->Take(on_value, &completed, 64); !taken.ok()) return taken.status();
  }
  return absl::OkStatus();
}

absl::Status MulticasterCore::Copy(Bytes value) {
  for (Target& target : targets_) {
    if (absl::Status status = CopyTo(target, value); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status MulticasterCore::CopyTo(Target& target, Bytes value) {
  OutputCore& output = *target.publisher.output;
  const bool as_spec = target.on_full == OnFull::kAsSpec || target.on_full == OnFull::kBlock;  // block: kInfinite
  auto room = output.Reserve(value.size(), as_spec ? kAsSpec : kNoWait, target.on_full);
  if (!room.ok()) return room.status();
  if (!output.reserved_is_scratch() && !value.empty()) std::memcpy(room->data(), value.data(), value.size());
  return output.Commit();
}

// What is wrong with one does not keep it from the others.
void MulticasterCore::CompleteAll(const absl::Status& error) {
  for (Target& target : targets_) {
    if (absl::Status status = target.publisher.output->Complete(error); !status.ok())
      log().warn("{}: \"{}\" is not completed: {}", name_, target.buffer->facts().name, std::string(status.message()));
  }
}

}  // namespace internal

Multicaster::Multicaster(Environment& environment, const AnyBuffer& from)
    : core_(std::make_unique<internal::MulticasterCore>(environment, from)) {}
Multicaster::~Multicaster() {
  absl::Status status = core_->Close();
  if (!status.ok() && !absl::IsFailedPrecondition(status))
    log().error("{} has failed, and nobody asked: {}", core_->name(), std::string(status.message()));
}
absl::Status Multicaster::Subscribe(const AnyBuffer& to, OnFull on_full) { return core_->Subscribe(to, on_full); }
absl::Status Multicaster::Unsubscribe(const AnyBuffer& to) { return core_->Unsubscribe(to); }
absl::Status Multicaster::Start() { return core_->Start(); }
void Multicaster::Stop() { core_->Stop(); }
absl::Status Multicaster::Join(Timeout timeout) { return core_->Join(timeout); }
absl::Status Multicaster::CheckForErrors() { return core_->CheckForErrors(); }
absl::Status Multicaster::Close() { return core_->Close(); }

}  // namespace puma
