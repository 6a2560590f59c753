#include "worker/shim/execute.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "worker/shim/new_process.h"

namespace puma::shim {
namespace {

constexpr size_t kStackBytes = 64 << 10;

// What the child needs, made ready before: between clone and exec it may not allocate.
struct Plan {
  const Program* program;
  char* const* arguments;
  char* const* environment;
  NewProcess world;
  int error = 0;
  SpawnStep step = SpawnStep::kNone;
};

int Child(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  plan.step = Enter(plan.world);
  if (plan.step == SpawnStep::kNone) {
    ::execve(plan.program->path.c_str(), plan.arguments, plan.environment);
    plan.step = SpawnStep::kExec;
  }
  plan.error = errno;
  ::_exit(127);
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
  std::vector<int> groups;
  for (const UniqueFd& group : program.groups) groups.push_back(group.get());
  Plan plan{&program,
            arguments.data(),
            environment.data(),
            {program.fds, program.home.get(), groups, program.limits, program.files, program.subreaper, ::getpid(),
             program.directory.empty() ? nullptr : program.directory.c_str()}};
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
