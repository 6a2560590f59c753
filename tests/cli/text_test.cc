// Words, tables and names, without a host.
#include "client/cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/logs.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/wait.h"

namespace puma::client {
namespace {

TEST(TextTest, WhatATerminalWouldObeyIsShownInstead) {
  EXPECT_EQ(Escape("plain Grüße – ✓"), "plain Grüße – ✓");
  EXPECT_EQ(Escape("a\x1b[31m\r\n\tb\x7f"), "a\\x1b[31m\\r\\n\\tb\\x7f");
  EXPECT_EQ(Escape("\xe2\x80\xae"
                   "abc"),
            "\\u202eabc")
      << "right to left";
  EXPECT_EQ(Escape("\xc2\x9b"), "\\u009b") << "a control sequence in one code point";
  EXPECT_EQ(Escape("\xff\xc0\xaf\xed\xa0\x80\xe2\x82"), "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xe2\\x82") << "not UTF-8";
  EXPECT_EQ(Escape(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(EscapeLines("a\nb\x1b\n", "  "), "a\n  b\\x1b");
}

TEST(TextTest, TimesAndSizesAreShort) {
  EXPECT_EQ(For(absl::Milliseconds(200)), "0.2 s");
  EXPECT_EQ(For(absl::Seconds(12)), "12 s");
  EXPECT_EQ(For(absl::Minutes(5)), "5 min");
  EXPECT_EQ(For(absl::Hours(3)), "3 h");
  EXPECT_EQ(For(absl::Hours(49)), "2 d");
  EXPECT_EQ(Bytes(64 << 20), "64MiB");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
  EXPECT_EQ(Bytes(0), "0B");
}

TEST(TableTest, ColumnsAreAsWideAsNeededAndCellsHarmless) {
  Table table({"NAME", ">N"});
  table.Add({"ü", "1"});
  table.Add({"b\n", "22"});
  EXPECT_EQ(table.Print(false), "NAME   N\nü      1\nb\\n   22\n");
}

TEST(NamesTest, ShortAndFullFormsAreTaken) {
  EXPECT_EQ(TaskName("edges/detector.0").value_or("?"), "pipelines/edges/tasks/detector.0");
  EXPECT_EQ(TaskName("pipelines/edges/tasks/a").value_or("?"), "pipelines/edges/tasks/a");
  EXPECT_EQ(PipelineName("edges").value_or("?"), "pipelines/edges");
  EXPECT_EQ(PipelineName("pipelines/edges").value_or("?"), "pipelines/edges");
  EXPECT_EQ(BufferName("edges/frames").value_or("?"), "pipelines/edges/buffers/frames");
  EXPECT_EQ(TaskOrPipelineName("edges").value_or("?"), "pipelines/edges");
  EXPECT_EQ(ShortName("pipelines/edges/tasks/a"), "edges/a");
  EXPECT_EQ(ShortName("types/a.B"), "a.B");
  for (const char* wrong : {"", "edges", "edges/", "/a", "a/b/c", "pipelines/a/buffers/b"}) EXPECT_FALSE(TaskName(wrong).ok()) << wrong;
  for (const char* wrong : {"", "/", "a/b"}) EXPECT_FALSE(PipelineName(wrong).ok()) << wrong;
}

TEST(LogsTest, RequestsComeFromArguments) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const auto request = LogRequest({.name = "edges", .task = "loader", .level = "warn", .since = "5s", .follow = true}, now);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->parent(), "pipelines/edges/tasks/loader");
  EXPECT_EQ(request->min_level(), v1::LOG_LEVEL_WARN);
  EXPECT_EQ(request->since().seconds(), 995);
  EXPECT_EQ(request->history(), -1);
  EXPECT_EQ(LogRequest({.follow = true}, now)->history(), 10);
  EXPECT_EQ(LogRequest({}, now)->history(), -1);
  EXPECT_FALSE(LogRequest({.level = "loud"}, now).ok());
}

v1::TaskEvent EventOf(const std::string& name, v1::TaskState state, int64_t generation = 1) {
  v1::TaskEvent event;
  event.mutable_task()->set_name("pipelines/p/tasks/" + name);
  event.mutable_task()->set_generation(generation);
  event.mutable_task()->mutable_status()->set_state(state);
  return event;
}

v1::TaskEvent SnapshotComplete() {
  v1::TaskEvent event;
  event.set_snapshot_complete(true);
  return event;
}

TEST(AwaitedTest, IsReachedWhenAllTasksAreThere) {
  Awaited awaited("pipelines/p", "running");
  awaited.Observe(EventOf("a", v1::TASK_STATE_RUNNING));
  EXPECT_FALSE(awaited.Reached().value_or(true)) << "the snapshot is not whole";
  awaited.Observe(EventOf("b", v1::TASK_STATE_STARTING));
  awaited.Observe(SnapshotComplete());
  EXPECT_FALSE(awaited.Reached().value_or(true));
  EXPECT_EQ(awaited.Progress(), "1 of 2 running; task p/b is STARTING");
  awaited.Observe(EventOf("b", v1::TASK_STATE_SUCCEEDED));
  EXPECT_TRUE(awaited.Reached().value_or(false)) << "it has run";
}

TEST(AwaitedTest, WhatCanNotBeReachedIsAnError) {
  Awaited awaited("pipelines/p", "running");
  v1::TaskEvent failed = EventOf("a", v1::TASK_STATE_FAILED);
  failed.mutable_task()->mutable_status()->mutable_last_exit()->set_summary("killed by SIGKILL");
  awaited.Observe(failed);
  awaited.Observe(SnapshotComplete());
  EXPECT_EQ(std::string(awaited.Reached().status().message()), "task p/a is FAILED: killed by SIGKILL");
  Awaited nobody("pipelines/q", "running");
  nobody.Observe(SnapshotComplete());
  EXPECT_TRUE(absl::IsNotFound(nobody.Reached().status()));
}

TEST(AwaitedTest, StatesBeforeAnApplyDoNotCount) {
  Awaited awaited("pipelines/p", "running", {{"pipelines/p/tasks/a", 2}});
  awaited.Observe(EventOf("a", v1::TASK_STATE_FAILED, 1));
  awaited.Observe(SnapshotComplete());
  EXPECT_FALSE(awaited.Reached().value_or(true));
  awaited.Observe(EventOf("a", v1::TASK_STATE_RUNNING, 2));
  EXPECT_TRUE(awaited.Reached().value_or(false));
}

}  // namespace
}  // namespace puma::client
