#ifndef PUMA_WORKER_RUNNABLE_RUN_CONTEXT_H_
#define PUMA_WORKER_RUNNABLE_RUN_CONTEXT_H_
// What ports, commands and loop of one run share.
#include <pthread.h>
#include <puma/log.h>
#include <puma/value.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/buffer/waiter.h"
#include "worker/platform/system.h"

namespace puma {
class Environment;
class Segment;
}  // namespace puma
namespace puma::internal {

// A command as it came, and where commands come from. Only the runnable's thread polls.
struct CommandCall {
  uint64_t id = 0;
  int64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
  std::string_view name;
  std::string_view arguments;                      // a JSON object
  const std::vector<Value>* positional = nullptr;  // instead of the object: one value for each argument
  bool answered = true;                            // false: nobody waits for the result, so an error ends the run
};
class CommandSource {
 public:
  virtual ~CommandSource() = default;
  // Calls `serve` for each command that is there, in order, and answers with what it returns. True: behind
  // them stood the request to stop.
  virtual bool Poll(const std::function<absl::StatusOr<Value>(const CommandCall&)>& serve) = 0;
  virtual bool Pending() const = 0;             // a command or the stop is there; cheap
  virtual bool StopAsked() const = 0;           // a look ahead, past commands that wait; any thread
  virtual const Word32* tail_word() const = 0;  // to sleep on, shared; null: the context's kick word is kicked
  virtual uint32_t tail_seen() const = 0;       // its value when all commands up to now were polled
};

// Words that others watch; each has one writer.
struct Vitals {
  Word64 busy_since{0};  // CLOCK_MONOTONIC_COARSE ns at which the running handler was entered; 0: asleep
  Word64 published{0};
  Word64 finished{0};
  Word64 grown{0};
};

// Who runs a runnable inline, by a clock of its own (worker/testing). Its thread is the runnable's.
class Stepper {
 public:
  virtual ~Stepper() = default;
  virtual int64_t Now() const = 0;  // ns
  // Instead of sleeping: returns when the runnable shall look again. False: at once, since there is nobody else here who could do anything.
  virtual bool Wait(absl::Duration at_most) = 0;
};

struct RunContext {
  // The message in hand, as the cause of what is published meanwhile.
  uint64_t cause_lane = 0, cause_number = 0;
  uint32_t cause_epoch = 0;
  bool cause_redelivered = false;

  KickWord kick;
  std::atomic<bool> stop{false};  // asked for within the process
  std::atomic<CommandSource*> commands{nullptr};
  std::function<void()> store_positions;                                 // called on the own thread before it blocks
  std::function<void(uint64_t lane, const std::string& what)> bad_lane;  // tells the host; null: nobody
  std::function<void(std::string type, Value status)> send_status;       // null: nobody listens
  std::function<Environment&()> environment;                             // for runners of its own; null: there is none
  pthread_t thread{};                                                    // the runnable's own, while it executes
  const Logger* logger = nullptr;
  Stepper* stepper = nullptr;  // null: time passes by itself
  Vitals own;
  Word64* busy_since = &own.busy_since;
  Word64* published = &own.published;
  Word64* finished = &own.finished;
  Word64* grown = &own.grown;
  std::function<absl::Status(uint64_t id, Segment& lane)> offer_lane;  // any thread; null: there is nobody to offer to

  int64_t Now() const { return stepper == nullptr ? MonotonicNanos() : stepper->Now(); }
  bool StopAsked() const {
    if (stop.load(std::memory_order_acquire)) return true;
    const CommandSource* source = commands.load(std::memory_order_acquire);
    return source != nullptr && source->StopAsked();
  }
  void RequestStop() {
    stop.store(true, std::memory_order_release);
    kick.Kick();
  }
  bool OnOwnThread() const { return thread != pthread_t{} && pthread_equal(thread, pthread_self()) != 0; }
};

int64_t CoarseNanos();  // CLOCK_MONOTONIC, a few milliseconds behind, at a quarter of the price

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_RUN_CONTEXT_H_
