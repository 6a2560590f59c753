#include "worker/shim/new_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace puma::shim {
namespace {

bool Limit(int resource, uint64_t value) {
  if (value == 0) return true;
  const rlimit limit{value, value};
  return ::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0;
}

bool SetLimits(const Limits& limits, const rlimit& files) {
  if (limits.files == 0 && files.rlim_max != 0 && ::setrlimit(RLIMIT_NOFILE, &files) != 0) return false;
  return Limit(RLIMIT_AS, limits.address_space_bytes) && Limit(RLIMIT_NOFILE, limits.files) && Limit(RLIMIT_NPROC, limits.processes) &&
         Limit(RLIMIT_CORE, limits.core_bytes);
}

void ResetSignals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

SpawnStep Enter(const NewProcess& world) {
  ResetSignals();
  ::setsid();
  if (world.home >= 0) {
    const int door = ::openat(world.home, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (door < 0 || ::write(door, "0", 1) != 1) return SpawnStep::kCgroup;
    ::close(door);
  }
  for (int group : world.groups) {
    if (::write(group, "0", 1) != 1) return SpawnStep::kCgroup;
  }
  int first_closed = 3;
  for (const auto& [source, target] : world.fds) {
    if (::dup2(source, target) < 0) return SpawnStep::kPipes;
    first_closed = std::max(first_closed, target + 1);
  }
  if (::syscall(SYS_close_range, first_closed, ~0U, 0) != 0) return SpawnStep::kPipes;
  if (world.directory != nullptr && ::chdir(world.directory) != 0) return SpawnStep::kDirectory;
  if (!SetLimits(world.limits, world.files)) return SpawnStep::kLimits;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SpawnStep::kLimits;
  if (world.subreaper && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return SpawnStep::kLimits;
  // Last, since a change of privileges would clear it; and the shim may have died before it was set.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return SpawnStep::kLimits;
  if (::getppid() == world.parent) return SpawnStep::kNone;
  errno = ESRCH;
  return SpawnStep::kFork;
}

}  // namespace puma::shim
