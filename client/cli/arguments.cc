#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/reference.h"

namespace puma::client {
namespace {

using Action = std::function<ExitCode(Session&)>;

std::string DefaultTarget() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  return geteuid() == 0 || runtime == nullptr || *runtime == 0 ? "unix:/run/puma/puma.sock"
                                                               : absl::StrCat("unix:", runtime, "/puma/puma.sock");
}

// An option whose value is a duration, as 5s or 2m.
CLI::Option* AddDuration(CLI::App* app, const std::string& names, absl::Duration& duration, const std::string& help) {
  return app
      ->add_option_function<std::string>(
          names,
          [&duration](const std::string& text) {
            if (absl::ParseDuration(text, &duration) && duration > absl::ZeroDuration()) return;
            throw CLI::ValidationError(absl::StrCat("\"", text, "\" is not a duration, as 500ms, 5s or 2m"));
          },
          help)
      ->type_name("DURATION");
}

Options OptionsOf(const Context& context) {
  Options options;
  if (!context.tls.ca.empty() || !context.tls.certificate.empty() || !context.tls.key.empty()) options.tls = context.tls;
  options.token_file = context.token_file;
  return options;
}

// Words of the host, for completion: of a kind, see KnownWords. None when it doesn't answer at once.
std::vector<std::string> WordsOf(const Context& context, const std::string& kind, const std::string& of) {
  Options options = OptionsOf(context);
  options.timeout = absl::Seconds(2);
  options.retry_for = absl::ZeroDuration();
  const auto host = Client::Connect(context.host, options);
  std::vector<std::string> words;
  if (!host.ok()) return words;
  const auto add = [&words](const auto& list) {
    for (const auto& each : list) words.push_back(ShortName(each.name()));
  };
  const bool both = kind == "name";
  if (kind == "pipeline" || both) {
    if (const auto list = AllPipelines(**host); list.ok()) add(list->pipelines());
  }
  if (kind == "task" || both) {
    if (const auto list = AllTasks(**host, ""); list.ok()) add(list->tasks());
  }
  if (kind == "buffer") {
    if (const auto list = AllBuffers(**host, ""); list.ok()) add(list->buffers());
  }
  if (kind == "type") {
    if (const auto list = (*host)->ListTypes(); list.ok()) add(list->types());
  }
  if (kind == "command") {
    v1::GetTaskRequest task;
    task.set_name(TaskName(of).value_or(""));
    const auto found = (*host)->GetTask(task);
    v1::GetTypeRequest type;
    if (found.ok()) type.set_name("types/" + found->task().spec().type());
    const auto known = (*host)->GetType(type);
    if (known.ok()) add(known->type().commands());
  }
  return words;
}

// The whole command line. What its options write to lives as long as it does.
class CommandLine {
 public:
  CommandLine();
  CLI::App& app() { return app_; }
  ExitCode Run();
  // For words that may be incomplete: what is known of the host that they name.
  std::vector<std::string> Offer(const std::vector<std::string>& words);

 private:
  // A subcommand; `action` runs when it was given.
  CLI::App* Add(const std::string& name, const std::string& help, Action action) {
    CLI::App* command = app_.add_subcommand(name, help);
    command->fallthrough();  // --host and -o may also come after the command
    command->callback([this, action] { action_ = action; });
    return command;
  }
  // One that speaks to no host.
  CLI::App* AddLocal(CLI::App* to, const std::string& name, const std::string& help, std::function<ExitCode(const Output&)> action);
  void AddCredentials();
  // Where the host is and who we are there.
  absl::StatusOr<Context> Resolve() const;
  void AddReading();
  void AddChanging();
  void AddWatching();
  void AddRunning();
  void AddLocals();

  CLI::App app_{"puma-ctl: drives a PUMA host from the command line"};
  Context given_;  // by flags; all but the host by variables, too
  std::string context_;
  Format format_ = Format::kTable;
  std::string graph_form_;
  Action action_;

