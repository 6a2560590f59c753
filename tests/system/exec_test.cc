// puma.Exec: programs that know nothing of PUMA. They are shell scripts of the host's catalogue.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

class ExecTest : public HostTest {
 protected:
  // A command that is a shell script; `more`: further keys of its entry.
  void Script(const std::string& name, const std::string& script, const std::string& more = "") {
    absl::StrAppend(&catalogue_, "  ", name, ":\n    program: /bin/sh\n    args:\n      - -c\n      - |\n        ", script, "\n", more);
  }
  void StartHostWithCommands() {
    GiveHost({"--commands", Write("commands.yaml", "commands:\n" + catalogue_)});
    StartHost();
  }
  // A pipeline "p" with one task, named as its command.
  absl::Status Run(const std::string& command, const std::string& more = "") {
    return Apply(absl::StrCat("pipeline: p\nmodules: [puma]\ntasks:\n  ", command,
                              ":\n    type: puma.Exec\n    params: {command: ", command, "}\n", more));
  }
  v1::RunExit LastExit(const std::string& task) { return Task(task).status().last_exit(); }

  struct Line {
    std::string text;
    v1::LogStream stream;
    int64_t run;
  };
  std::vector<Line> Log(const std::string& task) {
    std::vector<Line> lines;
    v1::TailLogsRequest request;
    request.set_parent("pipelines/p/tasks/" + task);
    request.set_history(-1);
    auto stream = client().TailLogs(request);
    for (;;) {
      auto batch = stream->Next();
      if (!batch.ok() || !batch->has_value()) return lines;
      for (const v1::LogRecord& record : (*batch)->records())
        lines.push_back({record.message(), record.stream(), (*batch)->sources(static_cast<int>(record.source())).run()});
    }
  }
  AssertionResult Says(const std::string& task, const std::string& text, v1::LogStream stream = v1::LOG_STREAM_STDOUT, int64_t run = 1) {
    const bool said = Eventually([&] {
      const std::vector<Line> lines = Log(task);
      return std::any_of(lines.begin(), lines.end(),
                         [&](const Line& line) { return line.text == text && line.stream == stream && line.run == run; });
    });
    if (said) return AssertionSuccess();
    AssertionResult failure = AssertionFailure() << task << " never said \"" << text << "\", but:";
    for (const Line& line : Log(task)) failure << "\n" << line.run << " " << v1::LogStream_Name(line.stream) << " " << line.text;
    return failure;
  }
  // Waits for it: the program may be quicker than the news that its task is RUNNING.
  int ProgramOf(const std::string& task) {
    int program = -1;
    EXPECT_TRUE(Eventually([&] { return (program = static_cast<int>(Number(task, "pid"))) > 0; }));
    return program;
  }
  std::string Read(const std::string& name) {
    std::ifstream file(Directory() + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string catalogue_;
};

constexpr char kNever[] = "    restart: {policy: never}\n";
constexpr char kSleeps[] = "echo ready; exec sleep 1000";

TEST_F(ExecTest, AProgramSucceedsAndItsLinesAreInTheLogOfItsTask) {
  Script("greet", "echo hello; echo oops >&2; printf 'no end'");
  StartHostWithCommands();
  ASSERT_TRUE(Run("greet").ok());
  EXPECT_TRUE(WaitForState("p/greet", v1::TASK_STATE_SUCCEEDED)) << Task("p/greet").DebugString();
  EXPECT_EQ(LastExit("p/greet").cause(), v1::EXIT_CAUSE_COMPLETED);
  EXPECT_TRUE(Says("greet", "hello"));
  EXPECT_TRUE(Says("greet", "no end"));
  EXPECT_TRUE(Says("greet", "oops", v1::LOG_STREAM_STDERR));
}

TEST_F(ExecTest, ItsEntrySaysWhereAndWithWhatItRuns) {
  Script("show", "pwd; echo \"$GREETING, $NAME\"; echo \"$0 $1\"; cat; ls -l /proc/self/fd | grep -c '[0-9] -> '",
         absl::StrCat("    working_directory: ", Directory(), "\n    environment: {GREETING: hello}\n    client_environment: [NAME]\n",
                      "    client_args: true\n"));
  StartHostWithCommands();
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [puma]
tasks:
  show: {type: puma.Exec, params: {command: show, args: ["two words", "$HOME"], environment: {NAME: world}}}
)")
                  .ok());
  EXPECT_TRUE(WaitForState("p/show", v1::TASK_STATE_SUCCEEDED)) << Task("p/show").DebugString();
  EXPECT_TRUE(Says("show", Directory()));
  EXPECT_TRUE(Says("show", "hello, world"));
  EXPECT_TRUE(Says("show", "two words $HOME")) << "arguments are no shell text";
  EXPECT_TRUE(Says("show", "4")) << "0, 1, 2, and that of ls itself";
}

