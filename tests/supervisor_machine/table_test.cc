// Every row of the table in control.md, and the sentences around it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "server/supervisor/task_machine.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = Event::Kind;
using Act = Action::Kind;

constexpr int64_t kMilli = 1'000'000, kSecond = 1'000'000'000;

// A task and its clock: tests read as what happens to it.
class TaskTest : public ::testing::Test {
 protected:
  std::vector<Act> Send(Event event) {
    event.now = now_;
    std::vector<Act> acts;
    for (const Action& action : Step(life_, policy_, event)) acts.push_back(action.kind);
    return acts;
  }
  std::vector<Act> Wish(Kind kind) { return Send({.kind = kind}); }
  std::vector<Act> Run(Kind kind, v1::RunExit exit = {}) {
    return Send({.kind = kind, .run = life_.run, .exit = std::move(exit), .jitter = 0.5});
  }
  std::vector<Act> TimerAfter(int64_t ns) {
    now_ += ns;
    return Wish(Kind::kTimer);
  }
  void ToStarting() { EXPECT_THAT(Wish(Kind::kRunnable), ElementsAre(Act::kReserveAndSpawn, Act::kChanged)); }
  void ToRunning() {
    ToStarting();
    EXPECT_THAT(Run(Kind::kReady), ElementsAre(Act::kWakeDependants, Act::kChanged));
  }
  std::vector<Act> Crash(int signal = SIGSEGV) {
    Run(Kind::kExited, Signalled(signal));
    return Run(Kind::kTreeEmpty);
  }
  void CrashAndWait() {
    ToRunning();
    Crash();
    ASSERT_EQ(life_.state, v1::TASK_STATE_BACKOFF);
    now_ = life_.deadline;
    Wish(Kind::kTimer);
    ASSERT_EQ(life_.state, v1::TASK_STATE_PENDING);
  }
  static v1::RunExit Signalled(int signal) {
    v1::RunExit exit;
    exit.set_cause(v1::EXIT_CAUSE_SIGNAL);
    exit.set_signal(signal);
    return exit;
  }
  static v1::RunExit Caused(v1::ExitCause cause, int code = 0) {
    v1::RunExit exit;
    exit.set_cause(cause);
    exit.set_code(code);
    return exit;
  }
  static v1::RunExit Threw(const std::string& type, const std::string& message) {
    v1::RunExit exit;
    exit.mutable_error()->add_types(type);
    exit.mutable_error()->set_message(message);
    return exit;
  }

  TaskLife life_;
  Policy policy_;
  int64_t now_ = 1000 * kSecond;
};

TEST_F(TaskTest, StartsWhenItsDependenciesAreThere) {
  Send({.kind = Kind::kNotRunnable, .reason = "waits for loader"});
  EXPECT_EQ(life_.reason, "waits for loader");
  ToStarting();
  EXPECT_EQ(life_.run, 1);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STARTING);
  EXPECT_EQ(life_.reason, "");
  EXPECT_EQ(life_.deadline, now_ + policy_.start_deadline_ns);
  Run(Kind::kReady);
  EXPECT_EQ(life_.state, v1::TASK_STATE_RUNNING);
  EXPECT_EQ(life_.deadline, 0);
}

TEST_F(TaskTest, SaysNothingTwiceOfWhatItWaitsFor) {
  Event waits{.kind = Kind::kNotRunnable, .reason = "waits"};
  EXPECT_THAT(Send(waits), ElementsAre(Act::kChanged));
  EXPECT_THAT(Send(waits), IsEmpty());
}

