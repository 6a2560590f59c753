#include "worker/runner/perform.h"

#include <fmt/format.h>
#include <puma/environment.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "worker/environment/ends.h"
#include "worker/logging/crash_handler.h"
#include "worker/logging/record_sink.h"
#include "worker/proxy/facade_core.h"
#include "worker/runner/subscription_input.h"

namespace puma::runner {
namespace {

using internal::RunnableCore;

class Performer {
 public:
  Performer(const RunPlan& plan, const Stage& stage) : plan_(plan), stage_(stage), environment_(stage.environment, stage.maker) {}
  ~Performer() { ends_.clear(); }  // before the core, whose outputs they are

  absl::Status Run() {
    if (absl::Status s = Construct(); !s.ok()) return s;
    if (absl::Status s = core_->LoadAttributes(plan_.attributes, stage_.parent); !s.ok()) return s;
    core_->BindCells(stage_.cells, true);
    core_->UseCommands(stage_.commands);
    core_->context().send_status = stage_.status;
    core_->context().stepper = stage_.stepper;
    core_->context().environment = [this]() -> Environment& { return environment_; };
    if (absl::Status s = ConnectAll(); !s.ok()) return s;
    struct Reachable {
      const Stage& stage;
      ~Reachable() { stage.reach(nullptr); }
    } const reachable{stage_};
    stage_.reach(core_.get());
    if (absl::Status s = core_->Start(); !s.ok()) return NotStarted(s);
    stage_.running();
    absl::Status status = core_->Run().error;
    for (auto& end : ends_) end->Leave();
    if (stage_.ended) stage_.ended(status);
    return status;
  }

 private:
  absl::Status Construct() {
    internal::CoreOptions options;
    options.name = plan_.name;
    options.params = plan_.params;
    for (const Wire& wire : plan_.inputs) options.inputs.push_back(wire.port);
    for (const Wire& wire : plan_.outputs) options.outputs.push_back(wire.port);
    for (const Wire& wire : plan_.passed) options.passed.push_back(wire.port);
    for (const Wire& wire : plan_.facades) options.facades.push_back(wire.port);
    options.completes_with_error = true;
    options.logs_its_error = stage_.stepper == nullptr;
    options.make_input = [](internal::InputDeclaration declaration) { return std::make_unique<SubscriptionInput>(std::move(declaration)); };
    auto core = RunnableCore::Construct(plan_.factory, std::move(options));
    if (!core.ok()) return core.status();
    core_ = *std::move(core);
    if (core_->Declarations() == plan_.declarations) return absl::OkStatus();
    return absl::FailedPreconditionError(fmt::format(
        "\"{}\" declares other things where it runs than where its runner was made: its constructor may depend on its parameters "
        "only",
        plan_.name));
  }

  absl::Status ConnectAll() {
    auto event = std::make_shared<internal::EventCore>(&core_->context().kick);
    for (const Wire& wire : plan_.outputs) {
      auto output = std::find_if(core_->outputs().begin(), core_->outputs().end(), [&](const auto& o) { return o->port() == wire.port; });
      auto end = stage_.environment->ends().ConnectOutput(wire.buffer, *output, wire.seat);
      if (!end.ok()) return end.status();
      ends_.push_back(*std::move(end));
    }
    for (const auto& input : core_->inputs()) {
      auto wire = std::find_if(plan_.inputs.begin(), plan_.inputs.end(), [&](const Wire& w) { return w.port == input->name(); });
      if (wire == plan_.inputs.end()) continue;  // optional
      auto subscription =
          stage_.environment->ends().OpenSubscription(wire->buffer, input->declaration().type, event, {}, stage_.environment);
      if (!subscription->status().ok()) return subscription->status();
      static_cast<SubscriptionInput&>(*input).Connect(std::move(subscription));
    }
    for (const auto& passed : core_->passed()) {
      auto wire = std::find_if(plan_.passed.begin(), plan_.passed.end(), [&](const Wire& w) { return w.port == passed->name; });
      passed->core = std::make_shared<internal::BufferCore>(stage_.environment, wire->buffer, passed->type, absl::OkStatus());
    }
    for (const auto& facade : core_->facades()) {
      auto wire = std::find_if(plan_.facades.begin(), plan_.facades.end(), [&](const Wire& w) { return w.port == facade->name; });
      facade->core = std::make_shared<internal::FacadeCore>(stage_.environment, wire->buffer);
    }
    if (PageHeader* header = event->SleepHeader()) core_->SleepOn(header);
    event_ = std::move(event);
    return absl::OkStatus();
  }

  // Those who wait for its outputs learn why nothing comes.
  absl::Status NotStarted(absl::Status status) {
    for (const auto& output : core_->outputs()) {
      if (!output->connected()) continue;
      output->Open();
      output->Complete(status).IgnoreError();
    }
    return status;
  }

  const RunPlan& plan_;
  const Stage& stage_;
  Environment environment_;
  std::unique_ptr<RunnableCore> core_;
  std::shared_ptr<internal::EventCore> event_;
  std::vector<std::shared_ptr<internal::PublisherEnd>> ends_;
};

}  // namespace

absl::Status Perform(const RunPlan& plan, const Stage& stage) {
  std::optional<logging::AlternateStack> stack;
  if (stage.stepper == nullptr) stack.emplace();
  const Logger logger(plan.name);
  const logging::ThreadScope scope(logger, 0);
  absl::Status status = Performer(plan, stage).Run();
  if (status.ok()) return status;
  Error error = ErrorOf(status);
  if (error.path.empty() || error.path.back() != plan.name) error.path.push_back(plan.name);
  return ToStatus(error);
}

}  // namespace puma::runner
