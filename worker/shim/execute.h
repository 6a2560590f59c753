#ifndef PUMA_WORKER_SHIM_EXECUTE_H_
#define PUMA_WORKER_SHIM_EXECUTE_H_
// Starts a program that dies with whoever starts it (the thread that does): own session, clean signals, an exact list of descriptors, no
// new privileges.
#include <sys/resource.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/platform/unique_fd.h"
#include "worker/shim/protocol.h"

namespace puma::shim {

// Sources must have numbers of at least this, so that none is overwritten by a target.
inline constexpr int kFirstFreeFd = 8;

struct Program {
  std::string path;
  std::vector<std::string> arguments;  // from argv[0]
  std::vector<std::string> environment;
  std::vector<std::pair<int, int>> fds;  // source, target; targets ascend without gaps from 3. 0 to 2 not named: inherited
  std::string directory;                 // "": where this process is
  Limits limits{};
  rlimit files{};                // RLIMIT_NOFILE unless limited
  UniqueFd home;                 // directory of the control group that it is to live in, in v2
  std::vector<UniqueFd> groups;  // cgroup.procs of others
  bool subreaper = false;        // its orphans become its children
};
struct Started {
  int pid = -1;
  UniqueFd pidfd;
  int error = 0;  // errno; 0: it runs
  SpawnStep step = SpawnStep::kNone;
};
// Returns after the exec, or with the step that failed. Shares memory with the child until then (as vfork does), so it is as fast with a
// large shim as with a small one.
Started Execute(const Program& program);

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_EXECUTE_H_
