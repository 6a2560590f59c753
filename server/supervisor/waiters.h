#ifndef PUMA_SERVER_SUPERVISOR_WAITERS_H_
#define PUMA_SERVER_SUPERVISOR_WAITERS_H_
// Who waits for a task to come to a state.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/supervisor/engine.h"

namespace puma::server {

// Only the loop's thread uses it.
class Waiters {
 public:
  // Answers at once if `now` is already what is waited for.
  void Add(uint64_t id, const v1::WaitTaskRequest& request, const v1::Task& now, Reply<v1::WaitTaskResponse> reply);
  // Nobody waits any more: CANCELLED. Nothing when it has been answered.
  void Cancel(uint64_t id);
  // A task as it is now. Every state must come by here, however short it was.
  void Seen(const v1::Task& task);
  // The task was deleted.
  void Gone(const std::string& task);

 private:
  struct Waiter {
    v1::WaitTaskRequest request;
    Reply<v1::WaitTaskResponse> reply;
  };
  std::map<uint64_t, Waiter> waiters_;
  std::multimap<std::string, uint64_t> by_task_;

  void Forget(uint64_t id);
  std::vector<uint64_t> Of(const std::string& task) const;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_WAITERS_H_
