#include "server/supervisor/task_machine.h"

#include <algorithm>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "worker/platform/signal_name.h"

namespace puma::server {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kAbortGrace = kSecond;  // from SIGABRT (the stack is kept) until the tree is killed
constexpr int64_t kUnkillableAfter = 10 * kSecond;
constexpr int kStageCommand = 0, kStageSignal = 1, kStageKilled = 2, kStageUnkillable = 3;

using Kind = Event::Kind;
using Act = Action::Kind;

std::string Seconds(int64_t ns) { return absl::StrCat(static_cast<double>(ns) / kSecond, " s"); }

std::string ErrorText(const v1::RunError& error) {
  if (!error.types().empty()) return absl::StrCat("threw ", error.types(0), ": ", error.message());
  if (!error.code().empty()) return absl::StrCat("failed with ", error.code(), ": ", error.message());
  return absl::StrCat("failed: ", error.message());
}

bool AboutARun(Kind kind) {
  switch (kind) {
    case Kind::kReady:
    case Kind::kSpawnError:
    case Kind::kCompleted:
    case Kind::kStopped:
    case Kind::kFailed:
    case Kind::kExited:
    case Kind::kTreeEmpty:
    case Kind::kHang:
      return true;
    default:
      return false;
  }
}

// What the watchers see of a life.
struct Seen {
  explicit Seen(const TaskLife& l)
      : state(l.state),
        reason(l.reason),
        desired(l.desired),
        deleting(l.deleting),
        run(l.run),
        restarts(l.restart_count),
        exit_run(l.exit.run()),
        cause(l.exit.cause()) {}
  bool operator==(const Seen&) const = default;
  v1::TaskState state;
  std::string reason;
  bool desired, deleting;
  int64_t run;
  int32_t restarts;
  int64_t exit_run;
  v1::ExitCause cause;
};

// One step: the life under the hand, and the actions that come together.
class Stepper {
 public:
  Stepper(TaskLife& life, const Policy& policy, const Event& event) : life_(life), policy_(policy), event_(event) {}

  std::vector<Action> Take() {
    const Seen before(life_);
    RememberMessage();
    Dispatch();
    if (!Removed(life_) && !(Seen(life_) == before)) Do(Act::kChanged);
    return std::move(actions_);
  }

 private:
  void Do(Act act) { actions_.push_back({act}); }
  bool Active() const { return life_.state == v1::TASK_STATE_STARTING || life_.state == v1::TASK_STATE_RUNNING; }
  bool Stopping() const { return life_.state == v1::TASK_STATE_STOPPING; }
  bool Ended() const {
    return life_.state == v1::TASK_STATE_SUCCEEDED || life_.state == v1::TASK_STATE_FAILED || life_.state == v1::TASK_STATE_STOPPED;
  }

  void Dispatch() {
    switch (event_.kind) {
      case Kind::kStart:
        return OnStart();
      case Kind::kStop:
        return OnStop();
      case Kind::kDelete:
        return OnDelete();
      case Kind::kRestart:
        return OnRestart();
      case Kind::kSpecChanged:
        return OnSpecChanged();
      case Kind::kStrategy:
        if (Active()) BeginStop(Why::kSibling, event_.reason.empty() ? "stopped by the pipeline's strategy" : event_.reason);
        return;
      case Kind::kRunnable:
        return OnRunnable();
      case Kind::kNotRunnable:
        if (life_.state == v1::TASK_STATE_PENDING) life_.reason = event_.reason;
        return;
      case Kind::kReady:
        return OnReady();
      case Kind::kSpawnError:
        return OnSpawnError();
      case Kind::kCompleted:
        return OnCompleted();
      case Kind::kStopped:
        return OnStopped();
      case Kind::kFailed:
        return OnFailed();
      case Kind::kExited:
        return OnExited();
      case Kind::kTreeEmpty:
        return OnTreeEmpty();
      case Kind::kTimer:
        return OnTimer();
      case Kind::kHang:
        if (Active()) BeginHang(event_.reason.empty() ? "its handler was busy for longer than its watchdog allows" : event_.reason);
        return;
      case Kind::kAdoptedNothing:
        return OnLost();
      case Kind::kShimLost:
        MendClock();
        return OnLost();
    }
  }

