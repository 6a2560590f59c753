// What the host asks of the shim, one function a message.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "worker/platform/seqpacket.h"
#include "worker/platform/system.h"
#include "worker/shim/process_tree.h"
#include "worker/shim/segments.h"
#include "worker/shim/shim.h"

namespace puma::shim {
namespace {

constexpr size_t kWorkerQueue = 8192;  // messages

std::vector<std::string> WorkerEnvironment(const std::string& state_id, const RunId& id) {
  std::vector<std::string> environment{"PUMA_STATE=" + state_id, "PUMA_RUN=" + LabelOf(id)};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("PUMA_STATE=") && !text.starts_with("PUMA_RUN=") && !text.starts_with("NOTIFY_SOCKET="))
      environment.emplace_back(text);
  }
  return environment;
}

std::vector<SharedFd> ShareAll(std::vector<UniqueFd>& fds) {
  std::vector<SharedFd> shared;
  for (UniqueFd& fd : fds) shared.push_back(Share(std::move(fd)));
  return shared;
}

struct Pipe {
  UniqueFd read, write;
  bool Open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read.reset(fds[0]);
    write.reset(fds[1]);
    return true;
  }
};

}  // namespace

void Shim::OnHostMessage(Incoming& message) {
  if (message.kind == Incoming::Kind::kBad) return Refuse(message, EPROTO, message.fault);
  if (message.header.type == Type::kHello) return OnHello(message);
  if (!host_.said_hello) return Refuse(message, EPROTO, "Hello comes first");
  switch (message.header.type) {
    case Type::kGetInventory:
      host_.inventory = Host::Inventory::kRuns;
      host_.inventory_begun = false;
      host_.inventory_reply_to = message.header.sequence;
      host_.runs_sent = host_.segments_sent = 0;
      return;
    case Type::kSpawn:
      return OnSpawn(message);
    case Type::kStartTask:
      return OnStartTask(message);
    case Type::kAttach:
      return OnAttach(message);
    case Type::kEndLane:
      return OnForward<EndLane>(message, Type::kEndLane, &EndLane::length);
    case Type::kGateDown:
      return OnForward<GateDown>(message, Type::kGateDown, nullptr);
    case Type::kLeaveLane:
      return OnForward<LeaveLane>(message, Type::kLeaveLane, nullptr);
    case Type::kSignal:
      return OnSignalOrder(message);
    case Type::kKillTree:
      return OnKillTree(message);
    case Type::kDropSegments:
      return OnDropSegments(message);
    case Type::kAckExit:
      return OnAckExit(message);
    case Type::kShutdown: {
      Shutdown order;
      std::span<const std::byte> rest;
      if (!Split(message, 0, order, rest)) return Refuse(message, EPROTO, "Shutdown: wrong length");
      return End(0, order.kill_workers != 0);
    }
    case Type::kPing: {
      Ping ping;
      std::span<const std::byte> rest;
      if (!Split(message, 0, ping, rest)) return Refuse(message, EPROTO, "Ping: wrong length");
      return ToHost(Compose(Type::kPong, Pong{ping.value}, {}, {}, message.header.sequence));
    }
    default:
      return Refuse(message, EPROTO, "unknown type");
  }
}

void Shim::Refuse(const Incoming& message, int error, std::string_view text) {
  std::fprintf(stderr, "puma-shim: message %llu of type %u of the host refused: %.*s\n",
               static_cast<unsigned long long>(message.header.sequence), static_cast<unsigned>(message.header.type),
               static_cast<int>(text.size()), text.data());
  const Outgoing answer = Compose(Type::kError, Error{error, static_cast<uint32_t>(text.size())}, {}, Bytes(text), message.header.sequence);
  if (!host_.socket_ended) host_.peer.Send(answer);  // also before Hello
}

void Shim::OnHello(Incoming& message) {
  Hello hello;
  std::span<const std::byte> rest;
  if (!Split(message, 0, hello, rest)) return Refuse(message, EPROTO, "Hello: wrong length");
  if (!table_.has_store_id) std::copy(std::begin(hello.store_id), std::end(hello.store_id), table_.store_id.begin());
  table_.has_store_id = true;
  host_.said_hello = true;
  Welcome welcome{};
  std::copy(table_.store_id.begin(), table_.store_id.end(), welcome.store_id);
  std::copy(instance_.begin(), instance_.end(), welcome.shim_instance);
  welcome.shim_pid = ::getpid();
  welcome.descriptor_budget = static_cast<int32_t>(std::min<rlim_t>(files_.rlim_max, 1 << 30));
  welcome.features = kFeatureNoNewPrivs | kFeatureRlimits | cgroups_.features();
  welcome.host_incarnation = host_.count;
  ToHost(Compose(Type::kWelcome, welcome, {}, {}, message.header.sequence));
}

void Shim::AnswerSpawn(const RunId& id, uint64_t reply_to, int error, SpawnStep step) {
  SpawnResult result{id, 0, error, step, 0};
  std::vector<SharedFd> fds;
  if (const RunEntry* run = table_.Find(id); run != nullptr && error == 0) {
    result.pid = run->pid;
    fds = {run->doorbell, run->pidfd};
  }
  ToHost(Compose(Type::kSpawnResult, result, std::move(fds), {}, reply_to));
}

