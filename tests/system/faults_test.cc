#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class FaultsTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
};

std::set<long> DistinctIn(const std::string& path) {
  std::ifstream file(path);
  std::set<long> numbers;
  for (long number; file >> number;) numbers.insert(number);
  return numbers;
}

TEST_F(FaultsTest, EveryNumberArrivesWhileWorkersAreKilledAtRandom) {
  const unsigned seed =
      std::getenv("PUMA_SEED") != nullptr ? static_cast<unsigned>(std::atoi(std::getenv("PUMA_SEED"))) : std::random_device{}();
  std::cout << "PUMA_SEED=" << seed << '\n';
  std::mt19937 random(seed);
  const std::string path = Directory() + "/numbers";
  ASSERT_TRUE(Apply(R"(
pipeline: storm
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 32}
  done: {capacity: 64KiB, capacity_items: 32}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 20000, pause: 50us}}
  relay: {type: flow.Relay, replicas: 2, inputs: {in: raw}, outputs: {out: done}, restart: {max_restarts: 1000, backoff: {initial: 10ms, max: 20ms}}}
  collector: {type: flow.Collector, inputs: {in: done}, params: {path: )" +
                    path + R"(}, restart: {max_restarts: 1000, backoff: {initial: 10ms, max: 20ms}}}
)")
                  .ok());
  const char* victims[] = {"storm/relay.0", "storm/relay.1", "storm/collector"};
  int kills = 0;
  for (int i = 0; i < 40; ++i) {
    const v1::Task victim = Task(victims[random() % 3]);
    if (Task("storm/collector").status().state() == v1::TASK_STATE_SUCCEEDED) break;
    if (victim.status().state() != v1::TASK_STATE_RUNNING || victim.status().pid() == 0) continue;
    if (KillProcess(victim.status().pid())) ++kills;
    absl::SleepFor(absl::Milliseconds(random() % 30));  // where in their work they die is chance
  }
  EXPECT_GT(kills, 0);
  EXPECT_TRUE(WaitForState("storm/collector", v1::TASK_STATE_SUCCEEDED))
      << Task("storm/collector").DebugString() << Task("storm/counter").DebugString() << Task("storm/relay.0").DebugString()
      << Task("storm/relay.1").DebugString();
  EXPECT_EQ(DistinctIn(path).size(), 20000u) << kills << " kills";
}

TEST_F(FaultsTest, AKilledPublisherBeginsAnewAndItsReadersGoOn) {
  const std::string path = Directory() + "/numbers";
  ASSERT_TRUE(Apply(R"(
pipeline: anew
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 32}}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 2000, pause: 200us}, restart: {backoff: {initial: 10ms}}}
  collector: {type: flow.Collector, placement: thread, inputs: {in: raw}, params: {path: )" +
                    path + "}}\n")
                  .ok());
  for (int64_t run = 1; run <= 3; ++run) {
    ASSERT_TRUE(Eventually(
        [&] { return Task("anew/counter").status().run() == run && Task("anew/counter").status().state() == v1::TASK_STATE_RUNNING; }));
    const double before = Number("anew/collector", "total");
    ASSERT_TRUE(Eventually([&] { return Number("anew/collector", "total") > before + 20; })) << "run " << run << " is read";
    KillProcess(Task("anew/counter").status().pid());
  }
  EXPECT_TRUE(WaitForState("anew/collector", v1::TASK_STATE_SUCCEEDED));
  EXPECT_EQ(DistinctIn(path).size(), 2000u);
  EXPECT_EQ(Task("anew/collector").status().run(), 1);
  EXPECT_EQ(Task("anew/counter").status().restarts(), 3);
}

