// The host's life: start, death, restart; what is sent to it, and the inventory that its successor gets.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "worker/platform/seqpacket.h"
#include "worker/platform/system.h"
#include "worker/shim/process_tree.h"
#include "worker/shim/shim.h"

namespace puma::shim {
namespace {

constexpr uint64_t kHostTag = 1ULL << 32;
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kFirstBackoffNs = 50 * kMs, kLastBackoffNs = 2000 * kMs, kGoodLifeNs = 1000 * kMs;
constexpr size_t kHostQueue = 16384;  // messages; who leaves so many unread is replaced, and its successor takes the inventory
constexpr size_t kInventoryAtOnce = 64;
constexpr int kBadConfiguration = 78;  // EX_CONFIG
constexpr int kSocketBytes = 1 << 20;

std::vector<std::string> HostEnvironment(const std::string& state_id) {
  std::vector<std::string> environment{"PUMA_STATE=" + state_id};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "PUMA_STATE=", 11) != 0 && std::strncmp(*entry, "PUMA_RUN=", 9) != 0) environment.emplace_back(*entry);
  }
  return environment;
}

}  // namespace

void Shim::StartHost() {
  auto [ours, theirs] = SeqpacketPair();
  if (!ours.valid()) return void(host_.next_start_ns = MonotonicNanos() + kLastBackoffNs);
  ::setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof(kSocketBytes));
  Program program;
  program.path = settings_.host;
  program.arguments = {"puma-host", "--serve"};
  program.arguments.insert(program.arguments.end(), settings_.host_arguments.begin(), settings_.host_arguments.end());
  program.environment = HostEnvironment(settings_.state_id);
  program.files = files_;
  program.files.rlim_cur = files_.rlim_max;
  program.fds = {{null_.get(), 0}};
  if (!settings_.foreground_output) program.fds.emplace_back(null_.get(), 1);
  program.fds.emplace_back(theirs.get(), kHostSocket);
  Started started = Execute(program);
  if (started.error != 0) {
    std::fprintf(stderr, "puma-shim: can't start the host %s: %s\n", settings_.host.c_str(), std::strerror(started.error));
    if (host_.count == 0) return End(1, true);
    host_.backoff_ns = std::clamp(host_.backoff_ns * 2, kFirstBackoffNs, kLastBackoffNs);
    host_.next_start_ns = MonotonicNanos() + host_.backoff_ns;
    return;
  }
  Host next;
  next.pid = started.pid;
  next.pidfd = std::move(started.pidfd);
  next.peer = Peer(std::move(ours), kHostQueue);
  next.count = host_.count + 1;
  next.started_ns = MonotonicNanos();
  next.backoff_ns = host_.backoff_ns;
  host_ = std::move(next);
  Watch(host_.peer.socket(), kHostTag, false, true);
}

void Shim::ReadHost(int at_most) {
  for (int i = 0; i < at_most && host_.peer.open() && !host_.socket_ended; ++i) {
    Incoming message = Receive(host_.peer.socket());
    if (message.kind == Incoming::Kind::kNothing) return;
    if (message.kind == Incoming::Kind::kClosed) {
      // A host without its socket is no host. Its death starts the next one.
      host_.socket_ended = true;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, host_.peer.socket(), nullptr);
      if (!ending_) PidfdSendSignal(host_.pidfd.get(), SIGKILL);
      return;
    }
    OnHostMessage(message);
  }
}

void Shim::OnHostDeath() {
  // What it had asked for was decided and written down; it is done now, and nothing of it later.
  ReadHost(1 << 20);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(host_.pid), &info, WEXITED);
  const bool had_said_hello = host_.said_hello || table_.has_store_id;
  host_.peer.Close();
  host_.pidfd.reset();
  host_.pid = -1;
  if (ending_) return;
  if (!had_said_hello && info.si_code == CLD_EXITED && info.si_status == kBadConfiguration) return End(kBadConfiguration, true);
  const int64_t now = MonotonicNanos();
  const bool good = host_.said_hello && now - host_.started_ns >= kGoodLifeNs;
  std::fprintf(stderr, "puma-shim: the host ended (%s %d); starting it again\n", info.si_code == CLD_EXITED ? "exit code" : "signal",
               info.si_status);
  // The first death after a good life costs nothing; then 50 ms, doubled to 2 s.
  host_.next_start_ns = now + (good || host_.count == 1 ? 0 : std::max(host_.backoff_ns, kFirstBackoffNs));
  host_.backoff_ns = good || host_.count == 1 ? 0 : std::min(std::max(host_.backoff_ns, kFirstBackoffNs) * 2, kLastBackoffNs);
}

