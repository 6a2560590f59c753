// The real puma-ctl against the real API server before a fake engine: what it prints, where, and its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/ctl_fixture.h"

namespace puma::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A task with all that a table shows.
v1::Task Full(const std::string& name, int run) {
  v1::Task task;
  task.set_name("pipelines/edges/tasks/" + name);
  task.mutable_spec()->set_type("edges.EdgeDetector");
  v1::TaskStatus& status = *task.mutable_status();
  status.set_state(v1::TASK_STATE_RUNNING);
  status.set_run(run);
  status.set_restarts(run - 1);
  status.set_pid(4711);
  v1::PortStatus& in = *status.add_ports();
  in.set_port("frames");
  in.set_rate(30.6);
  v1::PortStatus& out = *status.add_ports();
  out.set_output(true);
  out.set_rate(30.55);
  return task;
}

TEST_F(CtlTest, ApplySaysWhatBecame) {
  const Ran ran = Ctl({"apply", "-f", Write(kSpec)});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "pipeline edges: 4 tasks, 2 buffers                       4 created\n");
  EXPECT_EQ(ran.err, "");
  const Ran waited = Ctl({"apply", "-f", Write(kSpec), "--wait"});
  EXPECT_EQ(waited.code, 0) << waited.err;
  EXPECT_THAT(waited.out, StartsWith("pipeline edges: 4 tasks, 2 buffers                       running in "));
  EXPECT_EQ(Ctl({"apply", "-f", Write(kSpec), "--wait=5m"}).code, 0);
  EXPECT_EQ(Ctl({"apply", "-f", Write(kSpec), "-o", "name"}).out, "pipelines/edges\n");
}

TEST_F(CtlTest, ValidateOnlyShowsThePlanAndChangesNothing) {
  const Ran ran = Ctl({"apply", "-f", Write(kSpec), "--validate-only"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out,
            "CHANGE  NAME              WHY\n"
            "create  edges/detector.0  –\n"
            "create  edges/detector.1  –\n"
            "create  edges/loader      –\n"
            "create  edges/sink        –\n");
  EXPECT_EQ(Ctl({"get", "tasks"}).err, "no tasks\n");
}

TEST_F(CtlTest, MistakesInASpecFileAreExitCodeTwo) {
  const std::string path = Write("pipeline: p\ntasks:\n  loader:\n    type: a.B\n    placment: thread\n");
  const Ran typo = Ctl({"apply", "-f", path});
  EXPECT_EQ(typo.code, 2);
  EXPECT_EQ(typo.err, path + ":5:5: unknown field \"placment\" in task \"loader\"; did you mean \"placement\"?\n");
  const Ran host = Ctl({"apply", "-f", Write("pipeline: p\nmodules: [missing]\ntasks:\n  t: {type: a.Unknown, inputs: {in: b}}\n")});
  EXPECT_EQ(host.code, 2);
  EXPECT_EQ(host.err, path + ":2:11: modules[0]: there is no module \"missing\"\n" + path +
                          ":4:7: tasks.t.type: there is no type a.Unknown\n" + path +
                          ":4:33: tasks.t.inputs.in: there is no buffer \"b\"\n");
  EXPECT_EQ(host.out, "");
  EXPECT_EQ(Ctl({"apply", "-f", "/nonexistent.yaml"}).code, 2);
}

TEST_F(CtlTest, WrongUsageIsExitCodeTwo) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{},
                                                                                     {"frobnicate"},
                                                                                     {"apply"},
                                                                                     {"get"},
                                                                                     {"get", "cats"},
                                                                                     {"get", "tasks", "-o", "xml"},
                                                                                     {"get", "task", "a/b/c"},
                                                                                     {"start"},
                                                                                     {"call", "edges/loader"},
                                                                                     {"call", "edges/loader", "echo", "novalue"},
                                                                                     {"call", "edges/loader", "echo", "a=1", "a=2"},
                                                                                     {"delete", "buffer", "edges/frames"},
                                                                                     {"delete", "pipeline", "edges/loader"},
                                                                                     {"logs", "--level", "loud"},
                                                                                     {"logs", "--since", "yesterday"},
                                                                                     {"wait", "edges"},
                                                                                     {"apply", "-f", "x", "--wait=soon"}}) {
    const Ran ran = Ctl(words);
    EXPECT_EQ(ran.code, 2) << ::testing::PrintToString(words);
    EXPECT_EQ(ran.out, "") << ::testing::PrintToString(words);
    EXPECT_NE(ran.err, "") << ::testing::PrintToString(words);
  }
  EXPECT_EQ(Ctl({"--help"}).code, 0);
}

