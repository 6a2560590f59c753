// A million random events against what must always hold. The world keeps its own book of live runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>

#include "server/supervisor/task_machine.h"

namespace puma::server {
namespace {

using Kind = Event::Kind;
using Act = Action::Kind;

constexpr int kEvents = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int kKinds = static_cast<int>(Kind::kShimLost) + 1;

bool Has(const std::vector<Action>& actions, Act act) {
  return std::any_of(actions.begin(), actions.end(), [&](const Action& a) { return a.kind == act; });
}

bool EndsARun(Kind kind) {
  return kind == Kind::kTreeEmpty || kind == Kind::kSpawnError || kind == Kind::kShimLost || kind == Kind::kAdoptedNothing;
}

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  void NewTask() {
    life_ = {};
    live_ = 0;
    last_run_ = 0;
    removed_ = false;
    policy_.restart = static_cast<v1::RestartPolicy>(Pick(1, 3));
    policy_.max_restarts = static_cast<uint32_t>(Pick(1, 6));
  }

  void Event1() {
    const Event event = Any();
    const TaskLife before = life_;
    const std::vector<Action> actions = Step(life_, policy_, event);
    Check(before, event, actions);
  }

  bool removed() const { return removed_; }

  // Whatever came before: a stop, and a tree that empties, ends in STOPPED.
  void StopReachesStopped() {
    if (removed_ || life_.deleting) return;
    Deliver({.kind = Kind::kStop, .now = now_});
    if (live_ != 0) Deliver({.kind = Kind::kTreeEmpty, .now = now_, .run = live_});
    const bool ended =
        life_.state == v1::TASK_STATE_STOPPED || life_.state == v1::TASK_STATE_SUCCEEDED || life_.state == v1::TASK_STATE_FAILED;
    ASSERT_TRUE(ended) << v1::TaskState_Name(life_.state);
    ASSERT_FALSE(life_.desired);
  }

  // Whatever came before: if the worker never helps, the ladder's timers alone reach KillTree.
  void LadderReachesKill() {
    if (life_.state != v1::TASK_STATE_STOPPING) return;
    bool killed = life_.stage >= 2;
    for (int i = 0; i < 4 && life_.deadline != 0; ++i) {
      now_ = std::max(now_, life_.deadline);
      const std::vector<Action> actions = Step(life_, policy_, {.kind = Kind::kTimer, .now = now_});
      killed = killed || Has(actions, Act::kKillTree);
    }
    ASSERT_TRUE(killed);
    ASSERT_EQ(life_.reason, "UNKILLABLE");
  }

 private:
  int64_t Pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  void Deliver(const Event& event) {
    const TaskLife before = life_;
    Check(before, event, Step(life_, policy_, event));
  }

  Event Any() {
    now_ += Pick(0, 9) == 0 ? Pick(0, 20 * kSecond) : Pick(0, kSecond / 10);
    Event event;
    event.kind = static_cast<Kind>(Pick(0, kKinds - 1));
    if (event.kind == Kind::kDelete && Pick(0, 20) != 0) event.kind = Kind::kRunnable;
    event.now = now_;
    event.jitter = static_cast<double>(Pick(0, 1000)) / 1000;
    event.run = Pick(0, 9) == 0 ? life_.run + Pick(-2, 2) : life_.run;
    if (event.kind == Kind::kShimLost && Pick(0, 1) == 0) event.run = 0;
    if (Pick(0, 1) == 0) event.exit.set_cause(static_cast<v1::ExitCause>(Pick(0, 11)));
    event.exit.set_signal(static_cast<int>(Pick(0, 12)));
    event.exit.set_code(static_cast<int>(Pick(0, 2)));
    if (Pick(0, 2) == 0) event.poison_lane = static_cast<uint64_t>(Pick(1, 2));
    event.poison_number = static_cast<uint64_t>(Pick(0, 2));
    return event;
  }

  void Check(const TaskLife& before, const Event& event, const std::vector<Action>& actions) {
    if (removed_) {
      ASSERT_TRUE(actions.empty()) << "an action after kRemove";
    }
    CheckSpawn(before, actions);
    CheckEnd(before, event, actions);
    if (Has(actions, Act::kRemove)) {
      ASSERT_TRUE(life_.deleting);
      ASSERT_EQ(live_, 0) << "removed while a run lives";
      removed_ = true;
    }
    for (size_t i = 0; i + 1 < actions.size(); ++i) ASSERT_NE(actions[i].kind, Act::kChanged) << "kChanged comes last";
    CheckState();
    CheckStale(before, event, actions);
  }

  void CheckSpawn(const TaskLife& before, const std::vector<Action>& actions) {
    if (!Has(actions, Act::kReserveAndSpawn)) return;
    ASSERT_EQ(live_, 0) << "two live runs";
    ASSERT_TRUE(before.desired && !before.deleting);
    ASSERT_EQ(before.state, v1::TASK_STATE_PENDING);
    ASSERT_GT(life_.run, last_run_) << "a run's number was used twice";
    live_ = last_run_ = life_.run;
  }

