#include "server/config/command_catalogue.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "server/config/error_details.h"
#include "server/config/spec_checks.h"
#include "server/config/suggest.h"
#include "server/config/trusted_path.h"

namespace puma::server {
namespace {

constexpr char kCatalogue[] = "command catalogue";

absl::Status CheckProgram(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    return absl::FailedPreconditionError(absl::StrCat(kCatalogue, ": ", path, ": ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0)
    return absl::FailedPreconditionError(absl::StrCat(kCatalogue, ": ", path, " is no program"));
  if (absl::Status trusted = CheckTrusted(kCatalogue, path, info); !trusted.ok()) return trusted;
  return CheckTrustedAbove(kCatalogue, path);
}

const google::protobuf::Value& ParamOf(const v1::TaskSpec& task, const std::string& name) {
  const auto it = task.params().find(name);
  return it == task.params().end() ? google::protobuf::Value::default_instance() : it->second;
}

void AddArgs(const v1::TaskSpec& task, const std::string& name, Command& command, FieldViolations& wrong) {
  const auto& values = ParamOf(task, "args").list_value().values();
  if (!values.empty() && !command.client_args)
    return wrong.Add("params.args", absl::StrCat("command \"", name,
                                                 "\" takes no arguments from tasks; leave them out, or have the host's catalogue "
                                                 "say client_args: true"));
  for (const auto& value : values) command.args.push_back(value.string_value());
}

void AddEnvironment(const v1::TaskSpec& task, const std::string& name, Command& command, FieldViolations& wrong) {
  const auto& fields = ParamOf(task, "environment").struct_value().fields();
  const std::vector<std::string>& taken = command.client_environment;
  for (const std::string& variable : KeysOf(fields)) {
    if (std::find(taken.begin(), taken.end(), variable) != taken.end()) {
      command.environment[variable] = fields.at(variable).string_value();
    } else {
      wrong.Add(absl::StrCat("params.environment.", variable),
                absl::StrCat("command \"", name, "\" takes no variable \"", variable, "\" from tasks", DidYouMean(variable, taken)));
    }
  }
}

google::protobuf::Value ListOf(const auto& items, auto set) {
  google::protobuf::Value list;
  list.mutable_list_value();
  for (const auto& item : items) set(*list.mutable_list_value()->add_values(), item);
  return list;
}

std::string JsonOf(const google::protobuf::Value& value) {
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(value, &json);
  return json;
}

}  // namespace

absl::StatusOr<CommandCatalogue> CommandCatalogue::Open(const std::string& file) {
  CommandCatalogue catalogue;
  catalogue.file_ = file;
  if (absl::Status read = catalogue.Read().status(); !read.ok()) return read;
  return catalogue;
}

absl::StatusOr<std::map<std::string, Command>> CommandCatalogue::Read() const {
  if (file_.empty()) return std::map<std::string, Command>();
  absl::StatusOr<std::string> text = ReadTrusted(kCatalogue, file_);
  if (!text.ok()) return text.status();
  return ParseCommands(file_, *text);
}

absl::StatusOr<Command> CommandCatalogue::CommandOf(const v1::TaskSpec& task) const {
  FieldViolations wrong;
  const std::string what = "its command", &name = ParamOf(task, "command").string_value();
  if (task.placement() == v1::PLACEMENT_THREAD) wrong.Add("placement", "a program needs a process of its own: use placement process");
  if (file_.empty()) {
    wrong.Add("params.command", "this host has no commands: it was started without --commands FILE");
    return wrong.ToStatus(what);
  }
  const absl::StatusOr<std::map<std::string, Command>> commands = Read();
  if (!commands.ok()) return commands.status();
  const auto found = commands->find(name);
  if (found == commands->end()) {
    wrong.Add("params.command", absl::StrCat("unknown command \"", name, "\"", DidYouMean(name, KeysOf(*commands))));
    return wrong.ToStatus(what);
  }
  Command command = found->second;
  AddArgs(task, name, command, wrong);
  AddEnvironment(task, name, command, wrong);
  if (!wrong.empty()) return wrong.ToStatus(what);
  if (absl::Status good = CheckProgram(command.program); !good.ok()) return good;
  return command;
}

std::map<std::string, std::string> HostParams(const Command& command) {
  const auto text = [](google::protobuf::Value& value, const std::string& item) { value.set_string_value(item); };
  const auto number = [](google::protobuf::Value& value, int item) { value.set_number_value(item); };
  google::protobuf::Value program, environment, directory, signal;
  program.set_string_value(command.program);
  environment.mutable_struct_value();
  for (const auto& [name, value] : command.environment)
    (*environment.mutable_struct_value()->mutable_fields())[name].set_string_value(value);
  directory.set_string_value(command.working_directory);
  signal.set_number_value(command.stop_signal);
  return {{"@program", JsonOf(program)},         {"@args", JsonOf(ListOf(command.args, text))},
          {"@environment", JsonOf(environment)}, {"@working_directory", JsonOf(directory)},
          {"@stop_signal", JsonOf(signal)},      {"@success_codes", JsonOf(ListOf(command.success_codes, number))}};
}

}  // namespace puma::server
