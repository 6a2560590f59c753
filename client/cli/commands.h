#ifndef PUMA_CLIENT_CLI_COMMANDS_H_
#define PUMA_CLIENT_CLI_COMMANDS_H_
// What puma-ctl can do: a struct of arguments and a function each.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/contexts.h"
#include "client/cli/output.h"
#include "puma/client/client.h"

namespace puma::client {

// Where a command runs.
struct Session {
  Session(Output output, std::string target, Options options = {})
      : output(output), target(std::move(target)), options(std::move(options)) {}
  const Output output;
  const std::string target;
  const Options options;
  // A client of the host, connected at the first use.
  absl::StatusOr<Client*> Host();

 private:
  std::unique_ptr<Client> client_;
};

struct ApplyArguments {
  std::string file;
  bool validate_only = false;
  bool wait = false;
  absl::Duration timeout = absl::Seconds(60);
};
ExitCode Apply(Session& session, const ApplyArguments& arguments);

// What an apply would change. Exit codes as diff(1): 0 nothing, 1 something, 2 it can't be said.
ExitCode Diff(Session& session, const std::string& file);
// The spec as the host would have it: variables and defaults filled in.
ExitCode ExpandSpec(Session& session, const std::string& file);

struct GetArguments {
  std::string kind, name;
  std::string filter;  // of a list, as in ListTasksRequest
};
ExitCode Get(Session& session, const GetArguments& arguments);
ExitCode Describe(Session& session, const GetArguments& arguments);

// `pipeline` may be empty: all.
ExitCode Advise(Session& session, const std::string& pipeline);

ExitCode StartTasks(Session& session, const std::string& name);
ExitCode StopTasks(Session& session, const std::string& name);
ExitCode RestartTasks(Session& session, const std::string& name);
// `words` are the name of a pipeline or a task, and before it perhaps which of these.
ExitCode Delete(Session& session, const std::vector<std::string>& words);

struct DrainArguments {
  bool undo = false, wait = false;
  absl::Duration timeout = absl::Seconds(60);
};
ExitCode Drain(Session& session, const DrainArguments& arguments);

struct CallArguments {
  std::string task, command;
  std::vector<std::string> values;  // name=value
  absl::Duration timeout = absl::Seconds(30);
};
ExitCode CallCommand(Session& session, const CallArguments& arguments);

// "threshold=0.4": JSON where it is JSON, else text. The host knows the types. INVALID_ARGUMENT.
absl::StatusOr<std::pair<std::string, google::protobuf::Value>> ParseArgument(const std::string& text);

struct RunArguments {
  std::string type, name;           // name: of the pipeline; "": a random one
  std::vector<std::string> values;  // name=value
};
// Ends as the task does: 0, its program's exit code, 128 and the signal that killed it; 1: any other failure.
ExitCode RunTask(Session& session, const RunArguments& arguments);

struct LogsArguments {
  std::string name, task, level, grep, since;
  std::optional<int> history;
  bool follow = false;
};
ExitCode Logs(Session& session, const LogsArguments& arguments);

struct TapArguments {
  std::string buffer, publisher;
  uint32_t every = 1;
  std::optional<uint32_t> max_bytes;
  uint64_t count = 0;  // 0: until interrupted
  bool oldest = false, hex = false;
};
ExitCode Tap(Session& session, const TapArguments& arguments);

// `level`: as for logs; "spec": what the spec says again.
ExitCode SetLogLevel(Session& session, const std::string& name, const std::string& level);

struct EventsArguments {
  std::string name;
  std::optional<int> history;
  bool follow = false;
};
ExitCode Events(Session& session, const EventsArguments& arguments);

struct TopArguments {
  std::string name;
  int count = 0;  // 0: until interrupted on a terminal, else once
  absl::Duration interval = absl::Seconds(1);
};
ExitCode Top(Session& session, const TopArguments& arguments);

struct WaitArguments {
  std::string name, condition;
  absl::Duration timeout = absl::Seconds(60);
};
ExitCode Wait(Session& session, const WaitArguments& arguments);

struct GraphArguments {
  std::string pipeline, form = "dot";
};
ExitCode Graph(Session& session, const GraphArguments& arguments);

ExitCode Version(Session& session, bool client_only);
// What is wrong with this machine and the host. kFailed: something is.
ExitCode Doctor(Session& session);

// Hosts by name (contexts.h). These don't speak to a host.
ExitCode ListContexts(const Output& output);
ExitCode UseContext(const Output& output, const std::string& name);
ExitCode SetContext(const Output& output, const std::string& name, Context context);  // files become absolute
ExitCode DeleteContext(const Output& output, const std::string& name);

// All pages of a list.
absl::StatusOr<v1::ListTasksResponse> AllTasks(Client& host, const std::string& parent, const std::string& filter = "");
absl::StatusOr<v1::ListPipelinesResponse> AllPipelines(Client& host, const std::string& filter = "");
absl::StatusOr<v1::ListBuffersResponse> AllBuffers(Client& host, const std::string& parent, const std::string& filter = "");

// The door: parses the command line and runs what it asks for.
int RunCommandLine(int argc, char** argv);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_COMMANDS_H_
