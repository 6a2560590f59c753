#ifndef PUMA_SERVER_CONFIG_COMMAND_CATALOGUE_H_
#define PUMA_SERVER_CONFIG_COMMAND_CATALOGUE_H_
// Which programs tasks of type puma.Exec may run: clients name a command, only the host's administrator decides what that is.
#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "puma/v1/spec.pb.h"

namespace puma::server {

inline constexpr char kExecType[] = "puma.Exec";

struct Command {
  std::string program;  // an absolute path
  std::vector<std::string> args;
  bool client_args = false;                        // tasks may add arguments
  std::map<std::string, std::string> environment;  // beside the host's
  std::vector<std::string> client_environment;     // variables that tasks may set
  std::string working_directory;                   // an absolute path; "": the host's
  int stop_signal = SIGTERM;
  std::vector<int> success_codes = {0};
};

// The commands of a file by name. INVALID_ARGUMENT: its first mistake, as "FILE:line:column: what is wrong".
absl::StatusOr<std::map<std::string, Command>> ParseCommands(const std::string& file, const std::string& text);

// A value; thread-safe: it only looks at the file, and anew each time, so that what was changed holds for the next start.
class CommandCatalogue {
 public:
  CommandCatalogue() = default;  // no commands
  // "" as well. FAILED_PRECONDITION: others than root and this user can write the file, or a directory above it. INVALID_ARGUMENT: it is
  // not right.
  static absl::StatusOr<CommandCatalogue> Open(const std::string& file);

  absl::StatusOr<std::map<std::string, Command>> Read() const;

  // What a task of type kExecType runs, with what it adds. INVALID_ARGUMENT with google.rpc.BadRequest: it names no command that there is,
  // or adds what its command does not take; fields as "params.command". FAILED_PRECONDITION: the file, or the program, is not to be
  // trusted.
  absl::StatusOr<Command> CommandOf(const v1::TaskSpec& task) const;

 private:
  std::string file_;
};

// What the worker is told: parameters of puma.Exec by name, as JSON. Clients can't give any of them.
std::map<std::string, std::string> HostParams(const Command& command);

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_COMMAND_CATALOGUE_H_
