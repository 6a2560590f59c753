// Child processes: this program again, started to run one function. Never plain forks.
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "worker/environment/child_logs.h"
#include "worker/environment/code_address.h"
#include "worker/environment/environment_core.h"
#include "worker/environment/error_text.h"
#include "worker/environment/remote_keeper.h"
#include "worker/environment/remote_party.h"
#include "worker/logging/levels.h"
#include "worker/platform/system.h"
#include "worker/runnable/door.h"

namespace puma {
namespace internal {
namespace {

constexpr size_t kEndBytes = 64 << 10;  // of the error that a child ends with
constexpr std::string_view kChildFlag = "--puma-child=";
std::atomic<bool> initialised{false};

absl::Status HowItEnded(const std::string& name, const siginfo_t& info) {
  if (info.si_code == CLD_EXITED)
    return absl::UnavailableError(
        fmt::format("\"{}\": its process ended with exit code {} before its function returned", name, info.si_status));
  return absl::UnavailableError(
      fmt::format("\"{}\": its process was ended by signal {} ({})", name, info.si_status, ::strsignal(info.si_status)));
}

// What a child tells the one who has started it.
class ChildSocket final : public Served {
 public:
  ChildSocket(UniqueFd socket, std::shared_ptr<ChildListener> listener) : socket_(std::move(socket)), listener_(std::move(listener)) {
    ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  }
  int socket() const override { return socket_.get(); }
  void Started() { started_.store(true, std::memory_order_release); }  // the start packet comes first
  void TellLevels(const std::string& levels) {
    if (started_.load(std::memory_order_acquire)) SendWire(socket_.get(), {.kind = PacketKind::kLevels, .texts = {levels}});
  }
  bool wants_to_send() override { return false; }
  bool Serve(short) override {
    while (true) {
      Packet packet = ReceivePacket(socket_.get());
      if (packet.error == EAGAIN) return true;
      if (packet.error != 0 || packet.bytes.empty()) return false;
      auto read = ReadWire(std::move(packet));
      if (!read.ok()) return false;
      if (read->kind == PacketKind::kRunning) listener_->OnRunning();
      if (read->kind == PacketKind::kNews) listener_->OnNews();
      if (read->kind == PacketKind::kEnded) returned_ = ErrorFromText(read->texts.empty() ? "" : read->texts[0]);
    }
  }
  void Over() override {}
  const std::optional<absl::Status>& returned() const { return returned_; }

 private:
  const UniqueFd socket_;
  const std::shared_ptr<ChildListener> listener_;
  std::atomic<bool> started_{false};
  std::optional<absl::Status> returned_;
};

// Reaps the process and says how it ended, after all that it has said itself.
class ProcessWatch final : public Served {
 public:
  struct Parts {
    std::string name;
    UniqueFd pidfd;
    std::shared_ptr<ChildSocket> socket;
    std::shared_ptr<RemoteParty> party;  // null: the keeper is in another process
    std::shared_ptr<ChildListener> listener;
    uint64_t log = 0;
  };
  explicit ProcessWatch(Parts parts) : parts_(std::move(parts)) {}
  int socket() const override { return parts_.pidfd.get(); }
  bool wants_to_send() override { return false; }
  bool Serve(short) override {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(parts_.pidfd.get()), &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) return true;
    info_ = info;
    return false;
  }
  void Over() override {
    if (parts_.party != nullptr) {
      parts_.party->Serve(0);
      parts_.party->Over();
    }
    parts_.socket->Serve(0);
    ChildLogEnded(parts_.log);
    parts_.listener->OnEnded(parts_.socket->returned().value_or(HowItEnded(parts_.name, info_)));
  }

