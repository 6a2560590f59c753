// The text of a command catalogue becomes commands.
#include <algorithm>
#include <cctype>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/config/command_catalogue.h"
#include "server/config/module_catalogue.h"
#include "server/config/yaml_reader.h"
#include "worker/platform/signal_name.h"

namespace puma::server {
namespace {

std::string AbsolutePath(const YAML::Node& node, const std::string& what) {
  std::string path = Text(node, what);
  if (!absl::StartsWith(path, "/")) throw Mistake{node.Mark(), absl::StrCat(what, ": \"", path, "\" is no absolute path")};
  return path;
}

bool Flag(const YAML::Node& node, const std::string& what) {
  const std::string text = Text(node, what);
  if (text != "true" && text != "false") throw Mistake{node.Mark(), absl::StrCat(what, ": \"", text, "\" is neither true nor false")};
  return text == "true";
}

int SignalOf(const YAML::Node& node) {
  const std::string name = Text(node, "stop_signal");
  const int signal = SignalNumber(name);
  if (signal == 0) throw Mistake{node.Mark(), absl::StrCat("stop_signal: \"", name, "\" is no signal; write it as SIGTERM or SIGINT")};
  return signal;
}

int ExitCode(const std::string& text, const YAML::Node& node) {
  int code = 0;
  if (!absl::SimpleAtoi(text, &code) || code < 0 || code > 255)
    throw Mistake{node.Mark(), absl::StrCat("success_codes: \"", text, "\" is no exit code of 0 to 255")};
  return code;
}

std::string Variable(const std::string& name, const YAML::Node& node) {
  if (!IsIdentifier(name)) throw Mistake{node.Mark(), absl::StrCat("\"", name, "\" is no name of a variable")};
  if (absl::StartsWith(name, "PUMA_")) throw Mistake{node.Mark(), absl::StrCat(name, ": what begins with PUMA_ is PUMA's own")};
  return name;
}

std::string CheckedName(const std::string& name, const YAML::Node& node) {
  const bool good = !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) || c == '-' || c == '_' || c == '.');
  });
  if (!good)
    throw Mistake{node.Mark(), absl::StrCat("\"", name, "\" is no name of a command: 1 to 63 letters, digits, \"-\", \"_\" and \".\"")};
  return name;
}

Command CommandAt(const std::string& name, const YAML::Node& node) {
  Command command;
  const std::vector<std::string> keys = {"program",           "args",        "client_args",  "environment", "client_environment",
                                         "working_directory", "stop_signal", "success_codes"};
  ForEachKey(node, absl::StrCat("command \"", name, "\""), keys, [&](const std::string& key, const YAML::Node& value, const YAML::Node&) {
    if (key == "program") {
      command.program = AbsolutePath(value, key);
    } else if (key == "args") {
      ForEachItem(value, key, [&](const std::string& item, const YAML::Node&) { command.args.push_back(item); });
    } else if (key == "client_args") {
      command.client_args = Flag(value, key);
    } else if (key == "environment") {
      ForEachKey(value, key, {}, [&](const std::string& variable, const YAML::Node& text, const YAML::Node& at) {
        command.environment[Variable(variable, at)] = Text(text, variable);
      });
    } else if (key == "client_environment") {
      ForEachItem(value, key,
                  [&](const std::string& item, const YAML::Node& at) { command.client_environment.push_back(Variable(item, at)); });
    } else if (key == "working_directory") {
      command.working_directory = AbsolutePath(value, key);
    } else if (key == "stop_signal") {
      command.stop_signal = SignalOf(value);
    } else {
      command.success_codes.clear();
      ForEachItem(value, key, [&](const std::string& item, const YAML::Node& at) { command.success_codes.push_back(ExitCode(item, at)); });
      if (command.success_codes.empty()) throw Mistake{value.Mark(), "success_codes: at least one is needed"};
    }
  });
  if (command.program.empty()) throw Mistake{node.Mark(), absl::StrCat("command \"", name, "\": \"program\" is missing")};
  return command;
}

}  // namespace

absl::StatusOr<std::map<std::string, Command>> ParseCommands(const std::string& file, const std::string& text) {
  std::map<std::string, Command> commands;
  const absl::Status read = ReadYaml(file, text, [&](const YAML::Node& root) {
    ForEachKey(root, "the file", {"commands"}, [&](const std::string&, const YAML::Node& list, const YAML::Node&) {
      ForEachKey(list, "commands", {}, [&](const std::string& name, const YAML::Node& entry, const YAML::Node& at) {
        commands[CheckedName(name, at)] = CommandAt(name, entry);
      });
    });
  });
  if (!read.ok()) return read;
  return commands;
}

}  // namespace puma::server