  // --- wishes ---
  void OnStart() {
    if (life_.deleting) return;
    life_.desired = true;
    ClearWindow();
    if (Ended() || life_.state == v1::TASK_STATE_BACKOFF) Pend();
  }

  void OnStop() {
    life_.desired = false;
    if (Active()) return BeginStop(Why::kStop, "");
    if (Stopping()) return Outrank(Why::kStop);
    if (!Ended()) Rest(v1::TASK_STATE_STOPPED, "");
  }

  void OnDelete() {
    life_.deleting = true;
    if (Active()) return BeginStop(Why::kDelete, "");
    if (Stopping()) return Outrank(Why::kDelete);
    Remove();
  }

  void OnRestart() {
    if (life_.deleting) return;
    life_.desired = true;
    ClearWindow();
    if (Active()) return BeginStop(Why::kRestart, "");
    if (Stopping()) return Outrank(Why::kRestart);
    if (life_.state != v1::TASK_STATE_PENDING) Pend();
  }

  void OnSpecChanged() {
    if (life_.deleting) return;
    if (Active()) return BeginStop(Why::kSpec, "");
    if (Stopping()) return Outrank(Why::kSpec);
    ClearWindow();
    if (life_.desired && life_.state != v1::TASK_STATE_PENDING) Pend();
  }

  void OnRunnable() {
    if (life_.state != v1::TASK_STATE_PENDING || !life_.desired || life_.deleting) return;
    ++life_.run;
    life_.run_started = true;
    life_.state = v1::TASK_STATE_STARTING;
    life_.reason.clear();
    life_.why = Why::kNone;
    life_.stage = kStageCommand;
    life_.ready = 0;
    life_.crash_lane = life_.crash_number = 0;
    life_.deadline = event_.now + policy_.start_deadline_ns;
    Do(Act::kReserveAndSpawn);
  }

  // --- what the run says ---
  void OnReady() {
    if (life_.state != v1::TASK_STATE_STARTING) return;
    life_.state = v1::TASK_STATE_RUNNING;
    life_.deadline = 0;
    life_.ready = event_.now;
    Do(Act::kWakeDependants);
  }

  void OnSpawnError() {
    Record(v1::EXIT_CAUSE_START_FAILED);
    Outrank(Why::kExit);
    Finish();
  }

  void OnCompleted() {
    if (Active()) {
      Record(v1::EXIT_CAUSE_COMPLETED);
      BeginStop(Why::kCompleted, "");
    } else if (Stopping() && (Unexplained() || (life_.exit.cause() == v1::EXIT_CAUSE_EXIT_CODE && life_.exit.code() == 0))) {
      // The exit was seen before the slot that explains it.
      life_.exit.clear_summary();
      life_.exit.set_cause(v1::EXIT_CAUSE_UNSPECIFIED);
      Record(v1::EXIT_CAUSE_COMPLETED);
      if (life_.why == Why::kExit) life_.why = Why::kCompleted;
    }
  }

  void OnStopped() {
    if (Active()) {  // unasked, or asked by a host that is gone
      Record(v1::EXIT_CAUSE_STOPPED);
      BeginStop(Why::kSibling, "");
    } else if (Stopping()) {
      Record(v1::EXIT_CAUSE_STOPPED);
    }
  }

  void OnFailed() {
    if (Active()) {
      Record(v1::EXIT_CAUSE_ERROR);
      return BeginKill(Why::kExit);
    }
    if (!Stopping()) return;
    if (life_.exit.run() == life_.run && life_.exit.cause() == v1::EXIT_CAUSE_EXIT_CODE) life_.exit.set_cause(v1::EXIT_CAUSE_UNSPECIFIED);
    Record(v1::EXIT_CAUSE_ERROR);
  }

  void OnExited() {
    const v1::ExitCause cause = event_.exit.cause() == v1::EXIT_CAUSE_UNSPECIFIED ? v1::EXIT_CAUSE_EXIT_CODE : event_.exit.cause();
    if (Stopping()) return Record(CauseWhileStopping(cause));
    if (!Active()) return;
    Record(cause);
    BeginKill(TookAlong(cause) ? Why::kSibling : Why::kExit);  // the leader's end is not the tree's
  }