// The same ticket gets the same answer; of each key there is at most one run, and none comes twice.
void Shim::OnSpawn(Incoming& message) {
  Spawn spawn;
  std::span<const std::byte> rest;
  if (!Split(message, 1, spawn, rest) || !rest.empty()) return Refuse(message, EPROTO, "Spawn: wrong length or descriptors");
  const uint64_t reply_to = message.header.sequence;
  const auto last = table_.last_runs.find(spawn.id.key);
  const bool repeated = last != table_.last_runs.end() && last->second.run == spawn.id.run && last->second.ticket == spawn.id.ticket;
  if (repeated && last->second.error != 0) return AnswerSpawn(spawn.id, reply_to, last->second.error, last->second.step);
  if (repeated && table_.Find(spawn.id) != nullptr) return AnswerSpawn(spawn.id, reply_to, 0, SpawnStep::kNone);
  if (table_.runs.contains(spawn.id.key) || (last != table_.last_runs.end() && spawn.id.run <= last->second.run)) {
    return AnswerSpawn(spawn.id, reply_to, EBUSY, SpawnStep::kRefused);
  }
  if (ending_) return AnswerSpawn(spawn.id, reply_to, ESHUTDOWN, SpawnStep::kRefused);
  if (const char* fault = HostSegmentFault(message.fds[0].get()); *fault != '\0') {
    std::fprintf(stderr, "puma-shim: Spawn: host segment: %s\n", fault);
    return AnswerSpawn(spawn.id, reply_to, EINVAL, SpawnStep::kRefused);
  }
  SpawnStep step = SpawnStep::kNone;
  const int error = StartWorker(spawn, std::move(message.fds[0]), step);
  table_.last_runs[spawn.id.key] = {spawn.id.run, spawn.id.ticket, error, step};
  AnswerSpawn(spawn.id, reply_to, error, step);
}

int Shim::StartWorker(const Spawn& spawn, UniqueFd host_segment, SpawnStep& step) {
  step = SpawnStep::kPipes;
  Pipe out, err;
  UniqueFd doorbell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto [ours, theirs] = SeqpacketPair();
  if (!doorbell.valid() || !ours.valid() || !out.Open() || !err.Open()) return errno != 0 ? errno : EMFILE;
  const int on = 1;
  ::setsockopt(ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));  // only the leader's words count

  Program program;
  program.path = settings_.worker;
  program.arguments = {"puma-worker", std::string(spawn.name, ::strnlen(spawn.name, sizeof(spawn.name)))};
  program.environment = WorkerEnvironment(settings_.state_id, spawn.id);
  program.fds = {{null_.get(), 0},
                 {out.write.get(), 1},
                 {err.write.get(), 2},
                 {theirs.get(), kWorkerSocket},
                 {host_segment.get(), kWorkerHostSegment},
                 {doorbell.get(), kWorkerDoorbell},
                 {out.read.get(), kWorkerStdout},
                 {err.read.get(), kWorkerStderr}};
  program.limits = spawn.limits;
  program.files = files_;
  program.subreaper = true;
  const std::string label = LabelOf(spawn.id);
  step = SpawnStep::kCgroup;
  const int group_error = cgroups_.Make(label, spawn.limits, program.home, program.groups);
  cgroups_.TakeOver(program.limits);
  Started started;
  if (group_error == 0) {
    template_.Prepare(program);
    auto forked = template_.Fork(program, label);
    started = forked ? *std::move(forked) : Execute(program);
    step = started.step;
  }
  if (group_error != 0 || started.error != 0) {
    cgroups_.Remove(label);
    return group_error != 0 ? group_error : started.error;
  }

  RunEntry run;
  run.id = spawn.id;
  run.pid = started.pid;
  run.slots = spawn.slots;
  run.start_boot_ns = BootNanos();
  std::copy(std::begin(spawn.label), std::end(spawn.label), run.label.begin());
  Grant control{};
  control.segment = spawn.control_segment;
  control.kind = SegmentKind::kControl;
  control.max_bytes = ~uint64_t{0};
  run.grants[control.segment] = GrantEntry{control};
  run.host_segment = Share(std::move(host_segment));
  run.doorbell = Share(std::move(doorbell));
  run.pidfd = Share(std::move(started.pidfd));
  run.out = Share(std::move(out.read));
  run.err = Share(std::move(err.read));
  table_.leaders[run.pid] = spawn.id.key;
  Watch(ours.get(), static_cast<uint64_t>(run.pid), false, true);
  workers_[spawn.id.key] = Peer(std::move(ours), kWorkerQueue);
  table_.runs[spawn.id.key] = std::move(run);
  return 0;
}