  ApplyArguments apply_;
  GetArguments get_, describe_;
  std::string advise_, start_, stop_, restart_, diff_, expand_, level_of_, level_;
  std::vector<std::string> delete_;
  CallArguments call_;
  DrainArguments drain_;
  RunArguments run_;
  LogsArguments logs_;
  EventsArguments events_;
  TapArguments tap_;
  TopArguments top_;
  WaitArguments wait_;
  GraphArguments graph_;
  bool client_only_ = false, local_ = false;
  std::string shell_, context_name_;
};

const std::map<std::string, Format> kFormats = {
    {"table", Format::kTable}, {"wide", Format::kWide}, {"json", Format::kJson}, {"yaml", Format::kYaml}, {"name", Format::kName}};

CommandLine::CommandLine() {
  app_.name("puma-ctl");
  app_.require_subcommand(1);
  app_.set_version_flag("--version", std::string("puma-ctl ") + PUMA_VERSION);
  app_.add_option("--host", given_.host,
                  "the host: unix:/path or address:port (default: $PUMA_HOST, else the current context's, else its usual socket)")
      ->type_name("TARGET");
  app_.add_option("--context", context_, "the host of this name, as `puma-ctl context set` has noted it")->type_name("NAME");
  AddCredentials();
  app_.add_option_function<std::string>(
          "-o,--output",
          [this](const std::string& form) {
            const auto it = kFormats.find(form);
            if (it != kFormats.end()) {
              format_ = it->second;
            } else {
              graph_.form = form;
            }
          },
          "table, wide, json, yaml or name; for graph: dot or mermaid")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml", "name", "dot", "mermaid"}))
      ->type_name("FORM");
  app_.footer(
      "Names: \"edges\" is a pipeline, \"edges/loader\" a task (or a buffer) of it.\n"
      "Data goes to standard output (json: the API's messages; streams one a line), words to standard error.\n"
      "Exit codes: 0 done; 1 an error from the host, no host, or not found; 2 wrong usage, or a mistake in a spec file.\n"
      "diff: 0 no differences; 1 differences; 2 an error.");
  AddReading();
  AddLocals();
  AddChanging();
  AddRunning();
  AddWatching();
}

// For hosts on other machines.
void CommandLine::AddCredentials() {
  const auto add = [this](const char* name, std::string& file, const char* help, const char* variable) {
    app_.add_option(name, file, absl::StrCat(help, " ($", variable, ")"))->envname(variable)->type_name("FILE");
  };
  add("--ca", given_.tls.ca, "TLS: the authority of the host's certificate, PEM", "PUMA_CA");
  add("--cert", given_.tls.certificate, "TLS: your certificate, PEM", "PUMA_CERT");
  add("--key", given_.tls.key, "TLS: its key, PEM", "PUMA_KEY");
  add("--token-file", given_.token_file, "a file with a token that says who you are", "PUMA_TOKEN_FILE");
  app_.add_option("--server-name", given_.tls.server_name, "TLS: the name in the host's certificate, if you reach it by another one")
      ->type_name("NAME");
}

absl::StatusOr<Context> CommandLine::Resolve() const {
  const char* variable = std::getenv("PUMA_HOST");
  const std::string host = !given_.host.empty() || !context_.empty() || variable == nullptr ? given_.host : variable;
  Context context;
  if (host.empty() || !context_.empty()) {  // another host than the context's must not get what proves who we are to that one
    const auto contexts = ReadContexts(ContextsFile());
    if (!contexts.ok()) return contexts.status();
    if (const std::string& name = context_.empty() ? contexts->current : context_; !name.empty()) {
      const auto found = contexts->Find(name);
      if (!found.ok()) return found.status();
      context = *found;
    }
  }
  if (!host.empty()) context.host = host;
  if (context.host.empty()) context.host = DefaultTarget();
  for (const auto at : {&Options::Tls::ca, &Options::Tls::certificate, &Options::Tls::key, &Options::Tls::server_name}) {
    if (!(given_.tls.*at).empty()) context.tls.*at = given_.tls.*at;
  }
  if (!given_.token_file.empty()) context.token_file = given_.token_file;
  return context;
}

ExitCode CommandLine::Run() {
  const Output output(format_);
  if (local_ || client_only_) {  // a mistake in the contexts is no matter then
    Session nowhere(output, "");
    return action_(nowhere);
  }
  const auto context = Resolve();
  if (!context.ok()) return output.Error(context.status()), kUsage;
  Session session(output, context->host, OptionsOf(*context));
  return action_(session);
}

CLI::App* CommandLine::AddLocal(CLI::App* to, const std::string& name, const std::string& help,
                                std::function<ExitCode(const Output&)> action) {
  CLI::App* command = to->add_subcommand(name, help);
  command->fallthrough();
  command->callback([this, action = std::move(action)] {
    local_ = true;
    action_ = [action](Session& session) { return action(session.output); };
  });
  return command;
}

void CommandLine::AddLocals() {
  CLI::App* context = app_.add_subcommand("context", "hosts by name: where they are and who you are there");
  context->require_subcommand(1);
  context->fallthrough();
  AddLocal(context, "list", "the contexts; a star marks the current one", ListContexts)->footer("Example:\n  puma-ctl context list");
  CLI::App* use =
      AddLocal(context, "use", "from now on, commands go to this host", [this](const Output& o) { return UseContext(o, context_name_); });
  use->add_option("name", context_name_, "the context")->required();
  use->footer("Example:\n  puma-ctl context use lab");
  CLI::App* set =
      AddLocal(context, "set", "note a host by a name: --host, and --ca, --cert, --key, --token-file, --server-name if it needs them",
               [this](const Output& o) { return SetContext(o, context_name_, given_); });
  set->add_option("name", context_name_, "the context")->required();
  set->footer("Example:\n  puma-ctl context set lab --host lab1:7777 --ca ca.pem --cert me.pem --key me.key");
  CLI::App* forget = AddLocal(context, "delete", "forget a context", [this](const Output& o) { return DeleteContext(o, context_name_); });
  forget->add_option("name", context_name_, "the context")->required();
  forget->footer("Example:\n  puma-ctl context delete lab");

  CLI::App* completion =
      AddLocal(&app_, "completion", "a script that makes your shell complete commands, options and names", [this](const Output& o) {
        const auto script = CompletionScript(shell_);
        return script.ok() ? (o.Data(*script), kDone) : (o.Error(script.status()), kUsage);
      });
  completion->add_option("shell", shell_, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->footer(
      "Examples:\n  source <(puma-ctl completion bash)        # in ~/.bashrc\n  source <(puma-ctl completion zsh)         # in ~/.zshrc\n"
      "  puma-ctl completion fish | source         # in ~/.config/fish/config.fish");
}

std::vector<std::string> CommandLine::Offer(const std::vector<std::string>& words) {
  const auto variable = [](const char* name, std::string& file) {
    if (const char* value = std::getenv(name)) file = value;
  };
  variable("PUMA_CA", given_.tls.ca);
  variable("PUMA_CERT", given_.tls.certificate);
  variable("PUMA_KEY", given_.tls.key);
  variable("PUMA_TOKEN_FILE", given_.token_file);
  for (size_t i = 0; i + 2 < words.size(); ++i) {
    if (words[i] == "--host") given_.host = words[i + 1];
    if (words[i] == "--context") context_ = words[i + 1];
  }
  return Complete(app_, words, [this](const std::string& kind, const std::string& of) {
    std::vector<std::string> names;
    if (kind == "context") {
      const auto contexts = ReadContexts(ContextsFile());
      if (!contexts.ok()) return names;
      for (const auto& [name, context] : contexts->all) names.push_back(name);
      return names;
    }
    const auto context = Resolve();
    return context.ok() ? WordsOf(*context, kind, of) : names;
  });
}

void CommandLine::AddReading() {
  const auto kinds = CLI::IsMember({"tasks", "pipelines", "buffers", "types", "task", "pipeline", "buffer", "type"});
  const auto lists =
      CLI::IsMember({"tasks", "pipelines", "buffers", "types", "dead-letters", "task", "pipeline", "buffer", "type", "dead-letter"});
  CLI::App* get = Add("get", "list resources, or one", [this](Session& s) { return Get(s, get_); });
  get->add_option("kind", get_.kind, "tasks, pipelines, buffers, types or dead-letters")->required()->check(lists);
  get->add_option("name", get_.name, "one of them, or all of this pipeline or module");
  get->add_option("--filter", get_.filter, "only those that match, as \"state=failed OR restarts>3\" or \"spec.type:Loader\"")
      ->type_name("TEXT");
  get->footer("Examples:\n  puma-ctl get tasks edges\n  puma-ctl get tasks --filter \"state=failed\" -o json\n  puma-ctl get types edges");

  CLI::App* describe = Add("describe", "all that is known of one resource", [this](Session& s) { return Describe(s, describe_); });
  describe->add_option("kind", describe_.kind, "task, pipeline, buffer, type or host")->required()->check(kinds | CLI::IsMember({"host"}));
  describe->add_option("name", describe_.name, "its name; the host has none");
  describe->footer(
      "Examples:\n  puma-ctl describe task edges/detector.0\n  puma-ctl describe type edges.ImageLoader\n  puma-ctl describe host");
  describe->parse_complete_callback([this] {
    if (describe_.name.empty() && describe_.kind != "host") throw CLI::RequiredError("name");
  });

  CLI::App* graph = Add("graph", "a pipeline as a drawing (dot or mermaid)", [this](Session& s) { return Graph(s, graph_); });
  graph->add_option("pipeline", graph_.pipeline, "the pipeline")->required();
  graph->footer("Examples:\n  puma-ctl graph edges | dot -Tsvg > edges.svg\n  puma-ctl graph edges -o mermaid");

  CLI::App* advise =
      Add("advise", "what the use of the buffers says about their capacity", [this](Session& s) { return Advise(s, advise_); });
  advise->add_option("pipeline", advise_, "only buffers of this pipeline");
  advise->footer("Example:\n  puma-ctl advise edges");

  Add("doctor", "what is wrong, or could be better, with this machine and the host", Doctor)
      ->footer("Exit code: 1 when something is wrong.\n\nExamples:\n  puma-ctl doctor\n  puma-ctl doctor -o json");

  CLI::App* version = Add("version", "versions of this program and of the host", [this](Session& s) { return Version(s, client_only_); });
  version->add_flag("--client", client_only_, "only of this program");
  version->footer("Examples:\n  puma-ctl version\n  puma-ctl version --client");
}

void CommandLine::AddChanging() {
  CLI::App* apply = Add("apply", "create or change a pipeline from a spec file", [this](Session& s) { return Apply(s, apply_); });
  apply->add_option("-f,--file", apply_.file, "the spec file; -: standard input")->required()->type_name("FILE");
  apply->add_flag("--validate-only", apply_.validate_only, "show what would change, and change nothing");
  AddDuration(apply, "--wait", apply_.timeout, "wait until all tasks run (at most so long; default 60s)")
      ->expected(0, 1)
      ->default_str("60s");
  apply->footer(
      "Examples:\n  puma-ctl apply -f edges.yaml --wait\n  puma-ctl apply -f edges.yaml --validate-only\n  RATE=30Hz puma-ctl apply -f "
      "edges.yaml");
  apply->parse_complete_callback([this, apply] { apply_.wait = apply->count("--wait") > 0; });

  CLI::App* diff = Add("diff", "what apply would change, field by field", [this](Session& s) { return Diff(s, diff_); });
  diff->add_option("-f,--file", diff_, "the spec file; -: standard input")->required()->type_name("FILE");
  diff->footer("Examples:\n  puma-ctl diff -f edges.yaml\n  puma-ctl diff -f edges.yaml -o json");
  CLI::App* expand =
      Add("expand", "a spec with all variables and defaults filled in", [this](Session& s) { return ExpandSpec(s, expand_); });
  expand->add_option("-f,--file", expand_, "the spec file; -: standard input")->required()->type_name("FILE");
  expand->footer("Examples:\n  puma-ctl expand -f edges.yaml\n  puma-ctl expand -f edges.yaml -o json");

  CLI::App* start = Add("start", "start a task, or all tasks of a pipeline", [this](Session& s) { return StartTasks(s, start_); });
  start->add_option("name", start_, "the task or pipeline")->required();
  start->footer("Examples:\n  puma-ctl start edges/sink\n  puma-ctl start edges");
  CLI::App* stop = Add("stop", "stop a task, or all tasks of a pipeline", [this](Session& s) { return StopTasks(s, stop_); });
  stop->add_option("name", stop_, "the task or pipeline")->required();
  stop->footer("Examples:\n  puma-ctl stop edges/sink\n  puma-ctl stop edges");
  CLI::App* restart = Add("restart", "end the run of a task, or of all tasks of a pipeline, and begin the next one",
                          [this](Session& s) { return RestartTasks(s, restart_); });
  restart->add_option("name", restart_, "the task or pipeline")->required();
  restart->footer("Example:\n  puma-ctl restart edges/detector.0");
  CLI::App* forget =
      Add("delete", "stop a task, or all tasks of a pipeline, and forget it", [this](Session& s) { return Delete(s, delete_); });
  forget->add_option("name", delete_, "the task or pipeline; the word \"task\" or \"pipeline\" may stand before it")
      ->required()
      ->expected(1, 2);
  forget->footer("Examples:\n  puma-ctl delete edges\n  puma-ctl delete task edges/sink");
  CLI::App* drain =
      Add("drain", "end all runs and start none, before the machine goes down", [this](Session& s) { return Drain(s, drain_); });
  drain->add_flag("--undo", drain_.undo, "start runs again, as they are wanted");
  AddDuration(drain, "--wait", drain_.timeout, "until all runs have ended (at most so long; default 60s)")
      ->expected(0, 1)
      ->default_str("60s");
  drain->parse_complete_callback([this, drain] { drain_.wait = drain->count("--wait") > 0; });
  drain->footer("Examples:\n  puma-ctl drain --wait\n  puma-ctl drain --undo");
}

void CommandLine::AddRunning() {
  CLI::App* call = Add("call", "run a command of a task", [this](Session& s) { return CallCommand(s, call_); });
  call->add_option("task", call_.task, "the task")->required();
  call->add_option("command", call_.command, "the command, as its type declares it")->required();
  call->add_option("arguments", call_.values, "NAME=VALUE ...; a value is JSON, or else text");
  AddDuration(call, "--timeout", call_.timeout, "how long the command may take (default 30s)");
  call->footer("Examples:\n  puma-ctl call edges/detector.0 set_threshold threshold=0.4\n  puma-ctl call edges/sink save -o json");

  CLI::App* run = Add("run", "run one task, show what it prints, and end as it does", [this](Session& s) { return RunTask(s, run_); });
  run->add_option("type", run_.type, "its type, as edges.ImageLoader; puma.Exec runs programs of the host's catalogue")->required();
  run->add_option("parameters", run_.values, "NAME=VALUE ...; a value is JSON, or else text");
  run->add_option("--name", run_.name, "of the pipeline that it is alone in (default: a random one); it is deleted in the end")
      ->type_name("NAME");
  run->footer(
      "Exit code: 0 when the task succeeds; of a puma.Exec the program's own; 128 and the signal's number when one killed it, or you;\n"
      "1 for other failures. The first Ctrl-C stops the task, the second one leaves at once.\n\n"
      "Examples:\n  puma-ctl run puma.Exec command=greet\n  puma-ctl run flow.Counter count=100 -o json");
}

void CommandLine::AddWatching() {
  CLI::App* events = Add("events", "what clients wanted and what came of it: states, ends of runs, who did what",
                         [this](Session& s) { return Events(s, events_); });
  events->add_option("name", events_.name, "the pipeline or task; default: all");
  events->add_flag("-f,--follow", events_.follow, "go on with what happens from now on");
  events
      ->add_option_function<int>(
          "--history", [this](int n) { events_.history = n; }, "so many of those that were (default: all; with -f 10)")
      ->check(CLI::NonNegativeNumber);
  events->footer("Examples:\n  puma-ctl events edges\n  puma-ctl events -f -o json");
  CLI::App* level = Add("log-level", "log more or less from now on, also in runs that go on",
                        [this](Session& s) { return SetLogLevel(s, level_of_, level_); });
  level->add_option("name", level_of_, "the task or pipeline")->required();
  level->add_option("level", level_, "trace, debug, info, warn or error; spec: as the spec says")->required();
  level->footer("Examples:\n  puma-ctl log-level edges/loader debug\n  puma-ctl log-level edges spec");

  CLI::App* logs = Add("logs", "the log of the host, a pipeline or a task", [this](Session& s) { return Logs(s, logs_); });
  logs->add_option("name", logs_.name, "the pipeline or task; default: all");
  logs->add_flag("-f,--follow", logs_.follow, "go on with what is logged from now on");
  logs->add_option("--level", logs_.level, "this level and above: trace, debug, info, warn, error");
  logs->add_option("--task", logs_.task, "only of this task");
  logs->add_option("--grep", logs_.grep, "only records that contain this text");
  logs->add_option_function<int>(
      "--history", [this](int n) { logs_.history = n; }, "so many records from before (default: all; with -f 10)");
  logs->footer(
      "Examples:\n  puma-ctl logs edges -f\n  puma-ctl logs --level warn --since 5m\n  puma-ctl logs edges --task sink --grep \"disk "
      "full\" -o json");
  logs->add_option("--since", logs_.since, "only records of this time or later: 5m, or 2024-05-01T12:00:00Z");

  CLI::App* tap = Add("tap", "the messages that pass through a buffer", [this](Session& s) { return Tap(s, tap_); });
  tap->add_option("buffer", tap_.buffer, "the buffer")->required();
  tap->add_option("--publisher", tap_.publisher, "only what this task publishes");
  tap->add_option("--every", tap_.every, "one message of so many")->check(CLI::PositiveNumber);
  tap->add_option_function<uint32_t>(
      "--max-bytes", [this](uint32_t n) { tap_.max_bytes = n; }, "so much of each message (default 4096, of which 64 are shown as bytes)");
  tap->add_option("-n,--count", tap_.count, "end after so many messages")->check(CLI::PositiveNumber);
  tap->add_flag("--oldest", tap_.oldest, "begin with what still lies in the buffer");
  tap->add_flag("--hex", tap_.hex, "values as bytes, too");
  tap->footer("Examples:\n  puma-ctl tap edges/frames -n 10\n  puma-ctl tap edges/poses --every 100 -o json");

  CLI::App* top = Add("top", "live tables of the tasks and buffers", [this](Session& s) { return Top(s, top_); });
  top->add_option("pipeline", top_.name, "only this pipeline");
  top->add_option("-n", top_.count, "show it so many times and end")->check(CLI::PositiveNumber);
  AddDuration(top, "--interval", top_.interval, "how often (default 1s)");
  top->footer("Examples:\n  puma-ctl top\n  puma-ctl top edges -n 1");

  CLI::App* wait = Add("wait", "wait for a task, or all tasks of a pipeline", [this](Session& s) { return Wait(s, wait_); });
  wait->add_option("name", wait_.name, "the task or pipeline")->required();
  wait->add_option("--for", wait_.condition, "running, succeeded, stopped, failed or deleted")
      ->required()
      ->check(CLI::IsMember({"running", "succeeded", "stopped", "failed", "deleted"}));
  AddDuration(wait, "--timeout", wait_.timeout, "how long at most (default 60s)");
  wait->footer("Examples:\n  puma-ctl wait edges --for running\n  puma-ctl wait edges/sink --for succeeded --timeout 10m");
}

}  // namespace

absl::StatusOr<Client*> Session::Host() {
  if (!client_) {
    auto client = Client::Connect(target, options);
    if (!client.ok()) return client.status();
    client_ = *std::move(client);
  }
  return client_.get();
}

ExitCode Version(Session& session, bool client_only) {
  if (!session.output.json()) session.output.Data(absl::StrCat("puma-ctl ", PUMA_VERSION, "\n"));
  if (client_only) return kDone;
  const auto host = session.Host();
  if (!host.ok()) return session.output.Error(host.status());
  const auto answer = (*host)->GetHost();
  if (!answer.ok()) return session.output.Error(answer.status());
  if (session.output.json()) {
    session.output.Json(*answer);
  } else {
    session.output.Data(absl::StrCat("puma-host ", answer->host().version(), " at ", session.target, ", pid ", answer->host().pid(), "\n"));
  }
  return kDone;
}

int RunCommandLine(int argc, char** argv) {
  CommandLine line;
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "__man") return std::fputs(ManPage(line.app()).c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? kFailed : kDone;
  if (first == "__complete") {  // asked by the scripts of `completion`
    for (const std::string& offer : line.Offer({argv + std::min(argc, argc > 2 && std::string(argv[2]) == "--" ? 3 : 2), argv + argc}))
      std::puts(offer.c_str());
    return kDone;
  }
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& e) {  // CLI11 throws, also for --help
    return line.app().exit(e) == 0 ? kDone : kUsage;
  }
  const ExitCode code = line.Run();
  std::fflush(stdout);
  return code;
}

}  // namespace puma::client