  void OnTreeEmpty() {
    if (Active()) {
      Record(event_.exit.cause() == v1::EXIT_CAUSE_UNSPECIFIED ? v1::EXIT_CAUSE_LOST : event_.exit.cause());
      Outrank(TookAlong(life_.exit.cause()) ? Why::kSibling : Why::kExit);
    }
    Finish();
  }

  void OnTimer() {
    if (life_.deadline == 0 || event_.now < life_.deadline) return;
    life_.deadline = 0;
    switch (life_.state) {
      case v1::TASK_STATE_STARTING:
        return BeginHang(absl::StrCat("not ready within ", Seconds(policy_.start_deadline_ns)));
      case v1::TASK_STATE_STOPPING:
        return ClimbLadder();
      case v1::TASK_STATE_BACKOFF:
        return Pend();
      default:
        return;
    }
  }

  void OnLost() {
    if (!life_.run_started) return;
    Record(v1::EXIT_CAUSE_LOST);
    if (life_.exit.cause() == v1::EXIT_CAUSE_LOST) Outrank(Why::kSibling);
    Finish();
  }

  // --- the ways out of a run ---
  void BeginStop(Why why, std::string reason) {
    life_.state = v1::TASK_STATE_STOPPING;
    life_.why = why;
    life_.reason = std::move(reason);
    life_.stage = kStageCommand;
    life_.deadline = event_.now + policy_.grace_ns;
    Do(Act::kSendStop);
  }

  void BeginKill(Why why) {
    life_.state = v1::TASK_STATE_STOPPING;
    life_.why = why;
    life_.reason = life_.exit.summary();
    Kill();
  }

  void BeginHang(std::string summary) {
    if (Unexplained()) Fresh().set_summary(std::move(summary));
    Record(v1::EXIT_CAUSE_HANG);
    life_.state = v1::TASK_STATE_STOPPING;
    life_.why = Why::kHang;
    life_.reason = life_.exit.summary();
    life_.stage = kStageSignal;
    life_.deadline = event_.now + kAbortGrace;
    Do(Act::kSignalAbort);
  }

  void Kill() {
    life_.stage = kStageKilled;
    life_.deadline = event_.now + kUnkillableAfter;
    Do(Act::kKillTree);
  }

  void ClimbLadder() {
    if (life_.stage == kStageCommand) {
      life_.stage = kStageSignal;
      life_.deadline = event_.now + policy_.term_grace_ns;
      Do(Act::kSignalTerm);
    } else if (life_.stage == kStageSignal) {
      Kill();
    } else if (life_.stage == kStageKilled) {
      life_.stage = kStageUnkillable;
      life_.reason = "UNKILLABLE";  // nothing starts in its place until its tree is empty
    }
  }

  // The run is over: nothing of it is left.
  void Finish() {
    Record(life_.stage >= kStageKilled ? v1::EXIT_CAUSE_KILLED : v1::EXIT_CAUSE_STOPPED);
    const Why why = life_.why;
    life_.run_started = false;
    life_.why = Why::kNone;
    life_.stage = kStageCommand;
    life_.deadline = 0;
    Do(Act::kCommitExit);
    if (life_.deleting) return Remove();
    if (!life_.desired) return Rest(v1::TASK_STATE_STOPPED, "");
    if (why == Why::kRestart || why == Why::kSpec || why == Why::kStop) {
      ClearWindow();
      return Pend();
    }
    if (why == Why::kSibling) return Pend();
    Judge(why == Why::kCompleted);
  }

  void Judge(bool success) {
    if (success) {
      if (policy_.restart == v1::RESTART_POLICY_ALWAYS) {
        life_.backoff_ns = 0;
        return BackOff();
      }
      Rest(v1::TASK_STATE_SUCCEEDED, "");
      Do(Act::kEndLanes);
      return Do(Act::kWakeDependants);
    }
    if (policy_.restart == v1::RESTART_POLICY_NEVER) return FailForGood(life_.exit.summary());
    if (life_.ready != 0 && event_.now - life_.ready >= policy_.within_ns) life_.backoff_ns = 0;  // it had been well
    if (!Count()) {
      return FailForGood(absl::StrCat("restarted ", policy_.max_restarts, " times within ", Seconds(policy_.within_ns),
                                      ", and failed again: ", life_.exit.summary()));
    }
    ++life_.restart_count;
    BackOff();
    Do(Act::kStrategy);
  }