TEST_F(CtlTest, WhatDoesNotExistIsExitCodeOne) {
  Apply();
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"get", "task", "edges/nobody"},
                                                                                     {"get", "tasks", "nobody"},
                                                                                     {"get", "pipeline", "nobody"},
                                                                                     {"get", "buffer", "edges/nobody"},
                                                                                     {"get", "type", "edges.Nobody"},
                                                                                     {"describe", "task", "edges/nobody"},
                                                                                     {"start", "edges/nobody"},
                                                                                     {"stop", "nobody"},
                                                                                     {"delete", "nobody"},
                                                                                     {"call", "edges/loader", "nothing"},
                                                                                     {"graph", "nobody"},
                                                                                     {"wait", "nobody", "--for", "running"}}) {
    const Ran ran = Ctl(words);
    EXPECT_EQ(ran.code, 1) << ::testing::PrintToString(words) << ran.err;
    EXPECT_EQ(ran.out, "") << ::testing::PrintToString(words);
    EXPECT_THAT(ran.err, StartsWith("error: "));
  }
}

TEST_F(CtlTest, NoHostIsExitCodeOneAndSaysWhatToDo) {
  const Ran ran = Running({"get", "tasks", "--host", "unix:/nonexistent/puma.sock"}).End();
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err, "error: no host at unix:/nonexistent/puma.sock; start one with: puma-host\n");
}

TEST_F(CtlTest, TasksAreATable) {
  host_.engine().Put(Full("detector.0", 2));
  v1::Task loader = Full("loader", 1);
  loader.mutable_status()->mutable_ports()->DeleteSubrange(0, 1);
  host_.engine().Put(loader);
  v1::Task sink = Full("sink", 1);
  sink.mutable_spec()->set_placement(v1::PLACEMENT_THREAD);
  sink.mutable_status()->clear_ports();
  sink.mutable_status()->set_state(v1::TASK_STATE_FAILED);
  sink.mutable_status()->mutable_last_exit()->set_summary("killed by SIGKILL");
  host_.engine().Put(sink);
  EXPECT_EQ(Ctl({"get", "tasks"}).out,
            "TASK              STATE    RUN  RESTARTS  PLACEMENT   IN/s  OUT/s  LAST EXIT\n"
            "edges/detector.0  RUNNING  2    1         pid 4711    30.6   30.6  –\n"
            "edges/loader      RUNNING  1    0         pid 4711       –   30.6  –\n"
            "edges/sink        FAILED   1    0         group 4711     –      –  killed by SIGKILL\n");
  EXPECT_EQ(Ctl({"get", "tasks", "-o", "name"}).out,
            "pipelines/edges/tasks/detector.0\npipelines/edges/tasks/loader\npipelines/edges/tasks/sink\n");
  EXPECT_THAT(Ctl({"get", "task", "edges/sink", "-o", "json"}).out, HasSubstr("\"name\": \"pipelines/edges/tasks/sink\""));
  EXPECT_THAT(Ctl({"get", "tasks", "-o", "wide"}).out, HasSubstr("edges.EdgeDetector"));
  EXPECT_THAT(Ctl({"top"}).out, HasSubstr("edges/detector.0  RUNNING"));
}