TEST_F(TaskTest, StopsWhilePendingWithoutARun) {
  EXPECT_THAT(Wish(Kind::kStop), ElementsAre(Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  EXPECT_THAT(Wish(Kind::kRunnable), IsEmpty());
}

TEST_F(TaskTest, IsRemovedAtOnceWhenDeletedWhilePending) {
  EXPECT_THAT(Wish(Kind::kDelete), ElementsAre(Act::kRemove));
  EXPECT_TRUE(Removed(life_));
  EXPECT_THAT(Wish(Kind::kStart), IsEmpty());
}

TEST_F(TaskTest, AStopInBackoffCancelsTheRestart) {
  ToRunning();
  Crash();
  Wish(Kind::kStop);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  EXPECT_THAT(TimerAfter(100 * kSecond), IsEmpty());
}

TEST_F(TaskTest, AnErrorAtSpawnIsJudgedAsAFailure) {
  ToStarting();
  v1::RunExit exit = Caused(v1::EXIT_CAUSE_START_FAILED);
  exit.mutable_error()->set_message("posix_spawn puma-worker: No such file");
  EXPECT_THAT(Run(Kind::kSpawnError, exit), ElementsAre(Act::kCommitExit, Act::kStrategy, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_BACKOFF);
  EXPECT_EQ(life_.exit.summary(), "could not be started: posix_spawn puma-worker: No such file");
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_START_FAILED);
}

TEST_F(TaskTest, AFailureInItsConstructorKillsTheTreeAndIsJudgedWhenItIsEmpty) {
  ToStarting();
  EXPECT_THAT(Run(Kind::kFailed, Threw("std::runtime_error", "no disk")), ElementsAre(Act::kKillTree, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPING);
  EXPECT_THAT(Run(Kind::kExited, Signalled(SIGKILL)), IsEmpty());
  EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kStrategy, Act::kChanged));
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_ERROR);
  EXPECT_EQ(life_.exit.summary(), "threw std::runtime_error: no disk");
}

TEST_F(TaskTest, ACrashWhileRunningIsRestartedAfterABackoff) {
  ToRunning();
  EXPECT_THAT(Run(Kind::kExited, Signalled(SIGKILL)), ElementsAre(Act::kKillTree, Act::kChanged));
  EXPECT_TRUE(life_.run_started) << "the leader's end is not the tree's";
  EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kStrategy, Act::kChanged));
  EXPECT_EQ(life_.exit.summary(), "killed by SIGKILL");
  EXPECT_EQ(life_.exit.run(), 1);
  EXPECT_EQ(life_.deadline, now_ + 100 * kMilli);
  EXPECT_THAT(TimerAfter(99 * kMilli), IsEmpty());
  TimerAfter(kMilli);
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
  ToStarting();
  EXPECT_EQ(life_.run, 2);
  EXPECT_EQ(life_.exit.run(), 1) << "the last exit stays to be seen";
}

TEST_F(TaskTest, ExitZeroWithoutCompletionIsAFailure) {
  ToRunning();
  Run(Kind::kExited, Caused(v1::EXIT_CAUSE_EXIT_CODE, 0));
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_BACKOFF);
  EXPECT_EQ(life_.exit.summary(), "exit code 0 without having completed");
}

TEST_F(TaskTest, AnExitThatIsSeenBeforeTheSlotThatExplainsItIsACompletion) {
  ToRunning();
  Run(Kind::kExited, Caused(v1::EXIT_CAUSE_EXIT_CODE, 0));
  Run(Kind::kCompleted);
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(life_.exit.summary(), "completed");
}

TEST_F(TaskTest, ExitCodeThreeIsSaidSo) {
  ToRunning();
  Run(Kind::kExited, Caused(v1::EXIT_CAUSE_EXIT_CODE, 3));
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.exit.summary(), "exit code 3");
  EXPECT_EQ(life_.exit.code(), 3);
}

TEST_F(TaskTest, IsAHangWhenNotReadyBeforeItsStartDeadline) {
  ToStarting();
  EXPECT_THAT(TimerAfter(policy_.start_deadline_ns), ElementsAre(Act::kSignalAbort, Act::kChanged));
  EXPECT_THAT(TimerAfter(kSecond), ElementsAre(Act::kKillTree));
  Run(Kind::kExited, Signalled(SIGABRT));
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_BACKOFF);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_HANG);
  EXPECT_EQ(life_.exit.summary(), "not ready within 30 s");
}

TEST_F(TaskTest, ABarkOfTheWatchdogAbortsAndThenKills) {
  ToRunning();
  EXPECT_THAT(Run(Kind::kHang), ElementsAre(Act::kSignalAbort, Act::kChanged));
  EXPECT_THAT(Run(Kind::kHang), IsEmpty());
  EXPECT_THAT(TimerAfter(kSecond), ElementsAre(Act::kKillTree));
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_HANG);
}