TEST_F(ExecTest, AnExitCodeIsAFailureUnlessItsEntrySaysOtherwise) {
  Script("fails", "exit 3");
  Script("counts", "exit 3", "    success_codes: [0, 3]\n");
  StartHostWithCommands();
  ASSERT_TRUE(Run("fails", kNever).ok());
  EXPECT_TRUE(WaitForState("p/fails", v1::TASK_STATE_FAILED));
  EXPECT_EQ(LastExit("p/fails").cause(), v1::EXIT_CAUSE_ERROR);
  EXPECT_TRUE(absl::StrContains(LastExit("p/fails").summary(), "command \"fails\" exited with code 3")) << LastExit("p/fails").summary();
  EXPECT_EQ(LastExit("p/fails").code(), 3);
  EXPECT_EQ(LastExit("p/fails").signal(), 0);
  ASSERT_TRUE(Run("counts", kNever).ok());
  EXPECT_TRUE(WaitForState("p/counts", v1::TASK_STATE_SUCCEEDED));
}

TEST_F(ExecTest, AStartThatFailsSaysWhy) {
  Script("lost", "true", "    working_directory: /nowhere\n");
  StartHostWithCommands();
  ASSERT_TRUE(Run("lost", kNever).ok());
  EXPECT_TRUE(WaitForState("p/lost", v1::TASK_STATE_FAILED));
  EXPECT_TRUE(absl::StrContains(LastExit("p/lost").summary(), "/bin/sh can't run in /nowhere: No such file"))
      << LastExit("p/lost").summary();
}

TEST_F(ExecTest, ASignalThatKillsItIsTold) {
  Script("crashes", "kill -SEGV $$");
  StartHostWithCommands();
  ASSERT_TRUE(Run("crashes", kNever).ok());
  EXPECT_TRUE(WaitForState("p/crashes", v1::TASK_STATE_FAILED));
  EXPECT_TRUE(absl::StrContains(LastExit("p/crashes").summary(), "was killed by SIGSEGV")) << LastExit("p/crashes").summary();
  EXPECT_EQ(LastExit("p/crashes").code(), 0);
  EXPECT_EQ(LastExit("p/crashes").signal(), SIGSEGV);
}

TEST_F(ExecTest, AFailedProgramIsStartedAgain) {
  Script("second", absl::StrCat("test -e ", Directory(), "/seen || { touch ", Directory(), "/seen; exit 1; }; echo now"));
  StartHostWithCommands();
  ASSERT_TRUE(Run("second", "    restart: {backoff: {initial: 10ms}}\n").ok());
  EXPECT_TRUE(WaitForState("p/second", v1::TASK_STATE_SUCCEEDED));
  EXPECT_EQ(Task("p/second").status().run(), 2);
  EXPECT_TRUE(Says("second", "now", v1::LOG_STREAM_STDOUT, 2));
}

