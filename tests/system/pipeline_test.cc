#include <signal.h>

#include <fstream>
#include <set>

#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using PipelineTest = HostTest;

std::multiset<long> NumbersIn(const std::string& path) {
  std::ifstream file(path);
  std::multiset<long> numbers;
  for (long number; file >> number;) numbers.insert(number);
  return numbers;
}

// Every number of [0, count) is there.
void ExpectAll(const std::multiset<long>& numbers, long count) {
  const std::set<long> distinct(numbers.begin(), numbers.end());
  EXPECT_EQ(static_cast<long>(distinct.size()), count);
  if (!distinct.empty()) {
    EXPECT_EQ(*distinct.begin(), 0);
    EXPECT_EQ(*distinct.rbegin(), count - 1);
  }
}

TEST_F(PipelineTest, MovesEverythingThroughProcessesReplicasAndThreads) {
  StartHost();
  const std::string path = Directory() + "/numbers";
  ASSERT_TRUE(Apply(R"(
pipeline: numbers
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 16}
  done: {capacity: 64KiB}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 5000}}
  relay: {type: flow.Relay, replicas: 2, inputs: {in: raw}, outputs: {out: done}}
  collector: {type: flow.Collector, placement: thread, inputs: {in: done}, params: {path: )" +
                    path + "}}\n")
                  .ok());
  for (const char* task : {"numbers/counter", "numbers/relay.0", "numbers/relay.1", "numbers/collector"}) {
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_SUCCEEDED)) << task << " " << Task(task).DebugString();
  }
  const std::multiset<long> numbers = NumbersIn(path);
  EXPECT_EQ(numbers.size(), 5000u);
  ExpectAll(numbers, 5000);
}

TEST_F(PipelineTest, SeveralPublishersAndSeveralReadersEachGetEverything) {
  StartHost();
  const std::string a = Directory() + "/a", b = Directory() + "/b";
  ASSERT_TRUE(Apply(R"(
pipeline: fan
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 8}}
tasks:
  low: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 1000}}
  high: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 1000, first: 1000}}
  first: {type: flow.Collector, inputs: {in: raw}, params: {path: )" +
                    a + R"(}}
  second: {type: flow.Collector, placement: thread, inputs: {in: raw}, params: {path: )" +
                    b + "}}\n")
                  .ok());
  EXPECT_TRUE(WaitForState("fan/first", v1::TASK_STATE_SUCCEEDED));
  EXPECT_TRUE(WaitForState("fan/second", v1::TASK_STATE_SUCCEEDED));
  for (const std::string& path : {a, b}) {
    EXPECT_EQ(NumbersIn(path).size(), 2000u);
    ExpectAll(NumbersIn(path), 2000);
  }
}

TEST_F(PipelineTest, ALossyBufferNeverSlowsItsPublisher) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: lossy
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 4, on_full: drop_oldest}}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 20000}}
  servant: {type: flow.Servant}
  slow: {type: flow.Relay, inputs: {in: raw}, outputs: {out: rest}, params: {work: 20ms}}
)")
                  .code() == absl::StatusCode::kInvalidArgument)
      << "an output into a buffer that is not declared";
  ASSERT_TRUE(Apply(R"(
pipeline: lossy
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 4, on_full: drop_oldest}
  rest: {capacity: 64KiB}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 20000}}
  slow: {type: flow.Relay, inputs: {in: raw}, outputs: {out: rest}, params: {work: 20ms}}
  collector: {type: flow.Collector, inputs: {in: rest}}
)")
                  .ok());
  // At 20 ms a number a reader that gates would keep the publisher busy for minutes.
  EXPECT_TRUE(WaitForState("lossy/counter", v1::TASK_STATE_SUCCEEDED));
  EXPECT_TRUE(WaitForState("lossy/slow", v1::TASK_STATE_SUCCEEDED));
}

