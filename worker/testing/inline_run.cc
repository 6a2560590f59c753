#include "worker/testing/inline_run.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <utility>

#include "worker/runnable/remote_objects.h"
#include "worker/runner/perform.h"

namespace puma::testing::internal {
namespace {

using puma::internal::CoreOptions;
using puma::internal::ExecutingScope;
using puma::internal::OutputCore;
using puma::internal::RunnableCore;

constexpr int kStepsToEnd = 1000;

template <class Ports>
std::vector<std::string> NamesOf(const Ports& ports) {
  std::vector<std::string> names;
  for (const auto& [name, port] : ports) names.push_back(name);
  return names;
}

absl::Status CheckType(std::string_view kind, std::string_view port, const TypeInfo& declared, const TypeInfo& asked) {
  if (declared.name() == asked.name()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{} \"{}\" carries {}, not {}", kind, port, declared.name(), asked.name()));
}

}  // namespace

// To objects of the runnable that the test refers to; both may be gone.
class InlineRun::Link final : public puma::internal::ObjectLink {
 public:
  explicit Link(InlineRun* run) : run_(run) {}
  void Leave() { run_ = nullptr; }
  absl::StatusOr<Value> CallObject(puma::internal::ObjectCall call) override {
    if (run_ == nullptr || run_->ended_) return absl::UnavailableError("the runnable whose object this is has ended");
    return run_->AsRunnable([&] { return run_->core_->CallObject(call.object, call.method, call.arguments); });
  }
  void ReleaseObject(uint64_t object) override {
    if (run_ != nullptr && !run_->ended_) run_->core_->ReleaseObject(object);
  }

 private:
  InlineRun* run_;
};

// ---- making ----------------------------------------------------------------------------------------------------------------------------

InlineRun::InlineRun(puma::internal::RunnableType type, const Params& params, TestRunOptions options)
    : options_(std::move(options)),
      clock_(options_.clock != nullptr ? *options_.clock : own_clock_),
      environment_(EnvironmentOf(options_)),
      unconnected_left_(options_.unconnected),
      link_(std::make_shared<Link>(this)) {
  plan_.name = options_.name;
  plan_.factory = type.make;
  for (const auto& [name, value] : params) plan_.params[name] = value.ToJson();
  const auto described = Construct(Scope::kDescribe);
  if (described == nullptr) return;
  WireAll(*described);
  half_ = Construct(Scope::kParent);
  if (half_ == nullptr) return;
  plan_.declarations = half_->Declarations();
  if (plan_.declarations != described->Declarations())
    Break(absl::FailedPreconditionError(
        fmt::format("\"{}\" declares something else each time: its constructor may depend on its parameters only", plan_.name)));
}

InlineRun::~InlineRun() {
  link_->Leave();
  for (auto& [name, input] : inputs_) {
    input.end->Leave();
    input.feed->output.Refuse(absl::FailedPreconditionError(fmt::format("input \"{}\": its test run is over", name)));
  }
  for (auto& [name, output] : outputs_) output.subscription->End();
  for (const Wires* wires : {&plan_.inputs, &plan_.outputs, &plan_.passed}) {
    for (const runner::Wire& wire : *wires) {
      if (wire.seat != 0) environment_->link().LeaveSeat(wire.seat);
      environment_->link().DestroyBuffer(wire.buffer.id).IgnoreError();
    }
  }
}

void InlineRun::Break(const absl::Status& why) {
  if (broken_.ok()) broken_ = why;
}

// Null: it can't be.
std::unique_ptr<RunnableCore> InlineRun::Construct(Scope scope) {
  CoreOptions options;
  options.name = plan_.name;
  options.scope = scope;
  options.params = plan_.params;
  for (const runner::Wire& wire : plan_.inputs) options.inputs.push_back(wire.port);
  for (const runner::Wire& wire : plan_.outputs) options.outputs.push_back(wire.port);
  for (const runner::Wire& wire : plan_.passed) options.passed.push_back(wire.port);
  for (const runner::Wire& wire : plan_.facades) options.facades.push_back(wire.port);
  auto core = RunnableCore::Construct(plan_.factory, std::move(options));
  if (core.ok()) return *std::move(core);
  Break(core.status());
  return nullptr;
}

