#ifndef PUMA_SERVER_SUPERVISOR_TASK_MACHINE_H_
#define PUMA_SERVER_SUPERVISOR_TASK_MACHINE_H_
// The life of a task as a pure function: event in, actions out, the clock is part of the event. README.md has the table.
#include <cstdint>
#include <string>
#include <vector>

#include "puma/v1/resources.pb.h"

namespace puma::server {

// What the machine must know of the spec; defaults filled in.
struct Policy {
  v1::RestartPolicy restart = v1::RESTART_POLICY_ON_FAILURE;
  int64_t backoff_initial_ns = 100'000'000, backoff_max_ns = 30'000'000'000;
  uint32_t max_restarts = 5;
  int64_t within_ns = 30'000'000'000;
  int64_t start_deadline_ns = 30'000'000'000, grace_ns = 5'000'000'000, term_grace_ns = 2'000'000'000;
};
Policy PolicyOf(const v1::TaskSpec& spec);

// Why a run is being ended, weakest first: stop and delete outrank the rest.
// kSibling: another task took it along (its group's worker ended, or the strategy).
enum class Why { kNone, kExit, kCompleted, kHang, kRestart, kSpec, kSibling, kStop, kDelete };

// A plain value: all that is remembered of a task between events. What must survive the host is in the journal.
struct TaskLife {
  v1::TaskState state = v1::TASK_STATE_PENDING;
  std::string reason;
  bool desired = true;  // a user wants it to run
  bool deleting = false;
  int64_t run = 0;           // of the current or last run
  bool run_started = false;  // STOPPING: a run is still there to be ended
  Why why = Why::kNone;
  v1::RunExit exit;                                    // collected while a run ends; then the last exit
  std::vector<int64_t> restarts;                       // CLOCK_BOOTTIME ns of counted restarts within the window
  int32_t restart_count = 0;                           // since a user last started it
  int64_t backoff_ns = 0;                              // the last waiting time; 0: none yet
  int64_t deadline = 0;                                // of the armed timer, CLOCK_BOOTTIME ns; 0: none
  int stage = 0;                                       // of the stop ladder: 0 command, 1 SIGTERM, 2 killed
  uint64_t poison_lane = 0, poison_number = 0;         // crashes on one message count once for the intensity
  uint64_t crash_lane = 0, crash_number = 0;           // the message that the run which now ends was working on; lane 0: none
  v1::LogLevel log_level = v1::LOG_LEVEL_UNSPECIFIED;  // a user's, which outranks the spec's
  int64_t ready = 0;                                   // when the run became RUNNING, CLOCK_BOOTTIME ns; 0: it has not
};

struct Event {
  enum class Kind {
    kStart,
    kStop,
    kDelete,
    kRestart,
    kSpecChanged,
    kStrategy,        // wishes. kStart also after FAILED, SUCCEEDED
    kRunnable,        // dependencies, lanes and budget are ok: PENDING may start
    kNotRunnable,     // `reason` says what PENDING waits for
    kReady,           // the slot says RUNNING
    kSpawnError,      // `exit` says why
    kCompleted,       // the slot says COMPLETED
    kStopped,         // the slot says STOPPED
    kFailed,          // the slot says FAILED; `exit.error`
    kExited,          // the worker's leader has ended; `exit`
    kTreeEmpty,       // the run is over (for a thread task: its slot is free)
    kTimer,           // the armed deadline has passed
    kHang,            // the watchdog barked
    kAdoptedNothing,  // the journal says running, the shim knows nothing
    kShimLost,        // the shim or the machine was restarted; `exit.cause` is LOST
  };
  Kind kind;
  int64_t now = 0;  // CLOCK_BOOTTIME ns
  int64_t run = 0;  // that it is about; stale ones are dropped. 0: a wish
  std::string reason;
  v1::RunExit exit;
  double jitter = 0;                            // 0..1, for the back-off
  uint64_t poison_lane = 0, poison_number = 0;  // with any event about a run's end: the message whose handler was running
};

struct Action {
  enum class Kind {
    kReserveAndSpawn,  // life.run has been counted up: commit it, then start the run
    kSendStop,         // the stop command
    kSignalTerm,
    kSignalAbort,
    kKillTree,
    kCommitExit,      // life.exit is whole: journal it, then acknowledge it to the shim
    kEndLanes,        // SUCCEEDED or FAILED for good: complete its lanes (with exit.error)
    kRemove,          // deleted and over: forget the row
    kWakeDependants,  // RUNNING or SUCCEEDED was reached
    kStrategy,        // it failed: the pipeline's strategy acts on the others
    kChanged,         // tell the watchers (last, at most once)
  };
  Kind kind;
};

// One line for people: "killed by SIGKILL", "threw std::runtime_error: no disk", "exit code 3".
std::string Summarize(const v1::RunExit& exit);

// True once kRemove was returned: no event has an effect any more.
bool Removed(const TaskLife& life);

// Takes one event. `exit.time` is copied from the events and never made up here. Stale events (another run) change nothing and return no
// action. `life.deadline` is the timer to arm after the step.
std::vector<Action> Step(TaskLife& life, const Policy& policy, const Event& event);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_TASK_MACHINE_H_