TEST_F(TaskTest, StopClimbsTheLadderFromCommandToTermToKill) {
  ToRunning();
  EXPECT_THAT(Wish(Kind::kStop), ElementsAre(Act::kSendStop, Act::kChanged));
  EXPECT_THAT(TimerAfter(5 * kSecond - 1), IsEmpty());
  EXPECT_THAT(TimerAfter(1), ElementsAre(Act::kSignalTerm));
  EXPECT_THAT(TimerAfter(2 * kSecond), ElementsAre(Act::kKillTree));
  Run(Kind::kExited, Signalled(SIGKILL));
  EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_KILLED);
  EXPECT_EQ(life_.exit.summary(), "did not stop within its grace period; killed by SIGKILL");
}

TEST_F(TaskTest, AnOrderlyStopIsSaidSo) {
  ToRunning();
  Wish(Kind::kStop);
  Run(Kind::kStopped);
  Run(Kind::kExited, Caused(v1::EXIT_CAUSE_EXIT_CODE, 0));
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_STOPPED);
}

TEST_F(TaskTest, ACrashInTheMiddleOfAStopIsKeptAsTheCauseButStaysStopped) {
  ToRunning();
  Wish(Kind::kStop);
  Run(Kind::kExited, Signalled(SIGSEGV));
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  EXPECT_EQ(life_.exit.summary(), "killed by SIGSEGV");
}

TEST_F(TaskTest, IsUnkillableWhenItsTreeDoesNotEmptyAndNothingStartsInItsPlace) {
  ToRunning();
  Wish(Kind::kStop);
  TimerAfter(5 * kSecond);
  TimerAfter(2 * kSecond);
  EXPECT_THAT(TimerAfter(10 * kSecond), ElementsAre(Act::kChanged));
  EXPECT_EQ(life_.reason, "UNKILLABLE");
  Wish(Kind::kStart);
  EXPECT_THAT(Wish(Kind::kRunnable), IsEmpty());
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPING);
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
}

TEST_F(TaskTest, AStartWhileStoppingIsALevelAndNotAnEdge) {
  ToRunning();
  Wish(Kind::kStop);
  EXPECT_THAT(Wish(Kind::kStart), ElementsAre(Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPING);
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
}

TEST_F(TaskTest, CompletionStopsTheWorkerAndSucceedsWhenItsTreeIsEmpty) {
  ToRunning();
  EXPECT_THAT(Run(Kind::kCompleted), ElementsAre(Act::kSendStop, Act::kChanged));
  EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kEndLanes, Act::kWakeDependants, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(life_.exit.summary(), "completed");
}

TEST_F(TaskTest, AQuickTaskMayCompleteBeforeItWasSeenRunning) {
  ToStarting();
  Run(Kind::kCompleted);
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_SUCCEEDED);
}

TEST_F(TaskTest, PolicyAlwaysRestartsASuccessAfterTheInitialBackoffUncounted) {
  policy_.restart = v1::RESTART_POLICY_ALWAYS;
  for (int i = 0; i < 10; ++i) {
    ToRunning();
    Run(Kind::kCompleted);
    EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kChanged));
    ASSERT_EQ(life_.state, v1::TASK_STATE_BACKOFF);
    EXPECT_EQ(life_.deadline, now_ + policy_.backoff_initial_ns);
    now_ = life_.deadline;
    Wish(Kind::kTimer);
  }
  EXPECT_EQ(life_.restart_count, 0);
}