 private:
  const Parts parts_;
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

namespace {

// The keeper's own process keeps the party, to know of the child's end before the child's end is told.
absl::Status Connect(EnvironmentCore& environment, int pidfd, WirePacket& start, std::shared_ptr<RemoteParty>& party) {
  PartySocket socket;
  if (environment.keeper() != nullptr) {
    auto made = environment.MakeParty(UniqueFd(::fcntl(pidfd, F_DUPFD_CLOEXEC, 0)));
    if (!made.ok()) return made.status();
    socket = std::move(made->socket);
    party = std::move(made->party);
  } else {
    auto made = environment.link().NewParty(pidfd);
    if (!made.ok()) return made.status();
    socket = *std::move(made);
  }
  start.numbers[0] = socket.range;
  start.fds.insert(start.fds.begin(), std::move(socket.socket));
  return absl::OkStatus();
}

absl::StatusOr<WirePacket> StartPacket(ChildStart& child) {
  const void* const code =
      child.main != nullptr ? reinterpret_cast<const void*>(child.main) : reinterpret_cast<const void*>(child.function);
  auto address = AddressOf(code);
  if (!address.ok()) return address.status();
  WirePacket start{.kind = PacketKind::kStart, .numbers = {0, address->offset, child.main != nullptr ? uint64_t{1} : 0}};
  start.texts = {child.name, address->object, address->build_id, ""};
  start.texts.insert(start.texts.end(), child.arguments.begin(), child.arguments.end());
  start.fds = std::move(child.fds);
  return start;
}

}  // namespace

absl::StatusOr<Child> LaunchProcess(const std::shared_ptr<EnvironmentCore>& environment, std::shared_ptr<ChildListener> listener,
                                    ChildStart child) {
  if (!initialised.load(std::memory_order_acquire))
    return absl::FailedPreconditionError("puma::Init(argc, argv) must be called first in main");
  auto start = StartPacket(child);
  if (!start.ok()) return start.status();
  auto [ours, theirs] = SeqpacketPair();
  if (!ours.valid()) return ErrnoStatus(errno, "socketpair");
  auto pid = Spawn(theirs);
  if (!pid.ok()) return pid.status();
  theirs.reset();
  auto socket = std::make_shared<ChildSocket>(std::move(ours), listener);
  ChildLog log = NewChildLog(child.name, [weak = std::weak_ptr(socket)](const std::string& levels) {
    if (auto to = weak.lock()) to->TellLevels(levels);
  });
  start->numbers[3] = log.fds.size();
  start->texts[3] = log.levels;
  start->fds.insert(start->fds.begin(), std::make_move_iterator(log.fds.begin()), std::make_move_iterator(log.fds.end()));
  ProcessWatch::Parts watch{.name = child.name, .pidfd = PidfdOpen(*pid), .log = log.token};
  if (!watch.pidfd.valid()) return ErrnoStatus(errno, "pidfd_open");
  Child launched{*pid, UniqueFd(::fcntl(watch.pidfd.get(), F_DUPFD_CLOEXEC, 0))};
  absl::Status status = Connect(*environment, watch.pidfd.get(), *start, watch.party);
  if (status.ok()) {
    if (const int error = SendWire(socket->socket(), *start); error != 0) status = ErrnoStatus(error, "the arguments of a function");
  }
  socket->Started();
  if (const std::string levels = logging::LevelsForChildren(); levels != log.levels) socket->TellLevels(levels);  // changed meanwhile
  watch.socket = std::move(socket);
  watch.listener = std::move(listener);
  if (!status.ok()) {  // it goes by itself, having nothing to start; and it must be reaped
    PidfdSendSignal(launched.pidfd.get(), SIGKILL);
    struct Nobody final : ChildListener {
      void OnEnded(const absl::Status&) override {}
    };
    watch.listener = std::make_shared<Nobody>();
  }
  environment->broker().Add(watch.socket);
  environment->broker().Add(std::make_shared<ProcessWatch>(std::move(watch)));
  if (!status.ok()) return status;
  return launched;
}

namespace {

absl::Status RunStart(const WirePacket& start, ChildContext context) {
  auto code = CodeAt({.object = start.texts[1], .build_id = start.texts[2], .offset = start.numbers[1]});
  if (!code.ok()) return code.status();
  if (start.numbers[2] != 0) return ThroughDoor([&] { return reinterpret_cast<ChildMain>(*code)(context); });
  const auto function = reinterpret_cast<Environment::Function>(*code);
  Environment environment(context.environment);
  return ThroughDoor([&] { return function(environment, context.arguments); });
}

[[noreturn]] void RunChild(int socket_number) {
  const UniqueFd parent(socket_number);
  ::fcntl(parent.get(), F_SETFD, FD_CLOEXEC);
  auto start = ReadWire(ReceivePacket(parent.get()));
  if (!start.ok() || start->kind != PacketKind::kStart || start->texts.size() < 4 || start->fds.size() <= start->numbers[3]) ::_exit(2);
  NameThread(start->texts[0]);
  const auto others = start->fds.begin() + 1 + static_cast<std::ptrdiff_t>(start->numbers[3]);
  AttachChildLog({std::make_move_iterator(start->fds.begin() + 1), std::make_move_iterator(others)}, start->texts[0], start->texts[3]);
  const uint64_t range = start->numbers[0];
  auto ends = std::make_unique<Ends>(range);
  auto link = std::make_unique<RemoteKeeper>(std::move(start->fds[0]), parent.get(), *ends);
  RemoteKeeper& keeper = *link;
  ends->Connect(link.get());
  ChildContext context;
  context.environment = std::make_shared<EnvironmentCore>(Kind::kProcesses, range, std::move(ends), std::move(link));
  context.maker = context.environment->NewMaker();
  context.arguments.assign(start->texts.begin() + 4, start->texts.end());
  context.fds.assign(std::make_move_iterator(others), std::make_move_iterator(start->fds.end()));
  context.running = [&] { SendWire(parent.get(), {.kind = PacketKind::kRunning}); };
  context.news = [&] { SendWire(parent.get(), {.kind = PacketKind::kNews}); };
  context.when_orphaned = [&](std::function<void()> act) { keeper.WhenLost(std::move(act)); };
  const absl::Status status = RunStart(*start, std::move(context));
  SendWire(parent.get(), {.kind = PacketKind::kEnded, .texts = {TextOfError(status, kEndBytes)}});
  std::exit(status.ok() ? 0 : 1);
}

}  // namespace
}  // namespace internal

void Init(int argc, char** argv) {
  RegisterMembarrier();
  internal::PrintErrorsPlainly();
  internal::initialised.store(true, std::memory_order_release);
  if (argc != 2) return;
  const std::string_view flag = argv[1];
  if (!flag.starts_with(internal::kChildFlag)) return;
  int socket = -1;
  std::from_chars(flag.data() + internal::kChildFlag.size(), flag.data() + flag.size(), socket);
  if (socket > 2) internal::RunChild(socket);
}

}  // namespace puma
