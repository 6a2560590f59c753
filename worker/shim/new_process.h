#ifndef PUMA_WORKER_SHIM_NEW_PROCESS_H_
#define PUMA_WORKER_SHIM_NEW_PROCESS_H_
// The world of a process that the shim starts: own session, clean signals, an exact list of descriptors, no new privileges, death with the
// shim. The same for those that exec and those that are forked off a template.
#include <sys/resource.h>

#include <span>
#include <utility>

#include "worker/shim/protocol.h"

namespace puma::shim {

struct NewProcess {
  std::span<const std::pair<int, int>> fds;  // source, target; no source below kFirstFreeFd but those that stay where they are
  int home = -1;                             // directory of its control group, unless it was born there
  std::span<const int> groups;               // cgroup.procs of others
  Limits limits{};
  rlimit files{};  // RLIMIT_NOFILE unless limited
  bool subreaper = false;
  int parent = -1;                  // the shim's pid
  const char* directory = nullptr;  // to run in; null: where its parent is
};
// In the new process, which has one thread. Allocates nothing, so it may share its memory with the shim. The step that failed, with errno.
// Descriptors above the highest target are closed.
SpawnStep Enter(const NewProcess& world);

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_NEW_PROCESS_H_