  // Enters a restart into the window. False: there were too many.
  bool Count() {
    const bool same_message = life_.crash_lane != 0 && life_.crash_lane == life_.poison_lane && life_.crash_number == life_.poison_number;
    life_.poison_lane = life_.crash_lane;
    life_.poison_number = life_.crash_number;
    if (same_message) return true;  // the reader gives a message up after so many deliveries; till then it is one fault
    std::erase_if(life_.restarts, [&](int64_t t) { return t <= event_.now - policy_.within_ns; });
    if (life_.restarts.size() >= policy_.max_restarts) return false;
    life_.restarts.push_back(event_.now);
    return true;
  }

  void BackOff() {
    life_.backoff_ns = life_.backoff_ns == 0 ? policy_.backoff_initial_ns : std::min(life_.backoff_ns * 2, policy_.backoff_max_ns);
    life_.state = v1::TASK_STATE_BACKOFF;
    life_.reason = life_.exit.summary();
    const double factor = 0.9 + 0.2 * std::clamp(event_.jitter, 0.0, 1.0);
    life_.deadline = event_.now + std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(life_.backoff_ns) * factor));
  }

  void FailForGood(std::string reason) {
    Rest(v1::TASK_STATE_FAILED, std::move(reason));
    Do(Act::kEndLanes);
  }

  void Pend() { Rest(v1::TASK_STATE_PENDING, ""); }

  void Rest(v1::TaskState state, std::string reason) {
    life_.state = state;
    life_.reason = std::move(reason);
    life_.deadline = 0;
  }

  void Remove() {
    Rest(v1::TASK_STATE_UNSPECIFIED, "");
    Do(Act::kRemove);
  }

  void Outrank(Why why) { life_.why = std::max(life_.why, why); }

  void ClearWindow() {
    life_.restarts.clear();
    life_.restart_count = 0;
    life_.backoff_ns = 0;
    life_.poison_lane = life_.poison_number = 0;
  }

  // After a reboot the clock begins anew: what lies in its future was stamped by the old one.
  void MendClock() {
    std::erase_if(life_.restarts, [&](int64_t t) { return t > event_.now; });
    life_.ready = std::min(life_.ready, event_.now);
    if (life_.state == v1::TASK_STATE_BACKOFF) life_.deadline = std::min(life_.deadline, event_.now + life_.backoff_ns / 10 * 11);
  }

  // --- how it ended ---
  bool Unexplained() const { return life_.exit.run() != life_.run || life_.exit.cause() == v1::EXIT_CAUSE_UNSPECIFIED; }
  static bool TookAlong(v1::ExitCause cause) { return cause == v1::EXIT_CAUSE_SIBLING || cause == v1::EXIT_CAUSE_LOST; }

  v1::RunExit& Fresh() {
    if (life_.exit.run() != life_.run) {
      life_.exit.Clear();
      life_.exit.set_run(life_.run);
    }
    return life_.exit;
  }

  // The first explanation of an end counts; later ones add what it did not know.
  void Record(v1::ExitCause fallback) {
    v1::RunExit& exit = Fresh();
    if (event_.exit.core_dumped()) exit.set_core_dumped(true);
    if (event_.exit.has_time()) *exit.mutable_time() = event_.exit.time();
    if (exit.cause() != v1::EXIT_CAUSE_UNSPECIFIED) return;
    const bool theirs = event_.exit.cause() != v1::EXIT_CAUSE_UNSPECIFIED && event_.kind != Kind::kExited;
    exit.set_cause(theirs ? event_.exit.cause() : fallback);
    if (event_.exit.code() != 0) exit.set_code(event_.exit.code());
    if (event_.exit.signal() != 0) exit.set_signal(event_.exit.signal());
    exit.set_suspect(event_.exit.suspect());
    if (event_.exit.has_error()) *exit.mutable_error() = event_.exit.error();
    const bool said = theirs || event_.exit.cause() == fallback;
    if (said && !event_.exit.summary().empty()) exit.set_summary(event_.exit.summary());
    if (exit.summary().empty()) exit.set_summary(Summarize(exit));
  }

  // An end that we brought about is not the worker's fault.
  v1::ExitCause CauseWhileStopping(v1::ExitCause cause) const {
    if (cause == v1::EXIT_CAUSE_EXIT_CODE && event_.exit.code() == 0) return v1::EXIT_CAUSE_STOPPED;
    if (cause != v1::EXIT_CAUSE_SIGNAL) return cause;
    const int signal = event_.exit.signal();
    const bool ours = (signal == SIGTERM && life_.stage >= kStageSignal) || (signal == SIGKILL && life_.stage >= kStageKilled);
    return ours ? v1::EXIT_CAUSE_KILLED : cause;
  }

  void RememberMessage() {
    if (event_.poison_lane == 0 || !AboutARun(event_.kind)) return;
    life_.crash_lane = event_.poison_lane;
    life_.crash_number = event_.poison_number;
  }

  TaskLife& life_;
  const Policy& policy_;
  const Event& event_;
  std::vector<Action> actions_;
};

