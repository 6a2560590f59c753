// A worker's words, and its end.
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "worker/platform/system.h"
#include "worker/shim/process_tree.h"
#include "worker/shim/segments.h"
#include "worker/shim/shim.h"

namespace puma::shim {
namespace {

constexpr int kLastWords = 4096;  // messages that a dead worker's socket is read for; its orphans could write for ever

int64_t Micros(const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; }

}  // namespace

void Shim::ToWorker(RunEntry& run, Outgoing message, const Incoming& order) {
  Peer& peer = workers_.at(run.id.key);
  if (!peer.Send(std::move(message))) return Refuse(order, ENOBUFS, "the worker does not read its messages");
  if (peer.open() && peer.waiting() != 0) Watch(peer.socket(), static_cast<uint64_t>(run.pid), true, false);
  retry_ |= peer.crowded();
}

void Shim::ReadWorker(RunEntry& run, int at_most) {
  Peer& peer = workers_.at(run.id.key);
  for (int i = 0; i < at_most && peer.open(); ++i) {
    Incoming message = Receive(peer.socket());
    if (message.kind == Incoming::Kind::kNothing) return;
    if (message.kind == Incoming::Kind::kClosed) return peer.Close();  // no death: that is learned from the kernel
    if (message.sender == run.pid) OnWorkerMessage(run, message);      // a forked child's words count for nothing
  }
}

void Shim::OnWorkerMessage(RunEntry& run, Incoming& message) {
  std::span<const std::byte> rest;
  const char* fault = message.fault;
  if (message.kind == Incoming::Kind::kMessage) {
    WorkerFailed failed;
    Attached attached;
    WorkerHello hello;
    switch (message.header.type) {
      case Type::kWorkerHello:
        if (Split(message, 0, hello, rest)) return;
        break;
      case Type::kOffer:
        if (message.fds.size() == 1 && message.body.size() == sizeof(Offer)) return OnOffer(run, message);
        break;
      case Type::kAttached:
        if (!Split(message, 0, attached, rest)) break;
        attached.id = run.id;
        return ToHost(Compose(Type::kAttached, attached));
      case Type::kWorkerFailed:
        if (!Split(message, 0, failed, rest) || failed.length != rest.size()) break;
        return ReportFailure(run, failed.slot, {reinterpret_cast<const char*>(rest.data()), rest.size()});
      default:
        break;
    }
    fault = "unknown type, or wrong length or descriptors";
  }
  // Who can't speak the protocol can't be led.
  ReportFailure(run, 0, std::string("worker: message refused: ") + fault);
  if (run.state == RunState::kLive) EndRun(run);
}

void Shim::ReportFailure(RunEntry& run, uint32_t slot, std::string_view text) {
  std::fprintf(stderr, "puma-shim: worker %d (key %llu, run %llu): %.*s\n", run.pid, static_cast<unsigned long long>(run.id.key),
               static_cast<unsigned long long>(run.id.run), static_cast<int>(text.size()), text.data());
  run.failure = Compose(Type::kWorkerFailed, WorkerFailed{run.id, slot, static_cast<uint32_t>(text.size())}, {}, Bytes(text));
  ToHost(*run.failure);
}

// The label comes from the grant, never from the worker.
void Shim::OnOffer(RunEntry& run, Incoming& message) {
  Offer offer;
  std::memcpy(&offer, message.body.data(), sizeof(offer));
  if (offer.kind == SegmentKind::kControl && offer.segment == 0) {  // a worker has one W, and was not told its id
    for (const auto& [id, entry] : run.grants) {
      if (entry.grant.kind == SegmentKind::kControl) offer.segment = id;
    }
  }
  const auto granted = run.grants.find(offer.segment);
  const char* fault = "";
  uint64_t bytes = 0;
  if (granted == run.grants.end() || granted->second.grant.kind != offer.kind || granted->second.grant.slot != offer.slot) {
    fault = "not granted";
  } else if (granted->second.used || table_.segments.contains(offer.segment)) {
    fault = "offered before";
  } else {
    fault = OfferFault(message.fds[0].get(), granted->second.grant.max_bytes, bytes);
  }
  if (*fault != '\0') {
    return ReportFailure(run, offer.slot, "worker: segment " + std::to_string(offer.segment) + " refused: " + fault);
  }
  GrantEntry& grant = granted->second;
  grant.used = true;
  SegmentEntry& entry = table_.segments[offer.segment];
  entry.item.owner = run.id;
  entry.item.segment = offer.segment;
  entry.item.kind = grant.grant.kind;
  entry.item.slot = grant.grant.slot;
  entry.item.task = grant.task;
  entry.item.task_run = grant.task_run;
  entry.item.bytes = bytes;
  std::memcpy(entry.item.label, grant.grant.label, sizeof(entry.item.label));
  entry.fd = Share(std::move(message.fds[0]));
  ToHost(Compose(Type::kSegmentOffered, entry.item, {entry.fd}));
}

// All of a living run, whatever it has started.
void Shim::EndRun(const RunEntry& run) {
  cgroups_.Kill(LabelOf(run.id));
  EndTree(run.pid);
}

// Looked at, written down, reaped: in this order.
void Shim::OnLeaderDeath(RunEntry& run) {
  ReadWorker(run, kLastWords);
  siginfo_t info{};
  rusage usage{};
  ::syscall(SYS_waitid, P_PID, run.pid, &info, WEXITED | WNOHANG | WNOWAIT, &usage);
  Exited exit{};
  exit.id = run.id;
  exit.exit_sequence = table_.next_exit_sequence++;
  exit.code = info.si_code == CLD_EXITED ? info.si_status : 0;
  exit.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  exit.core_dumped = info.si_code == CLD_DUMPED ? 1 : 0;
  exit.killed_by_host = run.killed_by_host ? 1 : 0;
  exit.out_of_memory = cgroups_.OutOfMemory(LabelOf(run.id)) ? 1 : 0;
  exit.user_us = Micros(usage.ru_utime);
  exit.system_us = Micros(usage.ru_stime);
  exit.max_rss_bytes = int64_t{usage.ru_maxrss} * 1024;
  exit.end_boot_ns = BootNanos();
  run.exit = exit;
  run.state = RunState::kLeaderDead;
  ::waitid(P_PID, static_cast<id_t>(run.pid), &info, WEXITED | WNOHANG);
  table_.leaders.erase(run.pid);
  workers_.erase(run.id.key);
  cgroups_.Kill(LabelOf(run.id));
  sweep_ = true;
  for (const auto& [id, segment] : table_.segments) {
    const RunId& owner = segment.item.owner;
    if (owner.key == run.id.key && owner.run == run.id.run) WakeSleepers(segment.fd->get(), segment.item.kind);
  }
  ToHost(Compose(Type::kExited, exit));
}

// Nobody of the run is left.
void Shim::Finish(RunEntry& run) {
  run.state = RunState::kExited;
  run.grants.clear();
  cgroups_.Remove(LabelOf(run.id));
  ToHost(Compose(Type::kTreeEmpty, TreeEmpty{*run.exit}, {run.out, run.err}));
}

}  // namespace puma::shim
