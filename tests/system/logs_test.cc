#include <signal.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class LogsTest : public HostTest {
 protected:
  void SetUp() override {
    StartHost();
    ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, restart: {backoff: {initial: 10ms}}}\n  t: {type: "
                      "flow.Servant, placement: thread}\n")
                    .ok());
    ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
    ASSERT_TRUE(WaitForState("p/t", v1::TASK_STATE_RUNNING));
  }
  struct Line {
    v1::LogSource source;
    v1::LogRecord record;
  };
  // All that the host remembers of a task.
  std::vector<Line> History(const std::string& parent) {
    std::vector<Line> lines;
    v1::TailLogsRequest request;
    request.set_parent(parent);
    request.set_history(-1);
    auto stream = client().TailLogs(request);
    for (;;) {
      auto batch = stream->Next();
      if (!batch.ok() || !batch->has_value()) return lines;
      for (const v1::LogRecord& record : (*batch)->records())
        lines.push_back({(*batch)->sources(static_cast<int>(record.source())), record});
    }
  }
  bool WaitForLine(const std::string& text, Line* found = nullptr, const std::string& parent = "pipelines/p") {
    return Eventually([&] {
      for (const Line& line : History(parent)) {
        if (!absl::StrContains(line.record.message(), text)) continue;
        if (found != nullptr) *found = line;
        return true;
      }
      return false;
    });
  }
};

TEST_F(LogsTest, RecordsSayWhereTheyComeFromAndKeepTheirOrder) {
  for (const char* task : {"s", "t"}) {
    ASSERT_TRUE(Call(absl::StrCat("p/", task), "say", {{"text", Of("hello")}, {"times", Of(500)}}).ok());
    const std::string parent = absl::StrCat("pipelines/p/tasks/", task);
    Line line;
    ASSERT_TRUE(WaitForLine("hello 499", &line, parent));
    EXPECT_EQ(line.source.pipeline(), "p");
    EXPECT_EQ(line.source.task(), task);
    EXPECT_EQ(line.source.run(), 1);
    EXPECT_EQ(line.source.pid(), Task(absl::StrCat("p/", task)).status().pid());
    EXPECT_TRUE(absl::EndsWith(line.source.file(), "flow.cc")) << line.source.DebugString();
    EXPECT_GT(line.source.line(), 0);
    EXPECT_EQ(line.source.function(), "Say");
    EXPECT_EQ(line.record.severity(), 9);
    EXPECT_GT(line.record.tid(), 0);
    int next = 0;
    for (const Line& each : History(parent)) {
      if (!absl::StartsWith(each.record.message(), "hello")) continue;
      EXPECT_EQ(each.record.message(), absl::StrCat("hello ", next++));
    }
    EXPECT_EQ(next, 500);
  }
}

TEST_F(LogsTest, StandardOutputAndErrorAreCaptured) {
  ASSERT_TRUE(Call("p/s", "print", {{"text", Of("plain words")}}).ok());
  Line out, err;
  ASSERT_TRUE(WaitForLine("plain words to stdout", &out));
  ASSERT_TRUE(WaitForLine("plain words to stderr", &err));
  EXPECT_EQ(out.record.stream(), v1::LOG_STREAM_STDOUT);
  EXPECT_EQ(err.record.stream(), v1::LOG_STREAM_STDERR);
  EXPECT_EQ(out.source.task(), "s");
}

TEST_F(LogsTest, TheLastWordsBeforeSigkillAreDelivered) {
  for (int round = 1; round <= 5; ++round) {
    ASSERT_TRUE(Call("p/s", "say", {{"text", Of(absl::StrCat("last words ", round))}, {"times", Of(1)}}).ok());
    ASSERT_TRUE(Call("p/s", "print", {{"text", Of(absl::StrCat("last print ", round))}}).ok());
    KillProcess(Task("p/s").status().pid());
    EXPECT_TRUE(WaitForLine(absl::StrCat("last words ", round, " 0")));
    EXPECT_TRUE(WaitForLine(absl::StrCat("last print ", round, " to stdout")));
    EXPECT_TRUE(WaitForLine(absl::StrCat("last print ", round, " to stderr")));
    ASSERT_TRUE(
        Eventually([&] { return Task("p/s").status().run() == round + 1 && Task("p/s").status().state() == v1::TASK_STATE_RUNNING; }));
    if (round == 4) break;  // five restarts within 30 s would be too many
  }
}

