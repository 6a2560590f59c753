// A command from outside: its name and JSON arguments against what was declared, the call, its result as JSON.
#include <fmt/format.h>

#include <utility>

#include "worker/platform/system.h"
#include "worker/runnable/door.h"
#include "worker/runnable/runnable_core.h"

namespace puma::internal {
namespace {

// The arguments in the order of their declaration, or all that is wrong with them.
absl::StatusOr<std::vector<Value>> ArgumentsOf(const CommandDeclaration& command, std::string_view json) {
  absl::StatusOr<Value> parsed = json.empty() ? Value::Map({}) : Value::FromJson(json);
  if (!parsed.ok()) return parsed.status();
  if (parsed->kind() == Value::Kind::kNull) parsed = Value::Map({});
  if (parsed->kind() != Value::Kind::kMap) return absl::InvalidArgumentError("the arguments are an object: {\"name\": value, ...}");
  std::vector<Value> values;
  std::vector<std::string> names;
  std::string mistakes;
  for (const Argument& argument : command.arguments) {
    names.push_back(argument.name);
    const auto given = parsed->fields().find(argument.name);
    if (given == parsed->fields().end()) {
      mistakes += fmt::format("; argument \"{}\" ({}) is missing", argument.name, argument.type);
    } else {
      values.push_back(given->second);
    }
  }
  for (const auto& [name, value] : parsed->fields()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) mistakes += "; " + UnknownName("argument", name, names);
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(fmt::format("command \"{}\"{}", command.name, mistakes));
  return values;
}

}  // namespace

absl::StatusOr<Value> RunnableCore::ServeCommand(const CommandCall& call) {
  if (call.positional != nullptr && call.name.starts_with('@')) return ServeReference(call);
  const CommandDeclaration* const command = FindCommand(call.name);
  if (command == nullptr) {
    std::vector<std::string> names;
    for (const CommandDeclaration& declared : commands_) names.push_back(declared.name);
    return absl::InvalidArgumentError(fmt::format("task \"{}\": {}", options_.name, UnknownName("command", call.name, names)));
  }
  if (call.deadline_ns != 0 && MonotonicNanos() >= call.deadline_ns) {
    return absl::DeadlineExceededError(
        fmt::format("command \"{}\" was not executed: its deadline had passed before task \"{}\" came to it", call.name, options_.name));
  }
  absl::StatusOr<Value> result;
  if (call.positional != nullptr) {
    result = ExecuteCommand(*command, *call.positional);
  } else {
    auto arguments = ArgumentsOf(*command, call.arguments);
    if (!arguments.ok()) return arguments.status();
    result = ExecuteCommand(*command, *arguments);
    if (result.ok() && result->kind() == Value::Kind::kReference) {
      ReleaseObject(result->reference()->object());
      return absl::FailedPreconditionError(
          fmt::format("command \"{}\" returns a {}, which only a program's own runner can refer to", command->name, command->result));
    }
  }
  if (!result.ok() && !call.answered && command_error_.ok()) command_error_ = result.status();
  return result;
}

absl::StatusOr<Value> RunnableCore::ExecuteCommand(const CommandDeclaration& command, std::span<const Value> arguments) {
  if (arguments.size() != command.arguments.size()) {
    return absl::InvalidArgumentError(
        fmt::format("command \"{}\" takes {} arguments, not {}", command.name, command.arguments.size(), arguments.size()));
  }
  return Execute([&] { return command.thunk(arguments); });
}

absl::StatusOr<Value> RunnableCore::CallObject(uint64_t object, std::string_view method, std::span<const Value> arguments) {
  return Execute([&] { return objects_.Call(object, method, arguments); });
}

void RunnableCore::ReleaseObject(uint64_t object) {
  ThroughDoor([&] {
    objects_.Release(object);
    return absl::OkStatus();
  }).IgnoreError();
}

absl::StatusOr<Value> RunnableCore::ServeReference(const CommandCall& call) {
  const std::vector<Value>& arguments = *call.positional;
  if (call.name == kReleaseObjects) {
    for (const Value& argument : arguments) {
      if (auto object = argument.As<uint64_t>(); object.ok()) ReleaseObject(*object);
    }
    return Value();
  }
  if (call.name != kCallObject || arguments.size() < 2) return absl::InvalidArgumentError("a call of a reference that says too little");
  auto object = arguments[0].As<uint64_t>();
  auto method = arguments[1].As<std::string>();
  if (!object.ok() || !method.ok()) return absl::InvalidArgumentError("a call of a reference that says no object and method");
  if (call.deadline_ns != 0 && MonotonicNanos() >= call.deadline_ns)
    return absl::DeadlineExceededError(fmt::format("\"{}\" was not executed: its deadline had passed", *method));
  return CallObject(*object, *method, std::span(arguments).subspan(2));
}

template <class F>
absl::StatusOr<Value> RunnableCore::Execute(F&& call) {
  const ObjectScope objects(&objects_);
  context_.busy_since->store(static_cast<uint64_t>(CoarseNanos()), std::memory_order_relaxed);
  absl::StatusOr<Value> result = ThroughDoor(call);
  if (result.ok()) return result;
  Error error = ErrorOf(result.status());
  if (error.path.empty() || error.path.back() != options_.name) error.path.push_back(options_.name);
  return ToStatus(error);
}

}  // namespace puma::internal
