#ifndef PUMA_SERVER_SUPERVISOR_INVOCATIONS_H_
#define PUMA_SERVER_SUPERVISOR_INVOCATIONS_H_
// Commands that were sent to a worker and wait for their result.
#include <atomic>
#include <cstdint>
#include <map>
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
    std::string command;
    Reply<v1::InvokeCommandResponse> reply;
  };
  // Thread-safe. A number that no other host process gives either: results of a killed host's commands must not be taken for ours.
  uint64_t NewId() { return next_id_++; }
  void Add(uint64_t id, Pending pending);
  // Nobody waits any more. Nothing when it has been answered.
  std::optional<Pending> Take(uint64_t id);
  // Only the worker that was asked may answer.
  void Answer(uint64_t worker, const control::ResultRecord& record, std::string_view text);
  // The run ended: everything that waits for it is ABORTED.
  void RunEnded(uint64_t task, int64_t run);

 private:
  std::atomic<uint64_t> next_id_;
  std::map<uint64_t, Pending> pending_;
};

// The arguments as the JSON object that a worker takes. Its order is the map's.
absl::StatusOr<std::string> ArgumentsToJson(const v1::InvokeCommandRequest& request);
// A runnable's error, as it crossed from the worker, as the status of a call: ErrorInfo says "RUNNABLE" and the types.
absl::Status StatusOfFailure(std::string_view failure_json);
// The same as the end of a run, with the code or signal of the program that a puma.Exec ran.
void SetError(std::string_view failure_json, v1::RunExit& exit);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_INVOCATIONS_H_