TEST_F(FaultsTest, APoisonousNumberIsGivenUpAndThePipelineGoesOn) {
  const std::string path = Directory() + "/numbers";
  ASSERT_TRUE(Apply(R"(
pipeline: poison
modules: [flow]
buffers:
  raw: {capacity: 64KiB}
  done: {capacity: 64KiB}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 100}}
  relay: {type: flow.Relay, inputs: {in: raw}, outputs: {out: done}, params: {poison: 42}, restart: {backoff: {initial: 10ms}}}
  collector: {type: flow.Collector, inputs: {in: done}, params: {path: )" +
                    path + "}}\n")
                  .ok());
  EXPECT_TRUE(WaitForState("poison/collector", v1::TASK_STATE_SUCCEEDED)) << Task("poison/relay").DebugString();
  EXPECT_TRUE(WaitForState("poison/relay", v1::TASK_STATE_SUCCEEDED)) << Task("poison/relay").DebugString();
  const std::set<long> numbers = DistinctIn(path);
  EXPECT_EQ(numbers.size(), 99u);
  EXPECT_FALSE(numbers.contains(42));
  const v1::RunExit exit = Task("poison/relay").status().last_exit();
  EXPECT_EQ(exit.cause(), v1::EXIT_CAUSE_COMPLETED) << exit.DebugString();
  EXPECT_TRUE(absl::StrContains(Ctl({"logs", "--history", "-1", "--level", "warn", "poison/relay"}).out, "dead letter"));
}

TEST_F(FaultsTest, AnErrorThatLastsFailsForGoodAndTravelsDownstream) {
  ASSERT_TRUE(Apply(R"(
pipeline: broken
modules: [flow]
tasks:
  s: {type: flow.Servant, params: {mode: throw_on_start}, restart: {max_restarts: 2, backoff: {initial: 5ms}}}
  n: {type: flow.Servant, params: {mode: fail_on_start}, restart: {policy: never}}
  c: {type: flow.Servant, params: {mode: throw_in_constructor}, restart: {policy: never}}
  e: {type: flow.Servant, params: {mode: exit_on_start}, restart: {policy: never}}
  h: {type: flow.Servant, params: {mode: hang_on_start}, start_deadline: 300ms, restart: {policy: never}}
)")
                  .ok());
  for (const char* task : {"broken/s", "broken/n", "broken/c", "broken/e", "broken/h"}) {
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_FAILED)) << Task(task).DebugString();
    EXPECT_EQ(Task(task).status().pid(), 0);
  }
  const v1::TaskStatus thrown = Task("broken/s").status();
  EXPECT_EQ(thrown.run(), 3);
  EXPECT_EQ(thrown.last_exit().error().types(0), "std::runtime_error") << thrown.DebugString();
  EXPECT_EQ(thrown.last_exit().error().message(), "the device is busy");
  bool throw_point = false;
  for (const v1::StackFrame& frame : thrown.last_exit().error().stack()) throw_point |= absl::StrContains(frame.function(), "OnStart");
  EXPECT_TRUE(throw_point) << thrown.DebugString();
  EXPECT_EQ(Task("broken/n").status().last_exit().error().code(), "INVALID_ARGUMENT");
  EXPECT_EQ(Task("broken/c").status().last_exit().error().message(), "no such device: /dev/nothing");
  EXPECT_EQ(Task("broken/e").status().last_exit().code(), 7);
  EXPECT_EQ(Task("broken/h").status().last_exit().cause(), v1::EXIT_CAUSE_HANG);
}

TEST_F(FaultsTest, ACrashIsReportedWithItsSignalAndTheTaskRestarts) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, restart: {backoff: {initial: 10ms}}}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  EXPECT_EQ(Call("p/s", "crash").status().code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(Eventually([&] { return Task("p/s").status().run() == 2 && Task("p/s").status().state() == v1::TASK_STATE_RUNNING; }));
  const v1::RunExit exit = Task("p/s").status().last_exit();
  EXPECT_EQ(exit.cause(), v1::EXIT_CAUSE_SIGNAL);
  EXPECT_EQ(exit.signal(), SIGSEGV);
  EXPECT_TRUE(absl::StrContains(exit.summary(), "SIGSEGV")) << exit.summary();
}

