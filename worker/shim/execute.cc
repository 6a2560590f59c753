#include "worker/shim/execute.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>

namespace puma::shim {
namespace {

constexpr size_t kStackBytes = 64 << 10;

// What the child needs, made ready before: between clone and exec it may not allocate.
struct Plan {
  const Program* program;
  char* const* arguments;
  char* const* environment;
  pid_t parent;
  int first_closed;
  int error = 0;
  SpawnStep step = SpawnStep::kNone;
};

[[noreturn]] void Give(Plan& plan, SpawnStep step, int error) {
  plan.error = error;
  plan.step = step;
  ::_exit(127);
}

bool Limit(int resource, uint64_t value) {
  if (value == 0) return true;
  const rlimit limit{value, value};
  return ::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0;
}

bool SetLimits(const Program& program) {
  const Limits& limits = program.limits;
  if (limits.files == 0 && program.files.rlim_max != 0 && ::setrlimit(RLIMIT_NOFILE, &program.files) != 0) return false;
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

int Child(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  ResetSignals();
  ::setsid();
  for (const UniqueFd& group : plan.program->groups) {
    if (::write(group.get(), "0", 1) != 1) Give(plan, SpawnStep::kCgroup, errno);
  }
  for (const auto& [source, target] : plan.program->fds) {
    if (::dup2(source, target) < 0) Give(plan, SpawnStep::kPipes, errno);
  }
  if (::syscall(SYS_close_range, plan.first_closed, ~0U, 0) != 0) Give(plan, SpawnStep::kPipes, errno);
  if (!SetLimits(*plan.program)) Give(plan, SpawnStep::kLimits, errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Give(plan, SpawnStep::kLimits, errno);
  if (plan.program->subreaper && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) Give(plan, SpawnStep::kLimits, errno);
  // Last, since a change of privileges would clear it; and the shim may have died before it was set.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) Give(plan, SpawnStep::kLimits, errno);
  if (::getppid() != plan.parent) Give(plan, SpawnStep::kFork, ESRCH);
  ::execve(plan.program->path.c_str(), plan.arguments, plan.environment);
  Give(plan, SpawnStep::kExec, errno);
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Started Execute(const Program& program) {
  // A fresh one each time: the child's frames never return, and address sanitizers would remember them.
  const auto stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  const std::vector<char*> arguments = Pointers(program.arguments);
  const std::vector<char*> environment = Pointers(program.environment);
  Plan plan{&program, arguments.data(), environment.data(), ::getpid(), 3};
  for (const auto& [source, target] : program.fds) plan.first_closed = std::max(plan.first_closed, target + 1);
  sigset_t all, before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);  // no handler may run in the child
  int pidfd = -1;
  const int pid = ::clone(Child, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  Started started;
  if (pid < 0) {
    started.error = error;
    started.step = SpawnStep::kFork;
    return started;
  }
  started.pidfd.reset(pidfd);
  if (plan.error != 0) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    started.error = plan.error;
    started.step = plan.step;
    return started;
  }
  started.pid = pid;
  return started;
}

}  // namespace puma::shim
