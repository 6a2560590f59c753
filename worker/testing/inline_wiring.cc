// What a runnable that runs inline is connected to.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "worker/proxy/facade_core.h"
#include "worker/testing/inline_run.h"

namespace puma::testing::internal {
namespace {

using puma::internal::BufferFacts;
using puma::internal::EnvironmentCore;
using puma::internal::OutputCore;
using puma::internal::RunnableCore;

constexpr size_t kValuesMostBytes = 16 << 20;  // of a buffer of values of one size
constexpr size_t kValuesLeast = 8;

}  // namespace

// Facades are reached within their own one.
std::shared_ptr<EnvironmentCore> InlineRun::EnvironmentOf(const TestRunOptions& options) {
  for (const FacadeWire& wire : options.facades) {
    const auto& core = wire.facade.slot()->core;
    if (core != nullptr && core->environment() != nullptr) return core->environment();
  }
  return std::make_shared<EnvironmentCore>(puma::internal::Kind::kThreads);
}

absl::Status InlineRun::WireFacade(const FacadeWire& wire, const RunnableCore& described) {
  const puma::internal::FacadeSlot& given = *wire.facade.slot();
  const std::string what = fmt::format("\"{}\": facade \"{}\"", plan_.name, wire.name);
  if (given.core == nullptr) return absl::InvalidArgumentError(what + ": what is given reaches no object here");
  if (!given.core->status().ok()) return given.core->status();
  if (given.core->environment() != environment_) return absl::InvalidArgumentError(what + ": all are of one environment");
  for (const auto& declared : described.facades()) {
    if (declared->name == wire.name && declared->type != given.type)
      return absl::InvalidArgumentError(fmt::format("{} is one of {}, but what is given is one of {}", what, declared->type, given.type));
  }
  plan_.facades.push_back({wire.name, given.core->requests()});
  return absl::OkStatus();
}

bool InlineRun::Connected(const std::string& port) {
  std::erase(unconnected_left_, port);
  return std::find(options_.unconnected.begin(), options_.unconnected.end(), port) == options_.unconnected.end();
}

void InlineRun::WireAll(const RunnableCore& described) {
  std::vector<std::string> names;
  for (const auto& input : described.inputs()) {
    names.push_back(input->name());
    if (Connected(input->name())) Break(WireInput(input->name(), input->declaration().type));
  }
  for (const auto& output : described.outputs()) {
    names.push_back(output->port());
    if (Connected(output->port())) Break(WireOutput(output->port(), output->type()));
  }
  for (const auto& passed : described.passed()) Break(MakeBuffer(plan_.passed, passed->name, passed->type).status());
  for (const FacadeWire& wire : options_.facades) Break(WireFacade(wire, described));
  for (const std::string& port : unconnected_left_)
    Break(absl::InvalidArgumentError(fmt::format("\"{}\": {}", plan_.name, puma::internal::UnknownName("port", port, names))));
}

absl::StatusOr<BufferFacts> InlineRun::MakeBuffer(Wires& wires, const std::string& port, const TypeInfo& type) {
  BufferOptions options = options_.buffers;
  options.warn_on_discard = false;
  if (type.fixed_size != 0) options.capacity = std::min(options.capacity, std::max(kValuesMostBytes / type.fixed_size, kValuesLeast));
  auto facts = environment_->link().CreateBuffer(environment_->NewMaker(), port, {.name = type.name(), .destroy = type.destroy}, options);
  if (facts.ok()) wires.push_back({port, *facts});
  return facts;
}

absl::Status InlineRun::WireInput(const std::string& port, const TypeInfo& type) {
  auto facts = MakeBuffer(plan_.inputs, port, type);
  if (!facts.ok()) return facts.status();
  Input input;
  input.type = type;
  input.feed = std::make_shared<Feed>(type);
  input.feed->context.stepper = this;
  auto end = environment_->ends().ConnectOutput(*facts, std::shared_ptr<OutputCore>(input.feed, &input.feed->output), 0);
  if (!end.ok()) return end.status();
  input.end = *std::move(end);
  input.feed->output.Open();
  inputs_[port] = std::move(input);
  return absl::OkStatus();
}

absl::Status InlineRun::WireOutput(const std::string& port, const TypeInfo& type) {
  auto facts = MakeBuffer(plan_.outputs, port, type);
  if (!facts.ok()) return facts.status();
  auto seat = environment_->link().ReserveSeat(facts->id);
  if (!seat.ok()) return seat.status();
  plan_.outputs.back().seat = *seat;
  Output output;
  output.type = type;
  output.subscription =
      environment_->ends().OpenSubscription(*facts, type, std::make_shared<puma::internal::EventCore>(), {}, environment_);
  if (!output.subscription->status().ok()) return output.subscription->status();
  outputs_[port] = std::move(output);
  return absl::OkStatus();
}

}  // namespace puma::testing::internal
