// The host is killed; nothing else may notice.
#include <signal.h>

#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class AdoptionTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
};

constexpr char kStream[] = R"(
pipeline: stream
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 16}
  done: {capacity: 64KiB, capacity_items: 16}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 0, pause: 200us}}
  relay: {type: flow.Relay, replicas: 2, inputs: {in: raw}, outputs: {out: done}}
  collector: {type: flow.Collector, placement: thread, inputs: {in: done}}
  servant: {type: flow.Servant}
)";
constexpr const char* kTasks[] = {"stream/counter", "stream/relay.0", "stream/relay.1", "stream/collector", "stream/servant"};

TEST_F(AdoptionTest, AKilledHostDisturbsNothing) {
  ASSERT_TRUE(Apply(kStream).ok());
  std::map<std::string, v1::Task> before;
  for (const char* task : kTasks) {
    ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING)) << task;
    before[task] = Task(task);
  }
  double total = Number("stream/collector", "total");
  for (int round = 0; round < 10; ++round) {
    KillHost();
    for (const char* task : kTasks) {
      ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING)) << task << " after kill " << round;
      EXPECT_EQ(Task(task).status().pid(), before[task].status().pid()) << task;
      EXPECT_EQ(Task(task).status().run(), 1) << task;
      EXPECT_EQ(Task(task).status().restarts(), 0) << task;
    }
    ASSERT_TRUE(Eventually([&] { return Number("stream/collector", "total") > total; })) << "numbers go on after kill " << round;
    total = Number("stream/collector", "total");
    EXPECT_EQ(Number("stream/collector", "again"), 0) << "nothing came twice";
  }
}

TEST_F(AdoptionTest, WhatDiesWhileNoHostLooksIsRestartedByTheNextOne) {
  ASSERT_TRUE(Apply(kStream).ok());
  for (const char* task : kTasks) ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING)) << task;
  const int relay = static_cast<int>(Task("stream/relay.0").status().pid());
  const int host = static_cast<int>(client().GetHost()->host().pid());
  KillProcess(host);
  KillProcess(relay);
  ASSERT_TRUE(Eventually(
      [&] { return Task("stream/relay.0").status().run() == 2 && Task("stream/relay.0").status().state() == v1::TASK_STATE_RUNNING; }));
  EXPECT_EQ(Task("stream/relay.0").status().last_exit().cause(), v1::EXIT_CAUSE_SIGNAL);
  const double total = Number("stream/collector", "total");
  EXPECT_TRUE(Eventually([&] { return Number("stream/collector", "total") > total + 100; }));
  // Each number came once, or twice for the one that was in the hand of the killed relay.
  EXPECT_LE(Number("stream/collector", "again"), 1);
}

TEST_F(AdoptionTest, WishesAndCommandsGoOnWithTheNextHost) {
  ASSERT_TRUE(Apply(kStream).ok());
  for (const char* task : kTasks) ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING)) << task;
  KillHost();
  EXPECT_EQ(Call("stream/servant", "add", {{"a", Of(1)}, {"b", Of(2)}})->result().number_value(), 3);
  EXPECT_EQ(Ctl({"stop", "stream/servant"}).code, 0);
  KillHost();
  EXPECT_TRUE(WaitForState("stream/servant", v1::TASK_STATE_STOPPED)) << "a stop is durable once answered";
  EXPECT_EQ(Ctl({"delete", "pipeline", "stream"}).code, 0);
  KillHost();
  EXPECT_TRUE(Eventually([&] {
    absl::StatusOr<v1::ListTasksResponse> tasks = client().ListTasks();
    return tasks.ok() && tasks->tasks_size() == 0;
  }));
}

TEST_F(AdoptionTest, TheLogHasNoGapAndNoRepetition) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  for (int round = 0; round < 5; ++round) {
    std::thread talker([&] { (void)Call("p/s", "say", {{"text", Of(absl::StrCat("round ", round, " line"))}, {"times", Of(3000)}}); });
    absl::SleepFor(absl::Milliseconds(5));
    KillHost();
    talker.join();
  }
  ASSERT_TRUE(Call("p/s", "say", {{"text", Of("last")}, {"times", Of(1)}}).ok());
  std::map<uint64_t, int> sequences;
  ASSERT_TRUE(Eventually([&] {
    sequences.clear();
    bool last = false;
    v1::TailLogsRequest request;
    request.set_parent("pipelines/p/tasks/s");
    request.set_history(-1);
    auto stream = client().TailLogs(request);
    for (;;) {
      auto batch = stream->Next();
      if (!batch.ok() || !batch->has_value()) break;
      for (const v1::LogRecord& record : (*batch)->records()) {
        if (record.stream() == v1::LOG_STREAM_LOG) ++sequences[record.sequence()];
        last |= record.message() == "last 0";
      }
    }
    return last;
  }));
  uint64_t expected = sequences.begin()->first;
  for (const auto& [sequence, count] : sequences) {
    ASSERT_EQ(sequence, expected++) << "a gap";
    ASSERT_EQ(count, 1) << "record " << sequence << " came twice";
  }
}

TEST_F(AdoptionTest, WhatWasDeletedAndAppliedAgainIsOneTaskForTheNextHost) {
  const std::string spec =
      "pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n  t: {type: flow.Servant, placement: thread}\n";
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(Apply(spec).ok());
    for (const char* task : {"p/s", "p/t"}) ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING)) << task;
    if (round == 1) break;
    ASSERT_EQ(Ctl({"delete", "pipeline", "p"}).code, 0);
    ASSERT_TRUE(Eventually([&] { return client().ListPipelines()->pipelines_size() == 0; }));
  }
  const v1::Task before = Task("p/s");
  KillHost();
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  EXPECT_EQ(Task("p/s").uid(), before.uid());
  EXPECT_EQ(Task("p/s").status().pid(), before.status().pid());
  EXPECT_EQ(client().ListTasks()->tasks_size(), 2);
}

TEST_F(AdoptionTest, ALostJournalNeverLeadsToTwoLiveRuns) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  const int before = static_cast<int>(Task("p/s").status().pid());
  for (const char* suffix : {"", "-wal", "-shm"}) unlink(absl::StrCat(Directory(), "/state/journal.db", suffix).c_str());
  KillHost();
  EXPECT_EQ(client().ListTasks()->tasks_size(), 0);
  EXPECT_TRUE(Alive(before)) << "what this journal does not know is left alone";
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING)) << Task("p/s").DebugString();
  EXPECT_FALSE(Alive(before));
  EXPECT_NE(Task("p/s").status().pid(), before);
}

}  // namespace
}  // namespace puma::system_test