TEST_F(ExecTest, AStopIsASignalThatItMayHandle) {
  Script("polite", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done");
  Script("plain", kSleeps);
  Script("other", "trap 'echo int; exit 130' INT; trap '' TERM; echo ready; while :; do sleep 1000 & wait $!; done",
         "    stop_signal: SIGINT\n");
  StartHostWithCommands();
  for (const char* command : {"polite", "plain", "other"}) {
    const std::string task = absl::StrCat("p/", command);
    ASSERT_TRUE(Run(command, "    stop: {grace: 100s}\n").ok());
    ASSERT_TRUE(Says(command, "ready"));
    const int program = ProgramOf(task);
    EXPECT_EQ(Ctl({"stop", task}).code, 0);
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_STOPPED)) << command;
    EXPECT_EQ(LastExit(task).cause(), v1::EXIT_CAUSE_STOPPED) << LastExit(task).DebugString();
    EXPECT_FALSE(Alive(program)) << command;
    EXPECT_TRUE(task == "p/plain" || Says(command, task == "p/polite" ? "bye" : "int"));
  }
}

TEST_F(ExecTest, WhoIgnoresItsStopIsKilledAfterItsGrace) {
  Script("deaf", "trap '' TERM; echo ready; while :; do sleep 1000; done");
  StartHostWithCommands();
  ASSERT_TRUE(Run("deaf", "    stop: {grace: 100ms, term_grace: 100ms}\n").ok());
  ASSERT_TRUE(Says("deaf", "ready"));
  const int program = ProgramOf("p/deaf");
  ASSERT_TRUE(Alive(program));
  EXPECT_EQ(Ctl({"stop", "p/deaf"}).code, 0);
  EXPECT_TRUE(WaitForState("p/deaf", v1::TASK_STATE_STOPPED));
  EXPECT_EQ(LastExit("p/deaf").cause(), v1::EXIT_CAUSE_KILLED) << LastExit("p/deaf").DebugString();
  EXPECT_FALSE(Alive(program)) << "a run is over when its tree is empty";
}