// ---- running ---------------------------------------------------------------------------------------------------------------------------

// On the fiber, from its construction to its end.
void InlineRun::Perform() {
  runner::Stage stage;
  stage.environment = environment_;
  stage.maker = environment_->NewMaker();
  stage.parent = half_.get();
  stage.stepper = this;
  stage.status = [this](std::string type, Value status) { statuses_[std::move(type)] = std::move(status); };
  stage.reach = [this](RunnableCore* core) { core_ = core; };
  stage.running = [this] { fiber_->Pause(); };
  stage.ended = [this](const absl::Status& status) {
    result_ = status;
    ended_ = true;
    fiber_->Pause();  // the object can still be looked at
  };
  absl::Status status = runner::Perform(plan_, stage);
  if (!std::exchange(ended_, true)) result_ = std::move(status);
}

void InlineRun::Resume() {
  const ExecutingScope executing(executing_);
  const logging::ThreadIdentity outer = logging::ExchangeThreadIdentity(identity_);
  fiber_->Resume();
  identity_ = logging::ExchangeThreadIdentity(outer);
  executing_ = puma::internal::CurrentCore();
}

bool InlineRun::Wait(absl::Duration at_most) {
  if (fiber_ == nullptr || !fiber_->inside()) return false;
  due_ = clock_.now() + at_most;
  fiber_->Pause();
  return true;
}

absl::Status InlineRun::Start() {
  if (!broken_.ok()) return broken_;
  if (fiber_ != nullptr) return absl::FailedPreconditionError(fmt::format("\"{}\" has been started already", plan_.name));
  auto saved = half_->SaveAttributes(false);
  if (!saved.ok()) return saved.status();
  plan_.attributes = *std::move(saved);
  fiber_ = std::make_unique<Fiber>([this] { Perform(); });
  Resume();
  return result_;
}

absl::Status InlineRun::Step() {
  if (fiber_ == nullptr) return absl::FailedPreconditionError(fmt::format("\"{}\" has not been started", plan_.name));
  if (fiber_->inside()) return absl::FailedPreconditionError(fmt::format("\"{}\" is in the middle of a step", plan_.name));
  if (!ended_) Resume();
  return result_;
}

absl::Duration InlineRun::NextDue() const {
  const bool ticks = !ended_ && core_->ticker().ticking();
  return ticks ? std::min(due_, absl::Nanoseconds(core_->ticker().next())) : due_;
}

absl::Status InlineRun::Advance(absl::Duration by) {
  if (by < absl::ZeroDuration() || by == absl::InfiniteDuration())
    return absl::InvalidArgumentError("a test's clock is advanced by a finite time, and never back");
  const Timestamp until = clock_.now() + by;
  while (true) {
    absl::Status status = Step();
    const Timestamp now = clock_.now();
    if (!status.ok() || now >= until) return status;
    const Timestamp next = NextDue();
    clock_.Advance((!ended_ && next > now ? std::min(next, until) : until) - now);
  }
}

void InlineRun::Stop() {
  if (core_ != nullptr && !ended_) core_->Stop();
}

bool InlineRun::Finish() {
  if (fiber_ == nullptr) return true;
  Stop();
  for (int i = 0; i < kStepsToEnd && !ended_; ++i) Resume();
  if (!ended_) return false;
  if (!fiber_->finished()) Resume();
  return true;
}

// ---- its surroundings ------------------------------------------------------------------------------------------------------------------