bool Stale(const TaskLife& life, const Event& event) {
  if (Removed(life)) return true;
  if (AboutARun(event.kind)) return event.run != life.run || !life.run_started;
  const bool may_name_a_run = event.kind == Kind::kTimer || event.kind == Kind::kAdoptedNothing || event.kind == Kind::kShimLost;
  return may_name_a_run && event.run != 0 && event.run != life.run;
}

int64_t Nanos(const google::protobuf::Duration& d) { return d.seconds() * kSecond + d.nanos(); }

void Set(int64_t& ns, bool given, const google::protobuf::Duration& d) {
  if (given) ns = Nanos(d);
}

}  // namespace

Policy PolicyOf(const v1::TaskSpec& spec) {
  Policy policy;
  const v1::RestartSpec& restart = spec.restart();
  if (restart.policy() != v1::RESTART_POLICY_UNSPECIFIED) policy.restart = restart.policy();
  Set(policy.backoff_initial_ns, restart.backoff().has_initial(), restart.backoff().initial());
  Set(policy.backoff_max_ns, restart.backoff().has_max(), restart.backoff().max());
  if (restart.max_restarts() != 0) policy.max_restarts = restart.max_restarts();
  Set(policy.within_ns, restart.has_within(), restart.within());
  Set(policy.start_deadline_ns, spec.has_start_deadline(), spec.start_deadline());
  Set(policy.grace_ns, spec.stop().has_grace(), spec.stop().grace());
  Set(policy.term_grace_ns, spec.stop().has_term_grace(), spec.stop().term_grace());
  return policy;
}

std::string Summarize(const v1::RunExit& exit) {
  switch (exit.cause()) {
    case v1::EXIT_CAUSE_COMPLETED:
      return "completed";
    case v1::EXIT_CAUSE_STOPPED:
      return "stopped";
    case v1::EXIT_CAUSE_ERROR:
      return ErrorText(exit.error());
    case v1::EXIT_CAUSE_SIGNAL:
      return absl::StrCat("killed by ", SignalName(exit.signal()), exit.core_dumped() ? " (core dumped)" : "");
    case v1::EXIT_CAUSE_EXIT_CODE:
      return absl::StrCat("exit code ", exit.code(), exit.code() == 0 ? " without having completed" : "");
    case v1::EXIT_CAUSE_OUT_OF_MEMORY:
      return "killed by the kernel for its memory";
    case v1::EXIT_CAUSE_HANG:
      return "hung";
    case v1::EXIT_CAUSE_START_FAILED:
      return exit.has_error() ? absl::StrCat("could not be started: ", exit.error().message()) : "could not be started";
    case v1::EXIT_CAUSE_SIBLING:
      return "another task of its group worker ended the worker";
    case v1::EXIT_CAUSE_LOST:
      return "lost: the shim or the machine was restarted";
    case v1::EXIT_CAUSE_KILLED:
      return absl::StrCat("did not stop within its grace period; killed by ", SignalName(exit.signal() != 0 ? exit.signal() : SIGKILL));
    default:
      return "";
  }
}

bool Removed(const TaskLife& life) { return life.deleting && life.state == v1::TASK_STATE_UNSPECIFIED; }

std::vector<Action> Step(TaskLife& life, const Policy& policy, const Event& event) {
  if (Stale(life, event)) return {};
  return Stepper(life, policy, event).Take();
}

}  // namespace puma::server