TEST_F(PipelineTest, AnApplyRestartsOnlyWhatItChanges) {
  StartHost();
  auto spec = [](const std::string& pause) {
    return R"(
pipeline: change
modules: [flow]
buffers: {raw: {capacity: 64KiB}}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 0, pause: )" +
           pause + R"(}}
  collector: {type: flow.Collector, inputs: {in: raw}}
  other: {type: flow.Servant}
)";
  };
  ASSERT_TRUE(Apply(spec("1ms")).ok());
  for (const char* task : {"change/counter", "change/collector", "change/other"})
    ASSERT_TRUE(WaitForState(task, v1::TASK_STATE_RUNNING)) << task;
  const v1::Task collector = Task("change/collector"), other = Task("change/other");
  ASSERT_TRUE(Apply(spec("2ms")).ok());
  EXPECT_TRUE(Eventually(
      [&] { return Task("change/counter").status().run() == 2 && Task("change/counter").status().state() == v1::TASK_STATE_RUNNING; }));
  EXPECT_EQ(Task("change/collector").status().pid(), collector.status().pid());
  EXPECT_EQ(Task("change/other").status().pid(), other.status().pid());
  const double before = Number("change/collector", "total");
  EXPECT_TRUE(Eventually([&] { return Number("change/collector", "total") > before + 10; })) << "the new run's lane is read";
}

TEST_F(PipelineTest, DeleteLeavesNothingBehind) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: gone
modules: [flow]
tasks:
  a: {type: flow.Servant}
  b: {type: flow.Servant, placement: thread}
)")
                  .ok());
  ASSERT_TRUE(WaitForState("gone/a", v1::TASK_STATE_RUNNING));
  ASSERT_TRUE(WaitForState("gone/b", v1::TASK_STATE_RUNNING));
  const int a = static_cast<int>(Task("gone/a").status().pid()), b = static_cast<int>(Task("gone/b").status().pid());
  v1::DeletePipelineRequest request;
  request.set_name("pipelines/gone");
  ASSERT_TRUE(client().DeletePipeline(request).ok());
  EXPECT_TRUE(Eventually([&] { return !Alive(a) && !Alive(b); }));
  EXPECT_TRUE(Eventually([&] { return client().ListPipelines()->pipelines_size() == 0 && client().ListTasks()->tasks_size() == 0; }));
}

TEST_F(PipelineTest, DependantsStartWhenTheirConditionHolds) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: order
modules: [flow]
tasks:
  first: {type: flow.Servant, stopped: true}
  second: {type: flow.Servant, depends_on: {first: running}}
)")
                  .ok());
  ASSERT_TRUE(Eventually([&] { return Task("order/second").status().reason().find("first") != std::string::npos; }));
  EXPECT_EQ(Task("order/second").status().state(), v1::TASK_STATE_PENDING);
  EXPECT_EQ(Task("order/first").status().state(), v1::TASK_STATE_STOPPED);
  EXPECT_EQ(Ctl({"start", "order/first"}).code, 0);
  EXPECT_TRUE(WaitForState("order/second", v1::TASK_STATE_RUNNING));
}

TEST_F(PipelineTest, AStoppedTaskStartsAgainAndGoesOnWhereItWas) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: pause
modules: [flow]
buffers: {raw: {capacity: 64KiB}}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 3000}}
  collector: {type: flow.Collector, inputs: {in: raw}, params: {path: )" +
                    Directory() + "/numbers}}\n")
                  .ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Ctl({"stop", "pause/collector"}).code, 0);
    ASSERT_TRUE(Eventually([&] {
      const v1::TaskState state = Task("pause/collector").status().state();
      return state == v1::TASK_STATE_STOPPED || state == v1::TASK_STATE_SUCCEEDED;
    }));
    if (Task("pause/collector").status().state() == v1::TASK_STATE_SUCCEEDED) break;
    ASSERT_EQ(Ctl({"start", "pause/collector"}).code, 0);
  }
  EXPECT_TRUE(WaitForState("pause/collector", v1::TASK_STATE_SUCCEEDED));
  EXPECT_EQ(NumbersIn(Directory() + "/numbers").size(), 3000u) << "a stop loses nothing and repeats nothing";
}

}  // namespace
}  // namespace puma::system_test
