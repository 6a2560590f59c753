#ifndef PUMA_SERVER_SUPERVISOR_INVOCATIONS_H_
#define PUMA_SERVER_SUPERVISOR_INVOCATIONS_H_
// Commands that wait for their result: in a worker, or here until its task's ring has room for them.
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "server/supervisor/engine.h"
#include "worker/control/control_segments.h"

namespace puma::server {

// Only the loop's thread uses it.
class Invocations {
 public:
  Invocations();
  struct Pending {
    uint64_t task = 0;
    int64_t run = 0;
    uint64_t worker = 0;
    uint32_t slot = 0;
    std::string command, arguments;  // arguments: JSON; empty once it was sent
    control::CommandRecord record{};
    Reply<v1::InvokeCommandResponse> reply;
    bool sent = false;
  };
  // RESOURCE_EXHAUSTED: not now.
  using Send = std::function<absl::Status(const Pending&)>;
  // Thread-safe. A number that no other host process gives either: results of a killed host's commands must not be taken for ours.
  uint64_t NewId() { return next_id_++; }
  // Sends it after those of its task that wait; or it waits, too. RESOURCE_EXHAUSTED to the caller when 1,000 or 4 MiB wait already.
  void Add(uint64_t id, Pending pending, const Send& send);
  // There may be room in the rings again.
  void SendWaiting(const Send& send);
  // Nobody waits any more. Nothing when it has been answered.
  std::optional<Pending> Take(uint64_t id);
  // Only the worker that was asked may answer.
  void Answer(uint64_t worker, const control::ResultRecord& record, std::string_view text);
  // The run ended: everything that waits for it is ABORTED.
  void RunEnded(uint64_t task, int64_t run);

 private:
  // Of one task, in the order in which they came.
  struct Queue {
    std::deque<uint64_t> ids;
    size_t bytes = 0;
  };
  // False: it waits on.
  bool SendNow(uint64_t id, const Send& send);

  std::atomic<uint64_t> next_id_;
  std::map<uint64_t, Pending> pending_;
  std::map<uint64_t, Queue> waiting_;  // by task; none is empty
};

// The arguments as the JSON object that a worker takes. Its order is the map's.
absl::StatusOr<std::string> ArgumentsToJson(const v1::InvokeCommandRequest& request);
// A runnable's error, as it crossed from the worker, as the status of a call: ErrorInfo says "RUNNABLE" and the types.
absl::Status StatusOfFailure(std::string_view failure_json);
// The same as the end of a run, with the code or signal of the program that a puma.Exec ran.
void SetError(std::string_view failure_json, v1::RunExit& exit);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_INVOCATIONS_H_
