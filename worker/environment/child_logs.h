#ifndef PUMA_WORKER_ENVIRONMENT_CHILD_LOGS_H_
#define PUMA_WORKER_ENVIRONMENT_CHILD_LOGS_H_
// One log for a program and its children: this process's hub, which begins with the first child. Thread-safe.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/platform/unique_fd.h"

namespace puma::internal {

struct ChildLog {
  uint64_t token = 0;         // 0: there is no hub, the child logs to its stderr
  std::vector<UniqueFd> fds;  // for AttachToHub
  std::string levels;
};
// `tell_levels`: hands changed levels to the child; called by any thread, until ChildLogEnded.
ChildLog NewChildLog(const std::string& name, std::function<void(const std::string&)> tell_levels);
void ChildLogEnded(uint64_t token);  // what it has written is in the log when this returns

void AttachChildLog(std::vector<UniqueFd> fds, const std::string& name, const std::string& levels);  // in the child

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_CHILD_LOGS_H_