std::shared_ptr<OutputCore> InlineRun::In(std::string_view port, const TypeInfo& type) {
  absl::Status status = broken_;
  const auto at = inputs_.find(port);
  if (status.ok() && at == inputs_.end()) status = absl::NotFoundError(puma::internal::UnknownName("input", port, NamesOf(inputs_)));
  if (status.ok()) status = CheckType("input", port, at->second.type, type);
  if (status.ok()) return {at->second.feed, &at->second.feed->output};
  auto refused = std::make_shared<Feed>(type);
  refused->output.Refuse(std::move(status));
  return {refused, &refused->output};
}

InlineRun::Output& InlineRun::FindOutput(std::string_view port) {
  if (!broken_.ok()) Throw(broken_);
  const auto at = outputs_.find(port);
  if (at == outputs_.end()) Throw(absl::NotFoundError(puma::internal::UnknownName("output", port, NamesOf(outputs_))));
  return at->second;
}

size_t InlineRun::Take(std::string_view port, const TypeInfo& type, puma::internal::ReceivedRef on_value) {
  Output& output = FindOutput(port);
  if (absl::Status status = CheckType("output", port, output.type, type); !status.ok()) Throw(status);
  puma::internal::SubscriptionCore& subscription = *output.subscription;
  size_t taken = 0;
  absl::Status status;
  while (status.ok()) {
    const puma::internal::Received* const received = subscription.Look(port);
    if (received == nullptr) break;
    struct Finisher {  // also if it throws
      puma::internal::SubscriptionCore& subscription;
      ~Finisher() { subscription.Done(); }
    };
    subscription.Begin();
    const Finisher finisher{subscription};
    status = on_value(*received);
    ++taken;
  }
  subscription.StorePositions();
  if (status.ok()) status = subscription.TakeFault();
  if (!status.ok()) Throw(status);
  return taken;
}

std::optional<absl::Status> InlineRun::Completion(std::string_view port) {
  Output& output = FindOutput(port);
  absl::Status error;
  if (!output.completion && output.subscription->Look(port) == nullptr && output.subscription->CompletedNow(error))
    output.completion = error;
  return output.completion;
}

Runnable& InlineRun::Object() const {
  if (core_ == nullptr) {
    if (!broken_.ok()) Throw(broken_);
    Throw(ended_ ? result_ : FailedPrecondition(fmt::format("\"{}\" has not been started", plan_.name)));
  }
  return *core_->self();
}

Runnable& InlineRun::ParentHalf() const {
  if (half_ == nullptr) Throw(broken_);
  return *half_->self();
}

absl::StatusOr<Value> InlineRun::Command(std::string_view method, const std::vector<Value>& arguments) {
  if (!broken_.ok()) return broken_;
  if (ended_) return absl::UnavailableError(fmt::format("\"{}\" has ended", plan_.name));
  if (core_ == nullptr) return absl::FailedPreconditionError(fmt::format("\"{}\" has not been started", plan_.name));
  const puma::internal::CommandDeclaration* const command = core_->FindMethod(method);
  if (command == nullptr) {
    std::vector<std::string> names;
    for (const auto& declared : core_->commands()) names.push_back(declared.name);
    return absl::FailedPreconditionError(fmt::format("\"{}\" has not declared this method as a command; it has declared: {}", plan_.name,
                                                     names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
  }
  return AsRunnable([&] { return core_->ExecuteCommand(*command, arguments); });
}

// On the test's own stack. A result that is a reference reaches its object.
template <class F>
absl::StatusOr<Value> InlineRun::AsRunnable(F&& act) {
  const logging::ThreadScope scope(core_->logger(), 0);
  const ExecutingScope executing(core_);
  absl::StatusOr<Value> result = act();
  puma::internal::Attach(result, link_);
  return result;
}

absl::StatusOr<Value> InlineRun::Latest(const std::string& type) {
  auto status = statuses_.extract(type);
  if (status.empty()) return absl::NotFoundError(fmt::format("\"{}\" has sent no status of type {}", plan_.name, type));
  return std::move(status.mapped());
}

}  // namespace puma::testing::internal