TEST_F(ExecTest, CommandsTellItsProcessAndSendItSignals) {
  Script("listens", "trap 'echo usr1' USR1; echo ready; while :; do sleep 1000 & wait $!; done");
  StartHostWithCommands();
  ASSERT_TRUE(Run("listens").ok());
  ASSERT_TRUE(Says("listens", "ready"));
  EXPECT_TRUE(Alive(ProgramOf("p/listens")));
  EXPECT_TRUE(Call("p/listens", "signal", {{"name", Of("USR1")}}).ok());
  EXPECT_TRUE(Says("listens", "usr1"));
  EXPECT_EQ(Call("p/listens", "signal", {{"name", Of("LOUD")}}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ExecTest, NothingOutlivesItsWorkerItsProgramOrItsRun) {
  Script("parent", absl::StrCat("sleep 1000 & echo $! > ", Directory(), "/child.$$; setsid sleep 1000 & echo $! > ", Directory(),
                                "/stray.$$; echo ready; wait"));
  StartHostWithCommands();
  ASSERT_TRUE(Run("parent", "    restart: {max_restarts: 100, backoff: {initial: 10ms, max: 10ms}}\n").ok());
  for (int64_t run = 1; run <= 6; ++run) {
    ASSERT_TRUE(Says("parent", "ready", v1::LOG_STREAM_STDOUT, run));
    const int worker = static_cast<int>(Task("p/parent").status().pid()), program = ProgramOf("p/parent");
    int child = 0, stray = 0;
    ASSERT_TRUE(absl::SimpleAtoi(Read(absl::StrCat("child.", program)), &child));
    ASSERT_TRUE(absl::SimpleAtoi(Read(absl::StrCat("stray.", program)), &stray));
    for (const int pid : {worker, program, child, stray}) ASSERT_TRUE(Alive(pid));
    ASSERT_TRUE(KillProcess(run % 2 == 0 ? program : worker));
    ASSERT_TRUE(Eventually([&] { return Task("p/parent").status().run() == run + 1; }));
    for (const int pid : {worker, program, child, stray}) EXPECT_FALSE(Alive(pid)) << "run " << run;
    EXPECT_TRUE(absl::StrContains(LastExit("p/parent").summary(), "killed by SIGKILL")) << LastExit("p/parent").summary();
  }
}

TEST_F(ExecTest, GoesOnWithoutItsHost) {
  Script("sleeps", kSleeps);
  StartHostWithCommands();
  ASSERT_TRUE(Run("sleeps").ok());
  ASSERT_TRUE(Says("sleeps", "ready"));
  const int program = ProgramOf("p/sleeps");
  KillHost();
  EXPECT_EQ(ProgramOf("p/sleeps"), program);
  EXPECT_EQ(Task("p/sleeps").status().run(), 1);
}

TEST_F(ExecTest, LinesFlowThroughProgramsAsThroughPipes) {
  Script("numbers", "seq 1 20000");
  Script("squares", "while read n; do echo $((n * n)); done");
  Script("keep", absl::StrCat("cat > ", Directory(), "/squares; echo kept"));
  Script("first", absl::StrCat("head -n 3 > ", Directory(), "/first"));
  StartHostWithCommands();
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [puma]
buffers: {plain: {capacity: 64KiB, capacity_items: 16}, squared: {capacity: 64KiB, capacity_items: 16}}
tasks:
  numbers: {type: puma.Exec, params: {command: numbers}, outputs: {stdout: plain}}
  squares: {type: puma.Exec, params: {command: squares}, inputs: {stdin: plain}, outputs: {stdout: squared}}
  keep: {type: puma.Exec, params: {command: keep}, inputs: {stdin: squared}}
  first: {type: puma.Exec, params: {command: first}, inputs: {stdin: plain}}
)")
                  .ok());
  for (const char* task : {"p/numbers", "p/squares", "p/keep", "p/first"})
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_SUCCEEDED)) << Task(task).DebugString();
  std::string squares;
  for (int64_t n = 1; n <= 20000; ++n) absl::StrAppend(&squares, n * n, "\n");
  EXPECT_EQ(Read("squares"), squares);
  EXPECT_EQ(Read("first"), "1\n2\n3\n") << "who has read enough ends, and holds up nobody";
  EXPECT_TRUE(Says("keep", "kept"));
  const std::vector<Line> log = Log("numbers");
  EXPECT_TRUE(std::none_of(log.begin(), log.end(), [](const Line& line) { return line.stream == v1::LOG_STREAM_STDOUT; }))
      << "what is published is not logged";
}

TEST_F(ExecTest, WhoDoesNotReadItsInputCanStillBeStopped) {
  Script("numbers", "seq 1 1000000");
  Script("idle", kSleeps);
  Script("closed", "exec 0<&-; echo ready; sleep 1000");
  StartHostWithCommands();
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [puma]
buffers: {lines: {capacity: 64KiB}}
tasks:
  numbers: {type: puma.Exec, params: {command: numbers}, outputs: {stdout: lines}}
  idle: {type: puma.Exec, params: {command: idle}, inputs: {stdin: lines}, stop: {grace: 100s}}
  closed: {type: puma.Exec, params: {command: closed}, inputs: {stdin: lines}, stop: {grace: 100s}}
)")
                  .ok());
  for (const char* command : {"idle", "closed"}) {
    const std::string task = absl::StrCat("p/", command);
    ASSERT_TRUE(Says(command, "ready"));
    EXPECT_TRUE(Alive(ProgramOf(task))) << "commands are served";
    EXPECT_EQ(Ctl({"stop", task}).code, 0);
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_STOPPED));
    EXPECT_EQ(LastExit(task).cause(), v1::EXIT_CAUSE_STOPPED) << LastExit(task).DebugString();
  }
  EXPECT_EQ(Ctl({"stop", "p/numbers"}).code, 0);
  EXPECT_TRUE(WaitForState("p/numbers", v1::TASK_STATE_STOPPED));
}

