#include "worker/shim/shim.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "worker/platform/system.h"
#include "worker/shim/process_tree.h"

namespace puma::shim {
namespace {

constexpr uint64_t kHostTag = 1ULL << 32, kSignalTag = 2ULL << 32;  // below: the pid of a worker
constexpr int kMessagesATurn = 64;
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kWorkerGraceNs = 2000 * kMs, kHostGraceNs = 5000 * kMs;
constexpr int kSweepMs = 20, kRetryMs = 10;

}  // namespace

void PrepareDescriptors() {
  ::syscall(SYS_close_range, 3, ~0U, 0);
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    if (fd >= kFirstFreeFd) {
      ::close(fd);
      return;
    }
  }
}

Shim::Shim(Settings settings) : settings_(std::move(settings)), cgroups_(Cgroups::Take(settings_.state_id)) {}

bool Shim::Prepare() {
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&wanted, signal);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  ::getrlimit(RLIMIT_NOFILE, &files_);
  const rlimit all{files_.rlim_max, files_.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &all);
  (void)!::getrandom(instance_.data(), instance_.size(), 0);
  null_.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  signals_.reset(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!null_.valid() || !signals_.valid() || !epoll_.valid()) return false;
  Watch(signals_.get(), kSignalTag, false, true);
  return true;
}

int Shim::Run() {
  if (!Prepare()) return std::perror("puma-shim: epoll, signalfd or /dev/null"), 1;
  StartHost();
  while (!Ended()) Turn();
  template_.End();
  return exit_code_;
}

void Shim::Watch(int fd, uint64_t tag, bool writable, bool add) {
  epoll_event event{};
  event.events = writable ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = tag;
  ::epoll_ctl(epoll_.get(), add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
}

// One round of the loop: what has happened, then what is due.
void Shim::Turn() {
  epoll_event events[64];
  const int count = ::epoll_wait(epoll_.get(), events, 64, TimeoutMs());
  bool signalled = false;
  for (int i = 0; i < count; ++i) {
    const uint64_t tag = events[i].data.u64;
    if (tag == kSignalTag) {
      signalled = true;  // after the messages: a dead worker's last words come before its death
    } else if (tag == kHostTag) {
      if ((events[i].events & EPOLLOUT) != 0) FlushHost();
      if ((events[i].events & ~EPOLLOUT) != 0) ReadHost(kMessagesATurn);
    } else if (const auto leader = table_.leaders.find(static_cast<int32_t>(tag)); leader != table_.leaders.end()) {
      RunEntry& run = table_.runs.at(leader->second);
      Peer& peer = workers_.at(leader->second);
      if ((events[i].events & EPOLLOUT) != 0 && peer.open() && peer.Flush()) Watch(peer.socket(), tag, false, false);
      if ((events[i].events & ~EPOLLOUT) != 0) ReadWorker(run, kMessagesATurn);
    }
  }
  if (signalled) OnSignals();
  if (retry_) {
    retry_ = false;
    FlushHost();
    for (auto& [key, peer] : workers_) retry_ |= peer.open() && !peer.Flush() && peer.crowded();
  }
  ContinueInventory();
  if (sweep_) Sweep();
  if (host_.pid < 0 && !ending_ && MonotonicNanos() >= host_.next_start_ns) StartHost();
  if (ending_) ContinueEnd();
}

int Shim::TimeoutMs() const {
  if (host_.inventory != Host::Inventory::kNone && host_.peer.waiting() == 0) return 0;
  if (sweep_) return kSweepMs;
  if (retry_) return kRetryMs;
  if (ending_) return 50;
  if (host_.pid >= 0) return -1;
  return static_cast<int>(std::clamp<int64_t>((host_.next_start_ns - MonotonicNanos()) / kMs + 1, 0, 10000));
}

void Shim::OnSignals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) End(0, /*at_once=*/ending_);
  }
  Reap();
}

// Looks at each dead child before it is reaped, so that nothing that was learned can be lost in between.
void Shim::Reap() {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) break;
    const int pid = info.si_pid;
    if (pid == host_.pid) {
      OnHostDeath();
    } else if (const auto leader = table_.leaders.find(pid); leader != table_.leaders.end()) {
      OnLeaderDeath(table_.runs.at(leader->second));
    } else {
      if (template_.Is(pid)) template_.Reaped();
      ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    }
  }
  sweep_ = true;
}

// Children that we did not start are orphans of a dead run, or of a dead host: their worker would have got them, if it lived. They are
// killed, and until the last one is reaped their run is not over. An orphan that does not say whose it is counts for all dead runs.
void Shim::Sweep() {
  bool anonymous = false;
  std::vector<std::string> labels;
  for (int child : ChildrenOf(::getpid())) {
    if (child == host_.pid || table_.leaders.contains(child) || template_.Is(child)) continue;
    std::string label = EnvironmentOf(child, "PUMA_RUN");
    anonymous |= label.empty();
    labels.push_back(std::move(label));
    EndTree(child);
  }
  sweep_ = !labels.empty();
  for (auto& [key, run] : table_.runs) {
    if (run.state != RunState::kLeaderDead) continue;
    const std::string label = LabelOf(run.id);
    const bool empty = cgroups_.Empty(label);
    if (!empty) cgroups_.Kill(label);
    if (!empty || anonymous || std::find(labels.begin(), labels.end(), label) != labels.end()) {
      sweep_ = true;
    } else {
      Finish(run);
    }
  }
}

void Shim::End(int code, bool at_once) {
  const int64_t now = MonotonicNanos();
  if (!ending_) {
    ending_ = true;
    exit_code_ = code;
    kill_workers_ns_ = now + kWorkerGraceNs;
    kill_host_ns_ = now + kHostGraceNs;
    if (host_.pid >= 0) PidfdSendSignal(host_.pidfd.get(), SIGTERM);
    for (const auto& [pid, key] : table_.leaders) PidfdSendSignal(table_.runs.at(key).pidfd->get(), SIGTERM);
  }
  if (at_once) kill_workers_ns_ = kill_host_ns_ = now;
}

void Shim::ContinueEnd() {
  const int64_t now = MonotonicNanos();
  if (now >= kill_workers_ns_ && !workers_killed_) {
    workers_killed_ = true;
    for (const auto& [pid, key] : table_.leaders) EndRun(table_.runs.at(key));
  }
  if (now >= kill_host_ns_ && host_.pid >= 0) EndTree(host_.pid);
}

bool Shim::Ended() const { return ending_ && host_.pid < 0 && table_.leaders.empty() && !sweep_; }

}  // namespace puma::shim