TEST_F(TaskTest, PolicyNeverFailsForGoodAtOnce) {
  policy_.restart = v1::RESTART_POLICY_NEVER;
  ToRunning();
  EXPECT_THAT(Crash(), ElementsAre(Act::kCommitExit, Act::kEndLanes, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_FAILED);
  EXPECT_EQ(life_.reason, "killed by SIGSEGV");
}

TEST_F(TaskTest, DoublesItsBackoffUpToTheMaximum) {
  policy_.max_restarts = 100;
  policy_.backoff_max_ns = 500 * kMilli;
  std::vector<int64_t> waits;
  for (int i = 0; i < 5; ++i) {
    ToRunning();
    Crash();
    waits.push_back((life_.deadline - now_) / kMilli);
    now_ = life_.deadline;
    Wish(Kind::kTimer);
  }
  EXPECT_THAT(waits, ElementsAre(100, 200, 400, 500, 500));
}

TEST_F(TaskTest, JittersItsBackoffByTenPercent) {
  for (auto [jitter, milliseconds] : {std::pair(0.0, 90), std::pair(1.0, 110)}) {
    life_ = {};
    ToRunning();
    Run(Kind::kExited, Signalled(SIGSEGV));
    Send({.kind = Kind::kTreeEmpty, .run = 1, .jitter = jitter});
    EXPECT_NEAR(static_cast<double>(life_.deadline - now_), milliseconds * 1e6, 1e3);
  }
}

TEST_F(TaskTest, ARunThatWasWellForTheWholeWindowBeginsItsBackoffAnew) {
  CrashAndWait();
  CrashAndWait();
  ToRunning();
  now_ += policy_.within_ns;
  Crash();
  EXPECT_EQ(life_.backoff_ns, policy_.backoff_initial_ns);
}

TEST_F(TaskTest, FailsForGoodAfterTooManyRestartsWithinTheWindow) {
  for (int i = 0; i < 5; ++i) CrashAndWait();
  EXPECT_EQ(life_.restart_count, 5);
  ToRunning();
  EXPECT_THAT(Crash(), ElementsAre(Act::kCommitExit, Act::kEndLanes, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_FAILED);
  EXPECT_THAT(life_.reason, HasSubstr("5 times within 30 s"));
  EXPECT_THAT(life_.reason, HasSubstr("killed by SIGSEGV"));
}

TEST_F(TaskTest, RestartsOutsideTheWindowDoNotCount) {
  for (int i = 0; i < 20; ++i) {
    CrashAndWait();
    now_ += policy_.within_ns;
  }
  EXPECT_EQ(life_.restart_count, 20);
}

TEST_F(TaskTest, StartAfterFailureClearsTheWindow) {
  for (int i = 0; i < 5; ++i) CrashAndWait();
  ToRunning();
  Crash();
  ASSERT_EQ(life_.state, v1::TASK_STATE_FAILED);
  EXPECT_THAT(Wish(Kind::kStart), ElementsAre(Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
  EXPECT_EQ(life_.restart_count, 0);
  CrashAndWait();
}

TEST_F(TaskTest, StartAfterSuccessAndAfterStopRunsItAgain) {
  ToRunning();
  Run(Kind::kCompleted);
  Run(Kind::kTreeEmpty);
  Wish(Kind::kStart);
  ToRunning();
  Wish(Kind::kStop);
  Run(Kind::kTreeEmpty);
  Wish(Kind::kStart);
  ToRunning();
  EXPECT_EQ(life_.run, 3);
}

TEST_F(TaskTest, CrashesOnOneMessageCountOnce) {
  for (int i = 0; i < 12; ++i) {
    ToRunning();
    Send({.kind = Kind::kExited, .run = life_.run, .exit = Signalled(SIGSEGV), .poison_lane = 7, .poison_number = 42});
    Run(Kind::kTreeEmpty);
    ASSERT_EQ(life_.state, v1::TASK_STATE_BACKOFF);
    now_ += kMilli;  // the whole storm lies in one window
    life_.deadline = now_;
    Wish(Kind::kTimer);
  }
  EXPECT_EQ(life_.restarts.size(), 1u);
  ToRunning();
  Send({.kind = Kind::kExited, .run = life_.run, .exit = Signalled(SIGSEGV), .poison_lane = 7, .poison_number = 43});
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.restarts.size(), 2u) << "another message is another fault";
}

TEST_F(TaskTest, SpecRestartAndStrategyRestartUncounted) {
  for (Kind kind : {Kind::kSpecChanged, Kind::kRestart, Kind::kStrategy}) {
    ToRunning();
    EXPECT_THAT(Wish(kind), ElementsAre(Act::kSendStop, Act::kChanged));
    Run(Kind::kExited, Caused(v1::EXIT_CAUSE_EXIT_CODE, 0));
    EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kChanged));
    EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
    EXPECT_EQ(life_.restart_count, 0);
  }
}

TEST_F(TaskTest, TheStrategyLeavesThoseAloneWhoDoNotRun) {
  EXPECT_THAT(Wish(Kind::kStrategy), IsEmpty());
  ToRunning();
  Run(Kind::kCompleted);
  Run(Kind::kTreeEmpty);
  EXPECT_THAT(Wish(Kind::kStrategy), IsEmpty());
}

TEST_F(TaskTest, ASiblingOfACrashedGroupRestartsAtOnceUncounted) {
  ToRunning();
  Run(Kind::kExited, Caused(v1::EXIT_CAUSE_SIBLING));
  EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
  EXPECT_EQ(life_.restart_count, 0);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_SIBLING);
}