TEST_F(ExecTest, WhatTheCatalogueDoesNotAllowIsRefusedAtApply) {
  Script("backup", "true");
  StartHostWithCommands();
  const struct {
    const char *task, *message;
  } cases[] = {
      {"params: {command: bakcup}", "tasks.t.params.command: unknown command \"bakcup\"; did you mean \"backup\"?"},
      {"params: {command: /bin/sh}", "tasks.t.params.command: unknown command \"/bin/sh\"; there are: backup"},
      {"params: {command: backup, args: [x]}", "tasks.t.params.args: command \"backup\" takes no arguments from tasks"},
      {"params: {command: backup, environment: {LD_PRELOAD: x}}",
       "tasks.t.params.environment.LD_PRELOAD: command \"backup\" takes no variable"},
      {"params: {command: backup, \"@program\": /bin/sh}", "has no parameter \"@program\""},
      {"params: {command: backup}, placement: thread", "tasks.t.placement: a program needs a process of its own"},
      {"params: {}", "tasks.t.params.command: must be given"},
  };
  for (const auto& each : cases) {
    const absl::Status refused = Apply(absl::StrCat("pipeline: p\nmodules: [puma]\ntasks: {t: {type: puma.Exec, ", each.task, "}}\n"));
    EXPECT_TRUE(absl::StrContains(refused.message(), each.message)) << each.task << "\n" << refused;
  }
  EXPECT_EQ(client().ListTasks()->tasks_size(), 0);
}

TEST_F(ExecTest, WithoutACatalogueThereAreNoCommands) {
  StartHost();
  const absl::Status refused = Run("backup");
  EXPECT_TRUE(absl::StrContains(refused.message(), "started without --commands FILE")) << refused;
  EXPECT_TRUE(absl::StrContains(Ctl({"get", "types"}).out, "puma.Exec")) << "the type is always there";
}

TEST_F(ExecTest, ACommandThatIsGoneIsAFailureOfTheStart) {
  Script("sleeps", kSleeps);
  StartHostWithCommands();
  ASSERT_TRUE(Run("sleeps", kNever).ok());
  ASSERT_TRUE(Says("sleeps", "ready"));
  EXPECT_EQ(Ctl({"stop", "p/sleeps"}).code, 0);
  ASSERT_TRUE(WaitForState("p/sleeps", v1::TASK_STATE_STOPPED));
  Write("commands.yaml", "commands: {other: {program: /bin/true}}\n");
  EXPECT_EQ(Ctl({"start", "p/sleeps"}).code, 0);
  EXPECT_TRUE(WaitForState("p/sleeps", v1::TASK_STATE_FAILED));
  EXPECT_TRUE(absl::StrContains(LastExit("p/sleeps").summary(), "unknown command \"sleeps\"; there are: other"))
      << LastExit("p/sleeps").summary();
}

TEST_F(ExecTest, AHostDoesNotStartWithACatalogueThatOthersCanWriteOrThatIsWrong) {
  const std::string file = Write("commands.yaml", "commands:\n  a: {program: /bin/true}\n");
  GiveHost({"--commands", file});
  ASSERT_EQ(chmod(file.c_str(), 0666), 0);
  Ran ran = RunProgram(HostCommand());
  EXPECT_EQ(ran.code, 78);
  EXPECT_TRUE(absl::StrContains(ran.err, "chmod o-w " + file)) << ran.err;
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  Write("commands.yaml", "commands:\n  a: {progam: /bin/true}\n");
  ran = RunProgram(HostCommand());
  EXPECT_EQ(ran.code, 78);
  EXPECT_TRUE(absl::StrContains(ran.err, file + ":2:7: unknown key \"progam\"")) << ran.err;
}

}  // namespace
}  // namespace puma::system_test
