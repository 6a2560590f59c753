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
  }
  if (!result.ok() && !call.answered && command_error_.ok()) command_error_ = result.status();
  return result;
}

absl::StatusOr<Value> RunnableCore::ExecuteCommand(const CommandDeclaration& command, std::span<const Value> arguments) {
  if (arguments.size() != command.arguments.size()) {
    return absl::InvalidArgumentError(
        fmt::format("command \"{}\" takes {} arguments, not {}", command.name, command.arguments.size(), arguments.size()));
  }
  context_.busy_since->store(static_cast<uint64_t>(CoarseNanos()), std::memory_order_relaxed);
  absl::StatusOr<Value> result = ThroughDoor([&] { return command.thunk(arguments); });
  if (result.ok()) return result;
  Error error = ErrorOf(result.status());
  if (error.path.empty() || error.path.back() != options_.name) error.path.push_back(options_.name);
  return ToStatus(error);
}

}  // namespace puma::internal