TEST_F(LogsTest, FollowersGetWhatComesAndFiltersApply) {
  v1::TailLogsRequest request;
  request.set_parent("pipelines/p/tasks/s");
  request.set_contains("needle");
  request.set_history(-1);  // the stream may begin after the first record
  request.set_follow(true);
  auto stream = client().TailLogs(request);
  std::vector<std::string> got;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Call("p/s", "say", {{"text", Of(absl::StrCat("hay ", i))}, {"times", Of(1)}}).ok());
    ASSERT_TRUE(Call("p/s", "say", {{"text", Of(absl::StrCat("needle ", i))}, {"times", Of(1)}}).ok());
    ASSERT_TRUE(Call("p/t", "say", {{"text", Of("needle elsewhere")}, {"times", Of(1)}}).ok());
  }
  ASSERT_TRUE(Call("p/s", "say", {{"text", Of("needle end")}, {"times", Of(1)}}).ok());
  while (got.empty() || got.back() != "needle end 0") {
    auto batch = stream->Next();
    ASSERT_TRUE(batch.ok() && batch->has_value()) << batch.status();
    for (const v1::LogRecord& record : (*batch)->records()) got.push_back(record.message());
  }
  for (const std::string& text : got) EXPECT_TRUE(absl::StrContains(text, "needle")) << text;
  EXPECT_FALSE(std::find(got.begin(), got.end(), "needle elsewhere 0") != got.end());
}

TEST_F(LogsTest, ALevelReachesARunAtOnceAndTheNextRunsToo) {
  v1::SetLogLevelRequest request;
  for (const char* task : {"s", "t"}) {
    const std::string name = absl::StrCat("pipelines/p/tasks/", task), local = absl::StrCat("p/", task);
    request.set_name(name);
    request.set_level(v1::LOG_LEVEL_WARN);
    const absl::StatusOr<v1::SetLogLevelResponse> set = client().SetLogLevel(request);
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ(set->tasks(0), name);
    EXPECT_EQ(Task(local).status().log_level(), v1::LOG_LEVEL_WARN);
    ASSERT_TRUE(Call(local, "say", {{"text", Of("quiet")}, {"times", Of(1)}}).ok());
    if (std::string(task) == "s") {
      (void)Call(local, "leave", {{"code", Of(3)}});
      ASSERT_TRUE(Eventually([&] { return Task(local).status().run() == 2 && Task(local).status().state() == v1::TASK_STATE_RUNNING; }));
      ASSERT_TRUE(Call(local, "say", {{"text", Of("quiet too")}, {"times", Of(1)}}).ok());
      KillHost();
      ASSERT_TRUE(Eventually([&] { return Task(local).status().log_level() == v1::LOG_LEVEL_WARN; })) << "the next host knows it";
    }
    request.clear_level();  // as the spec says
    ASSERT_TRUE(client().SetLogLevel(request).ok());
    EXPECT_EQ(Task(local).status().log_level(), v1::LOG_LEVEL_INFO);
    ASSERT_TRUE(Call(local, "say", {{"text", Of("loud")}, {"times", Of(1)}}).ok());
    ASSERT_TRUE(WaitForLine("loud 0", nullptr, name));
    for (const Line& line : History(name)) EXPECT_FALSE(absl::StrContains(line.record.message(), "quiet")) << line.record.message();
  }
  request.set_name("pipelines/p");
  request.set_level(v1::LOG_LEVEL_ERROR);
  EXPECT_EQ(client().SetLogLevel(request)->tasks_size(), 2);
  request.set_name("pipelines/p/tasks/x");
  EXPECT_EQ(client().SetLogLevel(request).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LogsTest, AQueryFindsWhatATailShows) {
  ASSERT_TRUE(Call("p/s", "say", {{"text", Of("found")}, {"times", Of(25)}}).ok());
  ASSERT_TRUE(WaitForLine("found 24"));
  v1::QueryLogsRequest request;
  request.set_parent("pipelines/p");
  request.set_contains("found");
  request.set_page_size(10);
  std::vector<std::string> messages;
  do {
    const absl::StatusOr<v1::QueryLogsResponse> page = client().QueryLogs(request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::LogRecord& record : page->records()) messages.push_back(record.message());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(messages.size(), 25u);
  for (int i = 0; i < 25; ++i) EXPECT_EQ(messages[i], absl::StrCat("found ", i));
}

}  // namespace
}  // namespace puma::system_test
