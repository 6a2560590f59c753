#include "worker/environment/remote_keeper.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "worker/environment/error_text.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(5);

absl::Status Gone() { return absl::UnavailableError("the program that made the buffer has ended"); }

}  // namespace

RemoteKeeper::RemoteKeeper(UniqueFd socket, Ends& ends) : socket_(std::move(socket)), ends_(ends), listener_([this] { Listen(); }) {}

RemoteKeeper::~RemoteKeeper() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  ::shutdown(socket_.get(), SHUT_RD);
  listener_.join();
}

absl::StatusOr<WirePacket> RemoteKeeper::Call(WirePacket packet) {
  {
    MutexLock lock(mutex_);
    if (lost_) return Gone();
    packet.call = ++last_call_;
    calls_[packet.call];
  }
  if (SendWire(socket_.get(), packet) != 0) return Gone();
  MutexLock lock(mutex_);
  while (!lost_ && !calls_[packet.call]) changed_.WaitFor(mutex_, absl::Seconds(1));
  auto answer = std::move(calls_[packet.call]);
  calls_.erase(packet.call);
  if (!answer) return Gone();
  absl::Status status = ErrorFromText(answer->texts.empty() ? "" : answer->texts[0]);
  if (!status.ok()) return status;
  return *std::move(answer);
}

void RemoteKeeper::Ended(const absl::Status& status) {
  SendWire(socket_.get(), {.kind = PacketKind::kEnded, .texts = {TextOfError(status)}});
}

absl::StatusOr<BufferFacts> RemoteKeeper::FindBuffer(std::string_view name) {
  auto answer = Call({.kind = PacketKind::kFindBuffer, .texts = {std::string(name)}});
  if (!answer.ok()) return answer.status();
  if (answer->texts.size() < 3) return absl::DataLossError("an answer without its texts");
  BufferFacts facts;
  facts.id = answer->numbers[0];
  facts.capacity = answer->numbers[1];
  facts.payload_bytes = answer->numbers[2];
  facts.on_full = static_cast<OnFull>(answer->numbers[3]);
  facts.name = answer->texts[1];
  facts.type = answer->texts[2];
  return facts;
}

absl::Status RemoteKeeper::OpenPublisher(uint64_t buffer, uint64_t lane, UniqueFd fd) {
  WirePacket packet{.kind = PacketKind::kOpenPublisher, .numbers = {buffer, lane}};
  packet.fds.push_back(std::move(fd));
  return Call(std::move(packet)).status();
}

// Those without a result are answered too: who returns from them knows that the keeper knows.
void RemoteKeeper::PublisherCompleted(uint64_t lane) { Call({.kind = PacketKind::kPublisherCompleted, .numbers = {lane}}).IgnoreError(); }
void RemoteKeeper::ClosePublisher(uint64_t lane) { Call({.kind = PacketKind::kClosePublisher, .numbers = {lane}}).IgnoreError(); }
void RemoteKeeper::CloseSubscription(uint64_t subscription) {
  Call({.kind = PacketKind::kCloseSubscription, .numbers = {subscription}}).IgnoreError();
}

absl::Status RemoteKeeper::OpenSubscription(SubscriptionRequest request) {
  const uint64_t flags = (request.options.lossy ? 1 : 0) | (request.options.from_now ? 2 : 0);
  WirePacket packet{.kind = PacketKind::kOpenSubscription, .numbers = {request.buffer, request.subscription, flags}};
  packet.texts.push_back(request.options.name);
  packet.fds.push_back(std::move(request.page));
  packet.fds.push_back(std::move(request.sleep));
  return Call(std::move(packet)).status();
}

void RemoteKeeper::LaneDone(uint64_t subscription, uint64_t lane, bool completed) {
  SendWire(socket_.get(), {.kind = PacketKind::kLaneDone, .numbers = {subscription, lane, completed ? uint64_t{1} : 0}});
}
void RemoteKeeper::Delivered(uint64_t subscription) {
  SendWire(socket_.get(), {.kind = PacketKind::kDelivered, .numbers = {subscription}});
}

// ---- the listening thread --------------------------------------------------------------------------------------------------------------

void RemoteKeeper::Listen() {
  NameThread("puma-keeper");
  while (true) {
    Packet packet = ReceivePacket(socket_.get());
    if (packet.error != 0 || packet.bytes.empty()) return Lost();
    auto read = ReadWire(std::move(packet));
    if (!read.ok()) return Lost();
    Handle(*std::move(read));
  }
}

void RemoteKeeper::Lost() {
  {
    MutexLock lock(mutex_);
    lost_ = true;
    changed_.NotifyAll();
    if (stopping_) return;
  }
  ends_.InvalidateAll(Gone());
  const absl::Time deadline = MonotonicTime() + kGrace;
  MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Duration left = deadline - MonotonicTime();
    if (left <= absl::ZeroDuration()) ::_exit(1);  // nobody is left who would end this process
    changed_.WaitFor(mutex_, left);
  }
}

void RemoteKeeper::Handle(WirePacket packet) {
  const auto& n = packet.numbers;
  switch (packet.kind) {
    case PacketKind::kReply: {
      MutexLock lock(mutex_);
      auto at = calls_.find(packet.call);
      if (at == calls_.end()) return;
      at->second = std::move(packet);
      return changed_.NotifyAll();
    }
    case PacketKind::kSetGate: {
      GateOrder order;
      order.lane = n[0];
      order.gate = n[1];
      order.slot = static_cast<uint32_t>(n[2]);
      order.floor = n[3];
      order.from_now = (n[4] & 1) != 0;
      order.gates = (n[4] & 2) != 0;
      order.answer = (n[4] & 4) != 0;
      if (packet.fds.size() == 2) {
        order.page = std::move(packet.fds[0]);
        order.sleep = std::move(packet.fds[1]);
      }
      const bool answer = order.answer;
      const auto start = ends_.SetGate(std::move(order));
      if (answer) SendWire(socket_.get(), {.kind = PacketKind::kGranted, .numbers = {n[0], n[1], start.value_or(n[3])}});
      return;
    }
    case PacketKind::kRemoveGate:
      return ends_.RemoveGate(n[0], n[1]);
    case PacketKind::kAttach: {
      if (packet.fds.size() != 1) return;
      AttachOrder order;
      order.subscription = n[0];
      order.lane = n[1];
      order.slot = static_cast<uint32_t>(n[2]);
      order.start = n[3];
      order.deliveries = n[4];
      order.opened = n[5];
      order.fd = std::move(packet.fds[0]);
      return ends_.Attach(std::move(order));
    }
    case PacketKind::kLaneLeft:
      return ends_.LaneLeft(n[0], n[1], n[2]);
    case PacketKind::kRoundOver:
      return ends_.RoundOver(n[0], n[1] != 0);
    case PacketKind::kInvalidate:
      return ends_.Invalidate(n[0], ErrorFromText(packet.texts.empty() ? "" : packet.texts[0]));
    default:
      return;
  }
}

}  // namespace puma::internal
