// What is declared: parameters, ports, commands, and the mistakes in them.
#include "worker/runnable/runnable_core.h"

#include <fmt/format.h>
#include <puma/attributes.h>

#include <algorithm>
#include <utility>

#include "worker/logging/record_sink.h"
#include "worker/platform/system.h"
#include "worker/runnable/door.h"

namespace puma {
namespace internal {
namespace {

// The core whose object is being constructed on this thread: how Runnable's constructor finds it.
thread_local RunnableCore* constructing_core = nullptr;
thread_local RunnableCore* executing_core = nullptr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message().data(), status.message().size()); }

template <class List>
std::vector<std::string> NamesOf(const List& list) {
  std::vector<std::string> names;
  for (const auto& item : list) names.push_back(item.name);
  return names;
}

}  // namespace

// ---- names -----------------------------------------------------------------------------------------------------------------------------

std::string DidYouMean(std::string_view wrong, const std::vector<std::string>& names) {
  std::string best;
  size_t best_distance = std::max<size_t>(wrong.size() / 3, 1) + 1;
  for (const std::string& name : names) {
    std::vector<size_t> above(name.size() + 1);
    for (size_t j = 0; j <= name.size(); ++j) above[j] = j;
    for (size_t i = 1; i <= wrong.size(); ++i) {  // Levenshtein, a swap of neighbours counting as two
      std::vector<size_t> row(name.size() + 1, i);
      for (size_t j = 1; j <= name.size(); ++j) {
        row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (wrong[i - 1] != name[j - 1])});
      }
      above = std::move(row);
    }
    if (above.back() < best_distance) {
      best_distance = above.back();
      best = name;
    }
  }
  return best;
}

std::string UnknownName(std::string_view kind, std::string_view wrong, const std::vector<std::string>& names) {
  std::string text = fmt::format("unknown {} \"{}\"", kind, wrong);
  if (std::string guess = DidYouMean(wrong, names); !guess.empty()) text += fmt::format("; did you mean \"{}\"?", guess);
  if (names.empty()) return text + fmt::format(" (there is no {})", kind);
  return text + fmt::format(" (there are: {})", fmt::join(names, ", "));
}

// ---- constructing ----------------------------------------------------------------------------------------------------------------------

RunnableCore::RunnableCore(CoreOptions options)
    : options_(std::move(options)),
      log_name_(logging::InternName(options_.name)),
      logger_(log_name_, options_.log_level != nullptr ? options_.log_level : logging::LevelWord(options_.name)) {
  context_.logger = &logger_;
  context_.store_positions = [this] {
    for (auto& input : inputs_) input->StorePositions();
  };
}

RunnableCore::~RunnableCore() {
  for (auto& output : outputs_) output->Close();
}

absl::StatusOr<std::unique_ptr<RunnableCore>> RunnableCore::Construct(Module::Factory factory, CoreOptions options) {
  auto core = ConstructAnyway(factory, std::move(options));
  if (!core.ok()) return core;
  if (absl::Status mistakes = (*core)->Mistakes(); !mistakes.ok()) return mistakes;
  return core;
}

absl::StatusOr<std::unique_ptr<RunnableCore>> RunnableCore::ConstructAnyway(Module::Factory factory, CoreOptions options) {
  std::unique_ptr<RunnableCore> core(new RunnableCore(std::move(options)));
  logging::ThreadScope scope(core->logger_, core->options_.slot);
  absl::Status constructed = ThroughDoor([&]() -> absl::Status {
    RunnableCore* const outer = std::exchange(constructing_core, core.get());
    struct Restore {
      RunnableCore* outer;
      ~Restore() { constructing_core = outer; }
    } restore{outer};
    Setup setup(*core);
    core->object_ = factory(setup);
    return core->object_ != nullptr ? absl::OkStatus() : absl::InternalError("puma: the factory made no runnable");
  });
  core->constructing_ = false;
  if (!constructed.ok()) return constructed;
  if (core->options_.scope != Scope::kDescribe) core->CheckPorts();
  return core;
}

