#include "worker/exec/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/platform/system.h"
#include "worker/shim/execute.h"
#include "worker/shim/process_tree.h"

namespace puma::exec {
namespace {

std::vector<std::string> EnvironmentWith(const std::map<std::string, std::string>& additions) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!additions.contains(std::string(text.substr(0, text.find('='))))) environment.emplace_back(text);
  }
  for (const auto& [name, value] : additions) environment.push_back(name + "=" + value);
  return environment;
}

std::string StepText(shim::SpawnStep step, const ProgramSpec& spec) {
  switch (step) {
    case shim::SpawnStep::kExec:
      return fmt::format("{} can't be executed", spec.path);
    case shim::SpawnStep::kDirectory:
      return fmt::format("{} can't run in {}", spec.path, spec.directory);
    default:
      return fmt::format("no process for {}", spec.path);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Program>> Program::Start(const ProgramSpec& spec, std::function<void()> ended) {
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  shim::Program program{.path = spec.path, .arguments = {spec.path}, .environment = EnvironmentWith(spec.environment)};
  program.arguments.insert(program.arguments.end(), spec.arguments.begin(), spec.arguments.end());
  program.directory = spec.directory;
  const UniqueFd input(::fcntl(spec.input >= 0 ? spec.input : null.get(), F_DUPFD_CLOEXEC, shim::kFirstFreeFd));
  if (!input.valid()) return ErrnoStatus(errno, "the program's standard input");
  program.fds = {{input.get(), STDIN_FILENO}};
  UniqueFd output;
  if (spec.output >= 0) {
    output.reset(::fcntl(spec.output, F_DUPFD_CLOEXEC, shim::kFirstFreeFd));
    if (!output.valid()) return ErrnoStatus(errno, "the program's standard output");
    program.fds.emplace_back(output.get(), STDOUT_FILENO);
  }
  shim::Started started = shim::Execute(program);
  if (started.error != 0) return ErrnoStatus(started.error, StepText(started.step, spec));
  std::unique_ptr<Program> made(new Program(started.pid, std::move(started.pidfd), std::move(ended)));
  made->reaper_ = std::thread([self = made.get()] {
    NameThread("puma-reaper");
    self->Reap();
  });
  return made;
}

Program::Program(int pid, UniqueFd pidfd, std::function<void()> when_ended)
    : pid_(pid), pidfd_(std::move(pidfd)), when_ended_(std::move(when_ended)) {}

Program::~Program() {
  (void)SignalGroup(SIGKILL);
  Wait();
}

absl::Status Program::Signal(int signal) { return Send(pid_, signal); }
absl::Status Program::SignalGroup(int signal) { return Send(-pid_, signal); }

absl::Status Program::Send(int to, int signal) {
  MutexLock lock(mutex_);
  if (reaped_) return absl::FailedPreconditionError("the program has ended");
  if (::kill(to, signal) != 0) return ErrnoStatus(errno, fmt::format("signal {} to process {}", signal, pid_));
  return absl::OkStatus();
}

ProgramEnd Program::Wait() {
  if (reaper_.joinable()) reaper_.join();
  return end_;
}

// ---- the reaper's thread
// -----------------------------------------------------------------------------------------------------------------

void Program::Reap() {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      break;  // there is no child: cannot be
    }
    const bool ours = info.si_pid == pid_;
    if (ours) EndLeftBehind();  // while nobody can have its number
    MutexLock lock(mutex_);
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED);
    if (!ours) continue;
    reaped_ = true;
    (info.si_code == CLD_EXITED ? end_.code : end_.signal) = info.si_status;
    end_.core_dumped = info.si_code == CLD_DUMPED;
    break;
  }
  ended_.store(true, std::memory_order_release);  // with ended()
  when_ended_();
}

void Program::EndLeftBehind() const {
  for (const int child : shim::ChildrenOf(::getpid())) {
    if (child != pid_) shim::EndTree(child);
  }
}

}  // namespace puma::exec