void Shim::ToHost(Outgoing message) {
  if (host_.pid < 0 || !host_.said_hello || host_.socket_ended || host_.overflowed) return;  // the next one takes the inventory
  if (!host_.peer.Send(std::move(message))) {
    host_.overflowed = true;
    std::fprintf(stderr, "puma-shim: the host has left %zu messages unread; replacing it\n", host_.peer.waiting());
    PidfdSendSignal(host_.pidfd.get(), SIGKILL);
    return;
  }
  if (host_.peer.waiting() != 0) Watch(host_.peer.socket(), kHostTag, true, false);
  retry_ |= host_.peer.crowded();
}

void Shim::FlushHost() {
  if (!host_.peer.open() || host_.socket_ended) return;
  if (host_.peer.Flush()) Watch(host_.peer.socket(), kHostTag, false, false);
  retry_ |= host_.peer.crowded();
}

// As much as the socket takes; the rest when it is writable, or in the next turn.
void Shim::ContinueInventory() {
  using Inventory = Host::Inventory;
  size_t sent = 0;
  while (host_.inventory == Inventory::kRuns && sent < kInventoryAtOnce && host_.peer.waiting() == 0) {
    const auto run = host_.inventory_begun ? table_.runs.upper_bound(host_.inventory_after) : table_.runs.begin();
    host_.inventory_begun = run != table_.runs.end();
    if (!host_.inventory_begun) {
      host_.inventory = Inventory::kSegments;
      break;
    }
    host_.inventory_after = run->first;
    ++host_.runs_sent, ++sent;
    SendRunItem(run->second);
  }
  while (host_.inventory == Inventory::kSegments && sent < kInventoryAtOnce && host_.peer.waiting() == 0) {
    const auto segment = host_.inventory_begun ? table_.segments.upper_bound(host_.inventory_after) : table_.segments.begin();
    host_.inventory_begun = segment != table_.segments.end();
    if (!host_.inventory_begun) {
      host_.inventory = Inventory::kEnd;
      break;
    }
    host_.inventory_after = segment->first;
    ++host_.segments_sent, ++sent;
    ToHost(Compose(Type::kSegmentItem, segment->second.item, {segment->second.fd}, {}, host_.inventory_reply_to));
  }
  if (host_.inventory == Inventory::kEnd) {
    host_.inventory = Inventory::kNone;
    ToHost(Compose(Type::kInventoryEnd, InventoryEnd{host_.runs_sent, host_.segments_sent}, {}, {}, host_.inventory_reply_to));
  }
}

void Shim::SendRunItem(const RunEntry& run) {
  RunItem item{};
  item.id = run.id;
  item.pid = run.pid;
  item.state = run.state;
  item.slots = run.slots;
  item.has_exit = run.exit.has_value() ? 1 : 0;
  item.start_boot_ns = run.start_boot_ns;
  std::copy(run.label.begin(), run.label.end(), item.label);
  std::vector<SharedFd> fds{run.host_segment, run.doorbell};
  if (run.state == RunState::kLive) fds.push_back(run.pidfd);
  if (run.state == RunState::kExited) fds.insert(fds.end(), {run.out, run.err});
  ToHost(Compose(Type::kRunItem, item, std::move(fds), {}, host_.inventory_reply_to));
  if (run.failure) ToHost(*run.failure);
  if (run.exit) ToHost(Compose(Type::kExited, *run.exit));
  if (run.state == RunState::kExited) ToHost(Compose(Type::kTreeEmpty, TreeEmpty{*run.exit}, {run.out, run.err}));
}

}  // namespace puma::shim