void RunnableCore::Mistake(std::string text) { mistakes_.push_back(std::move(text)); }

absl::Status RunnableCore::Mistakes() const {
  if (mistakes_.empty()) return absl::OkStatus();
  if (mistakes_.size() == 1) return absl::InvalidArgumentError(fmt::format("\"{}\": {}", options_.name, mistakes_[0]));
  std::string text = fmt::format("\"{}\": {} mistakes", options_.name, mistakes_.size());
  for (const std::string& mistake : mistakes_) text += "\n  " + mistake;
  return absl::InvalidArgumentError(text);
}

// What the spec says against what was declared.
void RunnableCore::CheckPorts() {
  const std::vector<std::string> params = NamesOf(params_);
  for (const auto& [name, json] : options_.params) {
    if (std::find(params.begin(), params.end(), name) == params.end()) Mistake(UnknownName("parameter", name, params));
  }
  std::vector<std::string> inputs, outputs;
  for (const auto& input : inputs_) inputs.push_back(input->name());
  for (const auto& output : outputs_) outputs.push_back(output->port());
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const std::string& name : options_.inputs) {
    if (!has(inputs, name)) Mistake(UnknownName("input", name, inputs));
  }
  for (const std::string& name : options_.outputs) {
    if (!has(outputs, name)) Mistake(UnknownName("output", name, outputs));
  }
  std::vector<std::string> passed;
  for (const auto& each : passed_) passed.push_back(each->name);
  for (const std::string& name : options_.passed) {
    if (!has(passed, name)) Mistake(UnknownName("buffer to be passed on", name, passed));
  }
  for (const std::string& name : passed) {
    if (!has(options_.passed, name)) Mistake(fmt::format("no buffer is given for \"{}\", to be passed on", name));
  }
  std::vector<std::string> facades;
  for (const auto& each : facades_) facades.push_back(each->name);
  for (const std::string& name : options_.facades) {
    if (!has(facades, name)) Mistake(UnknownName("facade", name, facades));
  }
  for (const std::string& name : facades) {
    if (!has(options_.facades, name)) Mistake(fmt::format("facade \"{}\" is not given", name));
  }
  for (const auto& input : inputs_) {
    if (!input->declaration().options.optional && !has(options_.inputs, input->name())) {
      Mistake(fmt::format("input \"{}\" is not connected to a buffer", input->name()));
    }
  }
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (!output_options_[i].optional && !has(options_.outputs, outputs_[i]->port())) {
      Mistake(fmt::format("output \"{}\" is not connected to a buffer", outputs_[i]->port()));
    }
  }
}

InputPort* RunnableCore::FindInput(std::string_view name) {
  for (InputPort* input : lane_inputs_) {
    if (input->name() == name) return input;
  }
  return nullptr;
}

const CommandDeclaration* RunnableCore::FindCommand(std::string_view name) const {
  for (const CommandDeclaration& declared : commands_) {
    if (declared.name == name) return &declared;
  }
  return nullptr;
}

const CommandDeclaration* RunnableCore::FindMethod(std::string_view key) const {
  for (const CommandDeclaration& declared : commands_) {
    if (declared.key == key) return &declared;
  }
  return nullptr;
}

std::string RunnableCore::Declarations() const {
  std::string text;
  for (const auto& param : params_) text += fmt::format("parameter {} {}\n", param.name, param.type);
  for (const auto& input : inputs_) text += fmt::format("input {} {}\n", input->name(), input->declaration().type.name());
  for (const auto& output : outputs_) text += fmt::format("output {} {}\n", output->port(), output->type().name());
  for (const auto& passed : passed_) text += fmt::format("passed on {} {}\n", passed->name, passed->type.name());
  for (const AttributeBase* attribute : attributes_) text += fmt::format("attribute {}\n", attribute->name());
  for (const auto& facade : facades_) text += fmt::format("facade {} {}\n", facade->name, facade->type);
  for (const auto& command : commands_) {
    text += fmt::format("command {} {}", command.name, command.result);
    for (const Argument& argument : command.arguments) text += fmt::format(" {} {}", argument.name, argument.type);
    text += "\n";
  }
  return text;
}