TEST_F(FaultsTest, ACrashedThreadTakesItsGroupAlongAndIsNamedAsTheCulprit) {
  ASSERT_TRUE(Apply(R"(
pipeline: g
modules: [flow]
tasks:
  a: {type: flow.Servant, placement: thread, restart: {backoff: {initial: 10ms}}}
  b: {type: flow.Servant, placement: thread}
)")
                  .ok());
  ASSERT_TRUE(WaitForState("g/a", v1::TASK_STATE_RUNNING));
  ASSERT_TRUE(WaitForState("g/b", v1::TASK_STATE_RUNNING));
  EXPECT_EQ(Task("g/a").status().pid(), Task("g/b").status().pid());
  (void)Call("g/a", "crash");
  for (const char* task : {"g/a", "g/b"}) {
    ASSERT_TRUE(Eventually([&] { return Task(task).status().run() == 2 && Task(task).status().state() == v1::TASK_STATE_RUNNING; }))
        << Task(task).DebugString();
  }
  EXPECT_EQ(Task("g/a").status().last_exit().cause(), v1::EXIT_CAUSE_SIGNAL) << Task("g/a").DebugString();
  EXPECT_EQ(Task("g/b").status().last_exit().cause(), v1::EXIT_CAUSE_SIBLING) << Task("g/b").DebugString();
  EXPECT_EQ(Task("g/a").status().restarts(), 1);
  EXPECT_EQ(Task("g/b").status().restarts(), 0) << "a sibling's restart is not counted";
}

TEST_F(FaultsTest, StopEndsChildrenThatIgnoreSigterm) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, stop: {grace: 100ms, term_grace: 100ms}}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  const int child = static_cast<int>(Number("p/s", "child"));
  ASSERT_GT(child, 0);
  ASSERT_TRUE(Alive(child));
  ASSERT_EQ(Ctl({"stop", "p/s"}).code, 0);
  EXPECT_TRUE(WaitForState("p/s", v1::TASK_STATE_STOPPED));
  EXPECT_FALSE(Alive(child)) << "a run is over when its tree is";
}

TEST_F(FaultsTest, ABusyHandlerIsStoppedByTheLadder) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, stop: {grace: 100ms, term_grace: 100ms}}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  v1::InvokeCommandRequest nap;
  nap.set_name("pipelines/p/tasks/s");
  nap.set_command("nap");
  (*nap.mutable_arguments())["how_long"] = Of("3600s");
  (void)client().InvokeCommand(nap, {.deadline = absl::Now() + absl::Milliseconds(100)});
  ASSERT_EQ(Ctl({"stop", "p/s"}).code, 0);
  EXPECT_TRUE(WaitForState("p/s", v1::TASK_STATE_STOPPED)) << Task("p/s").DebugString();
  EXPECT_EQ(Task("p/s").status().last_exit().cause(), v1::EXIT_CAUSE_KILLED) << Task("p/s").DebugString();
}

TEST_F(FaultsTest, AWatchdogEndsAHangAndTheTaskRestarts) {
  ASSERT_TRUE(
      Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, watchdog: 200ms, restart: {backoff: {initial: 10ms}}}\n")
          .ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  v1::InvokeCommandRequest nap;
  nap.set_name("pipelines/p/tasks/s");
  nap.set_command("nap");
  (*nap.mutable_arguments())["how_long"] = Of("3600s");
  EXPECT_EQ(client().InvokeCommand(nap).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Eventually([&] { return Task("p/s").status().run() == 2 && Task("p/s").status().state() == v1::TASK_STATE_RUNNING; }));
  EXPECT_EQ(Task("p/s").status().last_exit().cause(), v1::EXIT_CAUSE_HANG) << Task("p/s").DebugString();
}

TEST_F(FaultsTest, TheShimsDeathEndsAllWorkersAndTheNextStartRunsThemAgain) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n").ok());
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  const int worker = static_cast<int>(Task("p/s").status().pid());
  StopHost();
  EXPECT_FALSE(Alive(worker));
  StartHost();
  EXPECT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
  EXPECT_EQ(Task("p/s").status().run(), 2);
}

}  // namespace
}  // namespace puma::system_test
