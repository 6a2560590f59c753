// The public classes of runners.
#include <puma/environment.h>
#include <puma/log.h>

#include <utility>

#include "worker/runner/runner_core.h"

namespace puma {
namespace internal {
namespace {

// What a handle keeps: the environment's thread, which waits for processes, must never be the last to let the environment go.
struct Kept {
  std::shared_ptr<EnvironmentCore> environment;
  std::shared_ptr<RunnerCore> runner;
};

}  // namespace
}  // namespace internal

std::shared_ptr<internal::RunnerCore> Environment::MakeRunner(std::string_view name, internal::RunnableType type, RunnerOptions options) {
  auto runner = std::make_shared<internal::RunnerCore>(core_, std::string(name), type, std::move(options));
  auto kept = std::make_shared<internal::Kept>(internal::Kept{core_, runner});
  return {std::move(kept), runner.get()};
}

AnyRunner& AnyRunner::operator=(AnyRunner&& other) noexcept {
  if (this != &other) {
    AnyRunner old(std::move(*this));
    core_ = std::move(other.core_);
  }
  return *this;
}

AnyRunner::~AnyRunner() {
  if (core_ == nullptr || core_->closed()) return;
  if (absl::Status status = core_->Close(); !status.ok())
    log().error("\"{}\" has failed, and nobody asked: {}", core_->name(), std::string(status.message()));
}

absl::Status AnyRunner::Start() { return core_->Start(); }
absl::Status AnyRunner::StartBlocking(Timeout timeout) {
  if (absl::Status status = core_->Start(); !status.ok()) return status;
  return core_->WaitUntilRunning(timeout);
}
absl::Status AnyRunner::WaitUntilRunning(Timeout timeout) { return core_->WaitUntilRunning(timeout); }
void AnyRunner::Stop() { core_->Stop(); }
absl::Status AnyRunner::Join(Timeout timeout) { return core_->Join(timeout); }
absl::Status AnyRunner::CheckForErrors() { return core_->CheckForErrors(); }
absl::Status AnyRunner::Close() { return core_->Close(); }
void AnyRunner::OnEnd(std::function<void(const absl::Status&)> callback) { core_->OnEnd(std::move(callback)); }
bool AnyRunner::IsAlive() const { return core_->IsAlive(); }
int AnyRunner::pid() const { return core_->pid(); }
const std::string& AnyRunner::name() const { return core_->name(); }
std::shared_ptr<internal::CallCore> AnyRunner::Send(std::string_view method, std::vector<Value> arguments, Timeout within, bool answered) {
  return core_->Send(method, std::move(arguments), within, answered);
}
absl::StatusOr<Value> AnyRunner::Latest(const std::string& type, Timeout timeout) { return core_->Latest(type, timeout); }
Runnable* AnyRunner::Parent() const {
  if (core_->parent() == nullptr) Throw(FailedPrecondition("puma: the parent's half could not be made; Start says why"));
  return core_->parent();
}

}  // namespace puma