OutputCore* RunnableCore::FindOutput(std::string_view name) {
  for (auto& output : outputs_) {
    if (output->port() == name) return output.get();
  }
  return nullptr;
}

// ---- declarations ----------------------------------------------------------------------------------------------------------------------

void RunnableCore::Declare(InputDeclaration declaration) {
  if (!constructing_) return Mistake("an input declared outside of the constructor");
  if (declaration.name.empty()) Mistake("an input without a name");
  if (std::any_of(inputs_.begin(), inputs_.end(), [&](const auto& known) { return known->name() == declaration.name; }))
    Mistake(fmt::format("input \"{}\" is declared twice", declaration.name));
  if (options_.make_input) {
    inputs_.push_back(options_.make_input(std::move(declaration)));
  } else {
    auto port = std::make_unique<InputPort>(std::move(declaration));
    lane_inputs_.push_back(port.get());
    inputs_.push_back(std::move(port));
  }
  Input* const input = inputs_.back().get();
  for (Subscriber& subscriber : subscribers_) {
    if (subscriber.key != nullptr && subscriber.key == input->declaration().subscriber) {
      subscriber.inputs.push_back(input);
      return;
    }
  }
  subscribers_.push_back({input->declaration().subscriber, {input}, input->declaration().on_complete});
}

std::shared_ptr<OutputCore> RunnableCore::Declare(std::string_view name, TypeInfo type, OutputOptions options) {
  auto output = std::make_shared<OutputCore>(std::string(name), type, &context_);
  if (name.empty()) Mistake("an output without a name");
  if (FindOutput(name) != nullptr) Mistake(fmt::format("output \"{}\" is declared twice", name));
  if (!constructing_) return output;
  outputs_.push_back(output);
  output_options_.push_back(std::move(options));
  return output;
}

void RunnableCore::Declare(CommandDeclaration declaration) {
  if (declaration.name.starts_with('@')) Mistake(fmt::format("command \"{}\": names that begin with @ are PUMA's own", declaration.name));
  for (const CommandDeclaration& known : commands_) {
    if (known.name == declaration.name) Mistake(fmt::format("command \"{}\" is declared twice", declaration.name));
  }
  commands_.push_back(std::move(declaration));
}

std::shared_ptr<PassedBuffer> RunnableCore::DeclarePassed(std::string_view name, TypeInfo type) {
  auto passed = std::make_shared<PassedBuffer>();
  passed->name = name;
  passed->type = type;
  if (!constructing_) Mistake("a buffer to be passed on, declared outside of the constructor");
  if (name.empty()) Mistake("a buffer to be passed on without a name");
  for (const auto& known : passed_) {
    if (known->name == name) Mistake(fmt::format("\"{}\", to be passed on, is declared twice", name));
  }
  passed_.push_back(passed);
  return passed;
}

std::shared_ptr<FacadeSlot> RunnableCore::DeclareFacade(std::string_view name, std::string type) {
  auto facade = std::make_shared<FacadeSlot>(FacadeSlot{std::string(name), std::move(type), nullptr});
  if (!constructing_) Mistake("a facade declared outside of the constructor");
  if (name.empty()) Mistake("a facade without a name");
  for (const auto& known : facades_) {
    if (known->name == name) Mistake(fmt::format("facade \"{}\" is declared twice", name));
  }
  facades_.push_back(facade);
  return facade;
}

void RunnableCore::SendStatus(std::string type, Value status) {
  if (context_.send_status) context_.send_status(std::move(type), std::move(status));
}

absl::StatusOr<Value> RunnableCore::DeclareParam(std::string_view name, std::string type, const Value* default_value,
                                                 std::string_view help) {
  for (const ParamDeclaration& known : params_) {
    if (known.name == name) Mistake(fmt::format("parameter \"{}\" is declared twice", name));
  }
  params_.push_back({std::string(name), std::move(type), std::string(help), default_value == nullptr,
                     default_value == nullptr ? "" : default_value->ToJson()});
  const auto given = options_.params.find(std::string(name));
  if (given == options_.params.end()) {
    if (default_value != nullptr) return *default_value;
    if (options_.scope != Scope::kDescribe)
      Mistake(fmt::format("parameter \"{}\" ({}) must be given: {}", name, params_.back().type, help));
    return absl::NotFoundError("not given");
  }
  auto value = Value::FromJson(given->second);
  if (!value.ok()) ParamFailed(name, value.status());
  return value;
}