  void CheckEnd(const TaskLife& before, const Event& event, const std::vector<Action>& actions) {
    const bool ends = live_ != 0 && EndsARun(event.kind) && before.run_started &&
                      (event.run == live_ || (event.run == 0 && event.kind >= Kind::kAdoptedNothing));
    ASSERT_EQ(Has(actions, Act::kCommitExit), ends) << "an exit is committed exactly when a run is over";
    if (!ends) return;
    ASSERT_EQ(life_.exit.run(), live_);
    ASSERT_NE(life_.exit.cause(), v1::EXIT_CAUSE_UNSPECIFIED);
    ASSERT_FALSE(life_.exit.summary().empty());
    live_ = 0;
    if (before.deleting) {
      ASSERT_TRUE(Has(actions, Act::kRemove));
    }
    if (!before.deleting && !before.desired) {
      ASSERT_EQ(life_.state, v1::TASK_STATE_STOPPED);
    }
  }

  void CheckState() const {
    ASSERT_EQ(life_.run_started, live_ != 0);
    const bool active =
        life_.state == v1::TASK_STATE_STARTING || life_.state == v1::TASK_STATE_RUNNING || life_.state == v1::TASK_STATE_STOPPING;
    ASSERT_EQ(active, live_ != 0) << v1::TaskState_Name(life_.state);
    ASSERT_LE(life_.restarts.size(), policy_.max_restarts);
    if (life_.state == v1::TASK_STATE_BACKOFF) {
      ASSERT_NE(life_.deadline, 0) << "nothing would wake it";
    }
    if (life_.state == v1::TASK_STATE_STARTING) {
      ASSERT_NE(life_.deadline, 0);
    }
    if (life_.state == v1::TASK_STATE_STOPPING && life_.stage < 3) {
      ASSERT_NE(life_.deadline, 0);
    }
    if (life_.state == v1::TASK_STATE_PENDING || life_.state == v1::TASK_STATE_BACKOFF) {
      ASSERT_TRUE(life_.desired);
    }
  }

  void CheckStale(const TaskLife& before, const Event& event, const std::vector<Action>& actions) const {
    const bool about_a_run = event.kind >= Kind::kReady && event.kind != Kind::kTimer && event.kind < Kind::kAdoptedNothing;
    if (!about_a_run || (event.run == before.run && before.run_started)) return;
    ASSERT_TRUE(actions.empty());
    ASSERT_EQ(life_.state, before.state);
    ASSERT_EQ(life_.reason, before.reason);
    ASSERT_EQ(life_.deadline, before.deadline);
    ASSERT_EQ(life_.stage, before.stage);
    ASSERT_EQ(life_.why, before.why);
    ASSERT_EQ(life_.crash_lane, before.crash_lane);
    ASSERT_EQ(life_.exit.SerializeAsString(), before.exit.SerializeAsString());
  }

  std::mt19937_64 random_;
  TaskLife life_;
  Policy policy_;
  int64_t now_ = 100 * kSecond;
  int64_t live_ = 0, last_run_ = 0;
  bool removed_ = false;
};

TEST(TaskModel, HoldsItsInvariantsOverAMillionRandomEvents) {
  const char* given = std::getenv("PUMA_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "PUMA_TEST_SEED=" << seed << "\n";
  SCOPED_TRACE(testing::Message() << "PUMA_TEST_SEED=" << seed);
  World world(seed);
  for (int i = 0; i < kEvents; ++i) {
    if (i % 200 == 0) world.NewTask();
    world.Event1();
    if (i % 200 == 150) world.StopReachesStopped();
    if (i % 200 == 199) world.LadderReachesKill();
    if (testing::Test::HasFatalFailure()) FAIL() << "at event " << i;
  }
}

// Crashes alone, quicker than the window: FAILED for good after exactly max_restarts.
TEST(TaskModel, ACrashLoopAlwaysEndsFailed) {
  for (uint32_t max = 1; max <= 20; ++max) {
    TaskLife life;
    Policy policy{.backoff_max_ns = 1'000'000, .max_restarts = max};
    int64_t now = kSecond;
    uint32_t spawned = 0;
    while (life.state != v1::TASK_STATE_FAILED) {
      ASSERT_LE(spawned, max + 1);
      if (Has(Step(life, policy, {.kind = Kind::kRunnable, .now = now}), Act::kReserveAndSpawn)) ++spawned;
      Step(life, policy, {.kind = Kind::kExited, .now = now, .run = life.run});
      Step(life, policy, {.kind = Kind::kTreeEmpty, .now = now, .run = life.run});
      if (life.deadline != 0) now = life.deadline;
      Step(life, policy, {.kind = Kind::kTimer, .now = now});
    }
    EXPECT_EQ(spawned, max + 1);
  }
}

}  // namespace
}  // namespace puma::server
