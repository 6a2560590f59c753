#ifndef PUMA_WORKER_SHIM_CGROUP_H_
#define PUMA_WORKER_SHIM_CGROUP_H_
// The control groups of runs: in each hierarchy that is ours to divide, one group of ours, and in it one for each run. A run's processes
// can't leave them, whatever they do, so they are killed as one, counted and limited. Where nothing was delegated to us, nothing is here.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/platform/unique_fd.h"
#include "worker/shim/protocol.h"

namespace puma::shim {

class Cgroups {
 public:
  Cgroups() = default;  // none
  // Makes our group, named after `id`, wherever it may; what an earlier shim of that id left in it is killed and removed.
  // v2: where the group that we are in is delegated (systemd's mark, or it is the root that we see). v1: pids, memory and cpu, where we may
  // write.
  static Cgroups Take(const std::string& id);
  Cgroups(Cgroups&& other) noexcept = default;
  Cgroups& operator=(Cgroups&& other) noexcept = default;
  ~Cgroups();

  uint32_t features() const { return features_; }  // kFeatureCgroup...
  // The limits that groups take over; they are zero afterwards.
  void TakeOver(Limits& limits) const;
  // Makes the groups of `run` that its limits need, and one to kill it by: `home`, the directory of that in v2, and for others `doors`: a
  // process that writes "0" into each is in them. errno, 0: made.
  int Make(std::string_view run, const Limits& limits, UniqueFd& home, std::vector<UniqueFd>& doors);
  void Kill(std::string_view run) const;         // all of its processes at once; nothing without kFeatureCgroupKill
  bool Empty(std::string_view run) const;        // nobody lives in it; true without kFeatureCgroupKill
  bool OutOfMemory(std::string_view run) const;  // the kernel has killed in it for its memory.max
  void Remove(std::string_view run) const;

 private:
  struct Hierarchy {
    std::string parent, base;  // directories: the group that we were in, ours below it
    uint32_t features = 0;
    bool unified = false;  // v2
    bool moved = false;    // we are in `base`/host, so that `parent` may have controllers
  };
  void TakeUnified(Hierarchy hierarchy);
  const Hierarchy* With(uint32_t feature) const;

  std::vector<Hierarchy> hierarchies_;
  uint32_t features_ = 0;
};

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_CGROUP_H_