void RunnableCore::ParamFailed(std::string_view name, const absl::Status& status) {
  Mistake(fmt::format("parameter \"{}\": {}", name, MessageOf(status)));
}

void DeclareInput(RunnableCore& core, InputDeclaration declaration) { core.Declare(std::move(declaration)); }
std::shared_ptr<OutputCore> DeclareOutput(RunnableCore& core, std::string_view name, TypeInfo type, OutputOptions options) {
  return core.Declare(name, type, std::move(options));
}
void DeclareCommand(RunnableCore& core, CommandDeclaration declaration) { core.Declare(std::move(declaration)); }
absl::StatusOr<Value> DeclareParam(RunnableCore& core, std::string_view name, std::string type, const Value* default_value,
                                   std::string_view help) {
  return core.DeclareParam(name, std::move(type), default_value, help);
}
void ParamFailed(RunnableCore& core, std::string_view name, const absl::Status& status) { core.ParamFailed(name, status); }
std::shared_ptr<PassedBuffer> DeclarePassed(RunnableCore& core, std::string_view name, TypeInfo type) {
  return core.DeclarePassed(name, type);
}
std::shared_ptr<FacadeSlot> DeclareFacade(RunnableCore& core, std::string_view name, std::string type) {
  return core.DeclareFacade(name, std::move(type));
}
void SendStatus(RunnableCore& core, std::string type, Value status) { core.SendStatus(std::move(type), std::move(status)); }
Runnable* Self(RunnableCore& core) { return core.self(); }
Scope ScopeOf(const RunnableCore& core) { return core.options().scope; }
bool IsConnected(const RunnableCore& core, std::string_view port) {
  const auto names = [port](const std::vector<std::string>& ports) { return std::find(ports.begin(), ports.end(), port) != ports.end(); };
  return names(core.options().inputs) || names(core.options().outputs);
}

RunnableCore* ConstructingCore() { return constructing_core; }
RunnableCore* CurrentCore() { return executing_core; }
ExecutingScope::ExecutingScope(RunnableCore* core) : outer_(std::exchange(executing_core, core)) {}
ExecutingScope::~ExecutingScope() { executing_core = outer_; }

}  // namespace internal

// ---- the base class --------------------------------------------------------------------------------------------------------------------

Timestamp PrecisionTimestamp() { return absl::Nanoseconds(MonotonicNanos()); }

Runnable::Runnable() : core_(internal::ConstructingCore()), log_(nullptr) {
  if (core_ == nullptr) Throw(FailedPrecondition("puma: a runnable is made by the host or by a runner, not by hand"));
  core_->Adopt(this);
  log_ = &core_->logger();
}

Runnable::~Runnable() = default;
const std::string& Runnable::name() const { return core_->options().name; }
absl::Status Runnable::Service() { return core_->Service(); }
bool Runnable::PollCommands() {
  core_->LetOthers();
  return core_->PollCommands();
}
bool Runnable::WaitForCommands(absl::Duration at_most) { return core_->WaitForCommands(at_most); }
void Runnable::EndService() { core_->EndService(); }
absl::Status Runnable::SetTickInterval(absl::Duration interval) { return core_->ticker().SetInterval(interval); }
absl::Status Runnable::ResumeTicks() { return core_->ticker().Resume(core_->context().Now()); }
Timestamp Runnable::Now() const { return absl::Nanoseconds(core_->context().Now()); }
void Runnable::PauseTicks() { core_->ticker().Pause(); }
Environment& Runnable::environment() {
  if (!core_->context().environment) Throw(FailedPrecondition("puma: there is an environment only while the runnable executes"));
  return core_->context().environment();
}

}  // namespace puma
