// The public face of a run that is stepped.
#include <puma/log.h>
#include <puma/testing/test_run.h>

#include <utility>

#include "worker/testing/inline_run.h"

namespace puma::testing {

AnyTestRun::AnyTestRun(puma::internal::RunnableType type, const Params& params, TestRunOptions options)
    : run_(std::make_unique<internal::InlineRun>(type, params, std::move(options))) {}

AnyTestRun::~AnyTestRun() {
  if (run_->Finish()) return;
  puma::log().error("a runnable does not end, though its test is over: its stop is asked for, and it goes on");
  static_cast<void>(run_.release());  // its stack lies there
}

absl::Status AnyTestRun::Start() { return run_->Start(); }
absl::Status AnyTestRun::Step() { return run_->Step(); }
absl::Status AnyTestRun::Advance(absl::Duration by) { return run_->Advance(by); }
void AnyTestRun::Stop() { run_->Stop(); }
bool AnyTestRun::ended() const { return run_->ended(); }
absl::Status AnyTestRun::result() const { return run_->result(); }
ManualClock& AnyTestRun::clock() { return run_->clock(); }
const LogCapture& AnyTestRun::log() const { return run_->log(); }
std::optional<absl::Status> AnyTestRun::Completion(std::string_view output) { return run_->Completion(output); }

std::shared_ptr<puma::internal::OutputCore> AnyTestRun::In(std::string_view port, TypeInfo type) { return run_->In(port, type); }
size_t AnyTestRun::TakeFrom(std::string_view port, TypeInfo type, puma::internal::ReceivedRef on_value) {
  return run_->Take(port, type, on_value);
}
Runnable& AnyTestRun::Object() const { return run_->Object(); }
Runnable& AnyTestRun::ParentHalf() const { return run_->ParentHalf(); }
absl::StatusOr<Value> AnyTestRun::Command(std::string_view method, const std::vector<Value>& arguments) {
  return run_->Command(method, arguments);
}
absl::StatusOr<Value> AnyTestRun::Latest(const std::string& type) { return run_->Latest(type); }

}  // namespace puma::testing