void Shim::OnStartTask(Incoming& message) {
  StartTask order;
  std::span<const std::byte> rest;
  if (!Split(message, 1, order, rest) || order.grant_count > kMaxGrants || rest.size() != order.grant_count * sizeof(Grant)) {
    return Refuse(message, EPROTO, "StartTask: wrong length or descriptors");
  }
  RunEntry* run = table_.Find(order.id);
  if (run == nullptr || run->state != RunState::kLive) return Refuse(message, ESRCH, "StartTask: no such run");
  std::vector<Grant> grants(order.grant_count);
  if (!grants.empty()) std::memcpy(grants.data(), rest.data(), rest.size());
  for (const Grant& grant : grants) {
    const auto known = run->grants.find(grant.segment);
    const bool elsewhere = table_.segments.contains(grant.segment) && (known == run->grants.end() || !known->second.used);
    if (elsewhere || grant.segment == 0 || (grant.kind != SegmentKind::kPage && grant.kind != SegmentKind::kLane)) {
      return Refuse(message, EINVAL, "StartTask: a grant has a bad kind, or a segment id that is in use");
    }
  }
  // What the slot's earlier task was granted and did not use is void.
  std::erase_if(run->grants, [&](const auto& entry) {
    const GrantEntry& grant = entry.second;
    return grant.grant.kind != SegmentKind::kControl && grant.grant.slot == order.slot && !grant.used;
  });
  for (const Grant& grant : grants) run->grants.try_emplace(grant.segment, GrantEntry{grant, order.task, order.task_run, false});
  ToWorker(*run, Compose(Type::kStartTask, order, ShareAll(message.fds), rest), message);
}

void Shim::OnAttach(Incoming& message) {
  Attach order;
  std::span<const std::byte> rest;
  if (!Split(message, 0, order, rest) || !rest.empty()) return Refuse(message, EPROTO, "Attach: wrong length or descriptors");
  RunEntry* run = table_.Find(order.to);
  if (run == nullptr || run->state != RunState::kLive) return Refuse(message, ESRCH, "Attach: no such run");
  const auto segment = table_.segments.find(order.segment);
  if (segment == table_.segments.end()) return Refuse(message, ENOENT, "Attach: no such segment");
  if (segment->second.item.kind == SegmentKind::kControl) return Refuse(message, EINVAL, "Attach: control segments are the host's");
  ToWorker(*run, Compose(Type::kAttach, order, {segment->second.fd}), message);
}

template <class T>
void Shim::OnForward(Incoming& message, Type type, uint32_t T::*length) {
  T order;
  std::span<const std::byte> rest;
  if (!Split(message, 0, order, rest) || rest.size() != (length == nullptr ? 0 : order.*length)) {
    return Refuse(message, EPROTO, "wrong length or descriptors");
  }
  RunEntry* run = table_.Find(order.to);
  if (run == nullptr || run->state != RunState::kLive) return Refuse(message, ESRCH, "no such run");
  ToWorker(*run, Compose(type, order, {}, rest), message);
}

void Shim::OnSignalOrder(Incoming& message) {
  Signal order;
  std::span<const std::byte> rest;
  if (!Split(message, 0, order, rest)) return Refuse(message, EPROTO, "Signal: wrong length");
  RunEntry* run = table_.Find(order.id);
  if (run == nullptr || run->state != RunState::kLive) return Refuse(message, ESRCH, "Signal: no such run");
  const int error = PidfdSendSignal(run->pidfd->get(), order.signal);
  if (error != 0 && error != ESRCH) return Refuse(message, error, "Signal: not sent");
  for (int deadly : {SIGTERM, SIGKILL, SIGABRT, SIGINT, SIGQUIT, SIGHUP}) run->killed_by_host |= order.signal == deadly;
}

void Shim::OnKillTree(Incoming& message) {
  KillTree order;
  std::span<const std::byte> rest;
  if (!Split(message, 0, order, rest)) return Refuse(message, EPROTO, "KillTree: wrong length");
  RunEntry* run = table_.Find(order.id);
  if (run == nullptr) return Refuse(message, ESRCH, "KillTree: no such run");
  if (run->state != RunState::kLive) return;  // its orphans are killed unasked
  run->killed_by_host = true;
  EndRun(*run);
}

void Shim::OnDropSegments(Incoming& message) {
  DropSegments order;
  std::span<const std::byte> rest;
  if (!Split(message, 0, order, rest) || rest.size() % sizeof(uint64_t) != 0 || rest.size() / sizeof(uint64_t) != order.count) {
    return Refuse(message, EPROTO, "DropSegments: wrong length");
  }
  for (size_t i = 0; i < order.count; ++i) {
    uint64_t segment;
    std::memcpy(&segment, rest.data() + i * sizeof(segment), sizeof(segment));
    table_.segments.erase(segment);
  }
}

void Shim::OnAckExit(Incoming& message) {
  AckExit order;
  std::span<const std::byte> rest;
  if (!Split(message, 0, order, rest)) return Refuse(message, EPROTO, "AckExit: wrong length");
  const RunEntry* run = table_.Find(order.id);
  if (run == nullptr) return;  // acknowledged already
  if (run->state != RunState::kExited) return Refuse(message, EBUSY, "AckExit: the run is not over");
  if (run->exit->exit_sequence != order.exit_sequence) return Refuse(message, EINVAL, "AckExit: of another exit");
  table_.runs.erase(order.id.key);
}

}  // namespace puma::shim
