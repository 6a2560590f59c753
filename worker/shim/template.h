#ifndef PUMA_WORKER_SHIM_TEMPLATE_H_
#define PUMA_WORKER_SHIM_TEMPLATE_H_
// A worker that has its libraries loaded and does nothing, of which the others are forked: what an exec costs is its dynamic linking. It
// never runs user code: a module is loaded by the worker that needs it, so a new file is seen at once.
#include <sys/resource.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/platform/unique_fd.h"
#include "worker/shim/execute.h"
#include "worker/shim/protocol.h"

namespace puma::shim {

// ---- what the two say to each other: one request, one answer ---------------------------------------------------------------------------

inline constexpr int kTemplateSocket = 8;                    // in the template; 3 to 7 are kept free for its children's
inline constexpr std::string_view kTemplate = "--template";  // argv[1], with blanks up to the place of a name
inline constexpr size_t kNamePlace = 64;                     // argv[1] and the value of PUMA_RUN: a child writes its own there, for /proc
// descriptors: the child's 0, 1, 2, ..., then its home if it has one, then cgroup.procs of other groups. The child itself answers when it
// is ready to go on.
struct ForkRequest {
  Limits limits;
  rlimit files;
  int32_t parent;
  uint32_t fds, homes, groups;
  char name[kNamePlace], label[kNamePlace];
};
// descriptors: the child's pidfd, if it is there. pid 0 and no error: the template is ready.
struct ForkAnswer {
  int32_t pid = 0, error = 0;
  SpawnStep step = SpawnStep::kNone;
};

// ---- the shim's side -------------------------------------------------------------------------------------------------------------------

class Template {
 public:
  // Starts one like `worker`, unless there is one, or one failed to get ready; never waits for it. One whose file was replaced is retired.
  void Prepare(const Program& worker);
  // Nothing if there is none that is ready: Execute it then. Otherwise as Execute.
  std::optional<Started> Fork(const Program& worker, std::string_view label);
  bool Is(int pid) const { return pid > 0 && pid == pid_; }
  void Reaped();  // it is gone
  void End();     // waits until it is

 private:
  bool Ready();
  void Retire();

  int pid_ = -1;
  UniqueFd pidfd_, socket_;
  bool ready_ = false;
  bool failed_ = false;  // it can't be done here: the worker has threads from its start, or is none of ours
  uint64_t file_[4] = {};
};

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_TEMPLATE_H_