TEST_F(CtlTest, PipelinesBuffersAndTypesAreTables) {
  Apply();
  EXPECT_EQ(Ctl({"get", "pipelines"}).out,
            "PIPELINE  READY  FAILED  BUFFERS  GENERATION  CREATED\n"
            "edges     4/4    0       2        1           –\n");
  EXPECT_EQ(Ctl({"get", "buffers"}).out,
            "BUFFER        CAPACITY  ITEMS  ON FULL      PUBLISHED  RATE/s  WAITING  HIGHEST  DROPPED  BLOCKED\n"
            "edges/edges          –      –  drop_oldest          0     0.0        0        0        –        –\n"
            "edges/frames     64MiB      –  block                0     0.0        0        0        –        –\n");
  EXPECT_THAT(Ctl({"advise"}).out, HasSubstr("edges/frames  –           too little has been seen"));
  EXPECT_THAT(Ctl({"advise", "edges", "-o", "json"}).out, HasSubstr("\"unknown\""));
  const Ran types = Ctl({"get", "types"});
  EXPECT_EQ(types.out,
            "TYPE                INPUTS  OUTPUTS  COMMANDS\n"
            "edges.EdgeDetector  frames  edges    set_threshold\n");
  EXPECT_EQ(types.err, "module broken can't be used: it crashes when it is loaded\n");
  EXPECT_EQ(Ctl({"get", "buffer", "edges/frames", "-o", "name"}).out, "pipelines/edges/buffers/frames\n");
  EXPECT_EQ(Ctl({"get", "dead-letters", "edges", "-o", "name"}).out, "pipelines/edges/deadLetters/1\n");
  EXPECT_THAT(Ctl({"get", "dead-letters"}).out, HasSubstr("killed by SIGSEGV"));
  EXPECT_THAT(Ctl({"describe", "type", "edges.EdgeDetector"}).out, HasSubstr("set_threshold(threshold: double)"));
  EXPECT_THAT(Ctl({"describe", "pipeline", "edges"}).out, HasSubstr("edges/sink"));
  EXPECT_THAT(Ctl({"describe", "host"}).out, HasSubstr("Isolation:"));
  EXPECT_THAT(Ctl({"describe", "buffer", "edges/frames"}).out, HasSubstr("64MiB in each lane"));
}

TEST_F(CtlTest, DescribeShowsTheWholeLastExit) {
  v1::Task task = Full("loader", 2);
  v1::RunExit& exit = *task.mutable_status()->mutable_last_exit();
  exit.set_cause(v1::EXIT_CAUSE_ERROR);
  exit.set_summary("threw std::runtime_error: no disk");
  exit.mutable_error()->set_code("INTERNAL");
  exit.mutable_error()->set_message("no disk\nin any drive");
  exit.mutable_error()->add_types("std::runtime_error");
  exit.mutable_error()->add_stack()->set_function("Load()");
  host_.engine().Put(task);
  const std::string out = Ctl({"describe", "task", "edges/loader"}).out;
  EXPECT_THAT(out, HasSubstr("\n  Cause:          ERROR\n"));
  EXPECT_THAT(out, HasSubstr("Message:      no disk\n                  in any drive\n"));
  EXPECT_THAT(out, HasSubstr("#0  Load()"));
}