TEST_F(TaskTest, ANewSpecRevivesTheFailedButNotTheStopped) {
  policy_.restart = v1::RESTART_POLICY_NEVER;
  ToRunning();
  Crash();
  Wish(Kind::kSpecChanged);
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
  Wish(Kind::kStop);
  EXPECT_THAT(Wish(Kind::kSpecChanged), IsEmpty());
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
}

TEST_F(TaskTest, StopAndDeleteOutrankTheRest) {
  ToRunning();
  Wish(Kind::kRestart);
  Wish(Kind::kStop);
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  Wish(Kind::kStart);
  ToRunning();
  Wish(Kind::kStop);
  Wish(Kind::kDelete);
  EXPECT_THAT(Run(Kind::kTreeEmpty), ElementsAre(Act::kCommitExit, Act::kRemove));
  EXPECT_TRUE(Removed(life_));
}

TEST_F(TaskTest, StopOfACrashedRunThatIsNotYetOverEndsStopped) {
  ToRunning();
  Run(Kind::kExited, Signalled(SIGSEGV));
  Wish(Kind::kStop);
  Run(Kind::kTreeEmpty);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_SIGNAL);
}

TEST_F(TaskTest, ALostShimStartsWhatIsDesiredAgainUncounted) {
  ToRunning();
  EXPECT_THAT(Wish(Kind::kShimLost), ElementsAre(Act::kCommitExit, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
  EXPECT_EQ(life_.exit.cause(), v1::EXIT_CAUSE_LOST);
  ToRunning();
  Wish(Kind::kStop);
  Wish(Kind::kShimLost);
  EXPECT_EQ(life_.state, v1::TASK_STATE_STOPPED);
}

TEST_F(TaskTest, AdoptedNothingIsALostRun) {
  ToStarting();
  EXPECT_THAT(Run(Kind::kAdoptedNothing), ElementsAre(Act::kCommitExit, Act::kChanged));
  EXPECT_EQ(life_.state, v1::TASK_STATE_PENDING);
  EXPECT_THAT(Wish(Kind::kAdoptedNothing), IsEmpty());
}

TEST_F(TaskTest, AClockThatBeganAnewDoesNotStretchABackoff) {
  ToRunning();
  Crash();
  now_ = kSecond;  // rebooted
  Wish(Kind::kShimLost);
  EXPECT_LE(life_.deadline, now_ + 2 * policy_.backoff_initial_ns);
  EXPECT_THAT(life_.restarts, IsEmpty());
}

TEST_F(TaskTest, StaleEventsChangeNothing) {
  ToRunning();
  const TaskLife before = life_;
  for (Kind kind :
       {Kind::kReady, Kind::kSpawnError, Kind::kCompleted, Kind::kStopped, Kind::kFailed, Kind::kExited, Kind::kTreeEmpty, Kind::kHang}) {
    EXPECT_THAT(Send({.kind = kind, .run = 99}), IsEmpty());
  }
  EXPECT_EQ(life_.state, before.state);
  EXPECT_EQ(life_.deadline, before.deadline);
  Wish(Kind::kStop);
  Run(Kind::kTreeEmpty);
  EXPECT_THAT(Run(Kind::kTreeEmpty), IsEmpty()) << "a second end of the same run";
}

TEST_F(TaskTest, ThePolicyTakesWhatTheSpecSaysAndDefaultsElse) {
  v1::TaskSpec spec;
  EXPECT_EQ(PolicyOf(spec).max_restarts, 5u);
  EXPECT_EQ(PolicyOf(spec).restart, v1::RESTART_POLICY_ON_FAILURE);
  spec.mutable_restart()->set_policy(v1::RESTART_POLICY_ALWAYS);
  spec.mutable_restart()->set_max_restarts(9);
  spec.mutable_restart()->mutable_backoff()->mutable_initial()->set_nanos(5);
  spec.mutable_stop()->mutable_grace()->set_seconds(1);
  const Policy policy = PolicyOf(spec);
  EXPECT_EQ(policy.restart, v1::RESTART_POLICY_ALWAYS);
  EXPECT_EQ(policy.max_restarts, 9u);
  EXPECT_EQ(policy.backoff_initial_ns, 5);
  EXPECT_EQ(policy.grace_ns, kSecond);
  EXPECT_EQ(policy.term_grace_ns, 2 * kSecond);
}

}  // namespace
}  // namespace puma::server
