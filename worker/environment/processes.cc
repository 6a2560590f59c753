// Child processes: this program again, started to run one function. Never plain forks.
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "worker/environment/code_address.h"
#include "worker/environment/environment_core.h"
#include "worker/environment/error_text.h"
#include "worker/environment/remote_keeper.h"
#include "worker/environment/remote_party.h"
#include "worker/platform/system.h"
#include "worker/runnable/door.h"

namespace puma {
namespace internal {
namespace {

constexpr std::string_view kChildFlag = "--puma-child=";
std::atomic<bool> initialised{false};

absl::Status HowItEnded(const std::string& name, const siginfo_t& info) {
  if (info.si_code == CLD_EXITED)
    return absl::UnavailableError(
        fmt::format("\"{}\": its process ended with exit code {} before its function returned", name, info.si_status));
  return absl::UnavailableError(
      fmt::format("\"{}\": its process was ended by signal {} ({})", name, info.si_status, ::strsignal(info.si_status)));
}

// Reaps the process and says how it ended.
class ProcessWatch final : public Served {
 public:
  ProcessWatch(UniqueFd pidfd, std::shared_ptr<RemoteParty> party, std::shared_ptr<JobCore> job)
      : pidfd_(std::move(pidfd)), party_(std::move(party)), job_(std::move(job)) {}
  int socket() const override { return pidfd_.get(); }
  bool wants_to_send() override { return false; }
  bool Serve(short) override {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) return true;
    info_ = info;
    return false;
  }
  void Over() override {
    party_->Serve(0);  // what it has sent before
    party_->Over();
    job_->Finish(party_->returned().value_or(HowItEnded(job_->name(), info_)));
  }

 private:
  const UniqueFd pidfd_;
  const std::shared_ptr<RemoteParty> party_;
  const std::shared_ptr<JobCore> job_;
  siginfo_t info_{};
};

absl::StatusOr<int> Spawn(const UniqueFd& socket) {
  const std::string flag = std::string(kChildFlag) + std::to_string(socket.get());
  char* const arguments[] = {program_invocation_name, const_cast<char*>(flag.c_str()), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, socket.get(), socket.get());  // itself: inherited
  int pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(error, "posix_spawn of this program");
  return pid;
}

}  // namespace

absl::Status LaunchProcess(const std::shared_ptr<EnvironmentCore>& environment, const std::shared_ptr<JobCore>& job,
                           Environment::Function function, const std::vector<std::string>& arguments) {
  if (!initialised.load(std::memory_order_acquire))
    return absl::FailedPreconditionError("puma::Init(argc, argv) must be called first in main");
  if (environment->keeper() == nullptr) return absl::FailedPreconditionError("a child launches with an environment of its own");
  auto address = AddressOf(reinterpret_cast<const void*>(function));
  if (!address.ok()) return address.status();
  auto [ours, theirs] = SeqpacketPair();
  if (!ours.valid()) return ErrnoStatus(errno, "socketpair");
  WirePacket start{.kind = PacketKind::kStart, .numbers = {environment->NewRange(), address->offset}};
  start.texts = {job->name(), address->object, address->build_id};
  start.texts.insert(start.texts.end(), arguments.begin(), arguments.end());
  if (const int error = SendWire(ours.get(), start); error != 0) return ErrnoStatus(error, "the arguments of a function");
  auto pid = Spawn(theirs);
  if (!pid.ok()) return pid.status();
  UniqueFd pidfd = PidfdOpen(*pid);
  if (!pidfd.valid()) return ErrnoStatus(errno, "pidfd_open");
  job->SetProcess(*pid, UniqueFd(::fcntl(pidfd.get(), F_DUPFD_CLOEXEC, 0)));
  auto party = std::make_shared<RemoteParty>(*environment->keeper(), environment->broker(), std::move(ours), pidfd.get());
  environment->broker().Add(party);
  environment->broker().Add(std::make_shared<ProcessWatch>(std::move(pidfd), party, job));
  return absl::OkStatus();
}

namespace {

absl::Status RunFunction(const WirePacket& start, const std::shared_ptr<EnvironmentCore>& core) {
  auto code = CodeAt({.object = start.texts[1], .build_id = start.texts[2], .offset = start.numbers[1]});
  if (!code.ok()) return code.status();
  const auto function = reinterpret_cast<Environment::Function>(*code);
  const std::vector<std::string> arguments(start.texts.begin() + 3, start.texts.end());
  Environment environment(core);
  return ThroughDoor([&] { return function(environment, arguments); });
}

[[noreturn]] void RunChild(int socket_number) {
  UniqueFd socket(socket_number);
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  auto start = ReadWire(ReceivePacket(socket.get()));
  if (!start.ok() || start->kind != PacketKind::kStart || start->texts.size() < 3) ::_exit(2);
  NameThread(start->texts[0]);
  auto ends = std::make_unique<Ends>(start->numbers[0]);
  auto link = std::make_unique<RemoteKeeper>(std::move(socket), *ends);
  RemoteKeeper& keeper = *link;
  ends->Connect(link.get());
  auto core = std::make_shared<EnvironmentCore>(Kind::kProcesses, std::move(ends), std::move(link));
  const absl::Status status = RunFunction(*start, core);
  keeper.Ended(status);
  core = nullptr;
  std::exit(status.ok() ? 0 : 1);
}

}  // namespace
}  // namespace internal

void Init(int argc, char** argv) {
  RegisterMembarrier();
  internal::initialised.store(true, std::memory_order_release);
  if (argc != 2) return;
  const std::string_view flag = argv[1];
  if (!flag.starts_with(internal::kChildFlag)) return;
  int socket = -1;
  std::from_chars(flag.data() + internal::kChildFlag.size(), flag.data() + flag.size(), socket);
  if (socket > 2) internal::RunChild(socket);
}

}  // namespace puma