TEST_F(CtlTest, CommandsGetTypedArgumentsAndPrintResults) {
  Apply();
  const Ran ran = Ctl({"call", "edges/detector.0", "echo", "threshold=0.4"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "{\"threshold\":0.4}\n");
  EXPECT_EQ(Ctl({"call", "edges/loader", "echo", "a=text"}).out, "{\"a\":\"text\"}\n");
  EXPECT_EQ(Ctl({"call", "edges/loader", "echo", "a=\"1\""}).out, "{\"a\":\"1\"}\n");
  EXPECT_EQ(Ctl({"call", "edges/loader", "echo", "a=[1,true]"}).out, "{\"a\":[1,true]}\n");
  EXPECT_EQ(Ctl({"call", "edges/loader", "echo", "a=b=c"}).out, "{\"a\":\"b=c\"}\n");
  const Ran failed = Ctl({"call", "edges/loader", "fail"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_EQ(failed.err, "error: not \\x1b[31mnow\n") << "control characters are harmless";
  EXPECT_EQ(Ctl({"call", "edges/loader", "wait", "--timeout", "50ms"}).code, 1);
}

TEST_F(CtlTest, TasksAndWholePipelinesAreStartedAndStopped) {
  Apply();
  EXPECT_EQ(Ctl({"stop", "edges/sink"}).code, 0);
  EXPECT_EQ(Ctl({"wait", "edges/sink", "--for", "stopped"}).code, 0);
  EXPECT_EQ(Ctl({"stop", "edges"}).code, 0);
  EXPECT_EQ(Ctl({"wait", "edges", "--for", "stopped"}).code, 0);
  EXPECT_EQ(Ctl({"start", "edges"}).code, 0);
  EXPECT_EQ(Ctl({"wait", "edges", "--for", "running"}).code, 0);
  const Ran never = Ctl({"wait", "edges", "--for", "succeeded", "--timeout", "50ms"});
  EXPECT_EQ(never.code, 1);
  EXPECT_THAT(never.err, HasSubstr("0 of 4 succeeded"));
}

TEST_F(CtlTest, YamlSaysWhatJsonSays) {
  Apply();
  const std::string yaml = Ctl({"get", "pipelines", "-o", "yaml"}).out;
  EXPECT_THAT(yaml, HasSubstr("pipelines:\n  - "));
  EXPECT_THAT(yaml, HasSubstr("name: pipelines/edges\n"));
  EXPECT_THAT(yaml, HasSubstr("loader:\n"));
  host_.Log("edges", "loader", "yes");
  host_.Log("edges", "loader", "a: \"b\"");
  const std::string logs = Ctl({"logs", "-o", "yaml"}).out;
  EXPECT_EQ(Ctl({"expand", "-f", Write(kSpec), "-o", "yaml"}).out, Ctl({"expand", "-f", Write(kSpec)}).out) << "as spec files are written";
  EXPECT_THAT(logs, StartsWith("---\n"));
  EXPECT_THAT(logs, HasSubstr("message: \"yes\"\n"));
  EXPECT_THAT(logs, HasSubstr("message: \"a: \\\"b\\\"\"\n"));
}

TEST_F(CtlTest, PipelinesAreDeletedWithOrWithoutTheWord) {
  Apply();
  EXPECT_EQ(Ctl({"delete", "pipeline", "edges"}).code, 0);
  EXPECT_EQ(Ctl({"wait", "edges", "--for", "deleted"}).code, 0);
  Apply();
  EXPECT_EQ(Ctl({"delete", "edges"}).code, 0);
  EXPECT_EQ(Ctl({"get", "pipeline", "edges"}).code, 1);
}

TEST_F(CtlTest, LogsAreFilteredAndHarmless) {
  host_.Log("edges", "loader", "first");
  host_.Log("edges", "sink", "bad \x1b[2J\nsecond line", 17);
  host_.Log("other", "sink", "third");
  const std::string all = Ctl({"logs"}).out;
  EXPECT_THAT(all, HasSubstr(" INFO  edges/loader[1] first\n"));
  EXPECT_THAT(all, HasSubstr(" ERROR edges/sink[1] bad \\x1b[2J\n    | second line\n"));
  EXPECT_THAT(all, HasSubstr(" other/sink[1] third\n"));
  EXPECT_THAT(Ctl({"logs", "edges", "--level", "warn"}).out, ::testing::Not(HasSubstr("first")));
  EXPECT_THAT(Ctl({"logs", "edges", "--task", "loader"}).out, HasSubstr("first\n"));
  EXPECT_EQ(Ctl({"logs", "edges/loader", "--grep", "nothing"}).out, "");
  EXPECT_THAT(Ctl({"logs", "--history", "1"}).out, ::testing::Not(HasSubstr("first")));
  EXPECT_THAT(Ctl({"logs", "--since", "1h"}).out, HasSubstr("first"));
  const std::string json = Ctl({"logs", "edges/loader", "-o", "json"}).out;
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1) << json;
  EXPECT_THAT(json, HasSubstr("\"message\":\"first\""));
}

TEST_F(CtlTest, FollowedLogsGoOnUntilInterrupted) {
  host_.Log("edges", "loader", "before");
  Running tail({"--host", host_.target(), "logs", "-f", "edges"});
  EXPECT_TRUE(tail.ReadUntil("before\n"));
  host_.Log("edges", "loader", "after");
  EXPECT_TRUE(tail.ReadUntil("after\n"));
  tail.Interrupt();
  tail.End();
}

TEST_F(CtlTest, TasksAndWholePipelinesAreRestarted) {
  Apply();
  EXPECT_THAT(Ctl({"restart", "edges/loader"}).err, HasSubstr("edges/loader: "));
  EXPECT_THAT(Ctl({"restart", "edges"}).err, HasSubstr("edges/sink: "));
  EXPECT_EQ(Ctl({"restart", "edges/nobody"}).code, 1);
}

TEST_F(CtlTest, LevelsAreSetAndGivenBack) {
  Apply();
  EXPECT_EQ(Ctl({"log-level", "edges/loader", "debug"}).err, "edges/loader: debug\n");
  EXPECT_THAT(Ctl({"log-level", "edges", "spec"}).err, HasSubstr("edges/sink: the level of its spec\n"));
  EXPECT_THAT(Ctl({"log-level", "edges", "warn", "-o", "json"}).out, HasSubstr("pipelines/edges/tasks/sink"));
  const Ran wrong = Ctl({"log-level", "edges", "loud"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("\"loud\" is none of trace, debug"));
  EXPECT_EQ(Ctl({"log-level", "nothing", "debug"}).code, 1);
}

v1::Event EventOf(const std::string& name, const std::string& message) {
  v1::Event event;
  event.set_name(name);
  event.set_kind(v1::EVENT_KIND_AUDIT);
  event.set_denied(true);
  event.set_severity(13);
  event.set_message(message);
  return event;
}

TEST_F(CtlTest, EventsAreLinesAndHarmless) {
  host_.events().Add(EventOf("pipelines/edges/tasks/loader", "first"));
  host_.events().Add(EventOf("pipelines/other", "second \x1b[2J"));
  const std::string all = Ctl({"events"}).out;
  EXPECT_THAT(all, HasSubstr(" REFUSED    edges/loader first\n"));
  EXPECT_THAT(all, HasSubstr(" REFUSED    other second \\x1b[2J\n"));
  EXPECT_THAT(Ctl({"events", "edges"}).out, ::testing::Not(HasSubstr("second")));
  EXPECT_THAT(Ctl({"events", "--history", "1"}).out, ::testing::Not(HasSubstr("first")));
  const std::string json = Ctl({"events", "edges", "-o", "json"}).out;
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1) << json;
  EXPECT_THAT(json, HasSubstr("\"message\":\"first\""));
}

TEST_F(CtlTest, FollowedEventsGoOnUntilInterrupted) {
  for (int i = 0; i < 1200; ++i) host_.events().Add(EventOf("host", absl::StrCat("number ", i, "!")));  // more than a page
  EXPECT_THAT(Ctl({"events"}).out, AllOf(HasSubstr("number 0!"), HasSubstr("number 1199!")));
  Running follow({"--host", host_.target(), "events", "-f"});
  ASSERT_TRUE(follow.ReadUntil("number 1199!"));
  host_.events().Add(EventOf("host", "and on"));
  ASSERT_TRUE(follow.ReadUntil("and on"));
  follow.Interrupt();
  EXPECT_THAT(follow.End().out, ::testing::Not(HasSubstr("number 0!")));
}

TEST_F(CtlTest, GraphsAreTheSameEachTime) {
  Apply();
  const std::string dot = Ctl({"graph", "edges"}).out;
  EXPECT_THAT(dot, StartsWith("digraph \"edges\" {\n  rankdir=LR;\n  \"buffer/edges\" [shape=cylinder, label=\"edges\"];\n"));
  EXPECT_THAT(dot, HasSubstr("  \"buffer/frames\" -> \"task/detector\" [label=\"frames\"];\n"));
  EXPECT_THAT(dot, HasSubstr("\"detector ×2\\nedges.EdgeDetector\""));
  const std::string mermaid = Ctl({"graph", "edges", "-o", "mermaid"}).out;
  EXPECT_THAT(mermaid, StartsWith("flowchart LR\n"));
  EXPECT_THAT(mermaid, HasSubstr("  task_loader -- \"frames\" --> buffer_frames\n"));
}

TEST_F(CtlTest, VersionTellsBoth) {
  const Ran ran = Ctl({"version"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, StartsWith("puma-ctl "));
  EXPECT_THAT(ran.out, HasSubstr("puma-host 0.0.fake at " + host_.target()));
}

}  // namespace
}  // namespace puma::client
