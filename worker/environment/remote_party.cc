#include "worker/environment/remote_party.h"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <utility>

#include "worker/environment/error_text.h"

namespace puma::internal {

RemoteParty::RemoteParty(EnvironmentCore& environment, UniqueFd socket, UniqueFd pidfd)
    : environment_(environment),
      keeper_(*environment.keeper()),
      broker_(environment.broker()),
      socket_(std::move(socket)),
      pidfd_(std::move(pidfd)) {
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

bool RemoteParty::Alive() {
  pollfd polled{pidfd_.get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 0;
}

// ---- what the keeper says --------------------------------------------------------------------------------------------------------------

std::optional<uint64_t> RemoteParty::SetGate(GateOrder order) {
  WirePacket packet{.kind = PacketKind::kSetGate};
  const uint64_t flags = (order.from_now ? 1 : 0) | (order.gates ? 2 : 0) | (order.answer ? 4 : 0);
  packet.numbers = {order.lane, order.gate, order.slot, order.floor, flags};
  if (order.page.valid()) {
    packet.fds.push_back(std::move(order.page));
    packet.fds.push_back(std::move(order.sleep));
  }
  Send(std::move(packet));
  if (order.answer) return std::nullopt;
  return order.floor;
}

void RemoteParty::RemoveGate(uint64_t lane, uint64_t gate) { Send({.kind = PacketKind::kRemoveGate, .numbers = {lane, gate}}); }

void RemoteParty::Attach(AttachOrder order) {
  WirePacket packet{.kind = PacketKind::kAttach};
  packet.numbers = {order.subscription, order.lane, order.slot, order.start, order.deliveries, order.opened, order.handed};
  packet.fds.push_back(std::move(order.fd));
  Send(std::move(packet));
}

void RemoteParty::LaneLeft(uint64_t subscription, uint64_t lane, uint64_t left) {
  Send({.kind = PacketKind::kLaneLeft, .numbers = {subscription, lane, left}});
}
void RemoteParty::RoundOver(uint64_t subscription, bool over) {
  Send({.kind = PacketKind::kRoundOver, .numbers = {subscription, over ? uint64_t{1} : 0}});
}
void RemoteParty::Invalidate(uint64_t end, const absl::Status& why) {
  Send({.kind = PacketKind::kInvalidate, .numbers = {end}, .texts = {TextOfError(why)}});
}
void RemoteParty::Reply(uint64_t call, const absl::Status& status) {
  Send({.kind = PacketKind::kReply, .call = call, .texts = {TextOfError(status)}});
}

void RemoteParty::Reply(uint64_t call, const absl::StatusOr<BufferFacts>& facts) {
  if (!facts.ok()) return Reply(call, facts.status());
  Send({.kind = PacketKind::kReply,
        .call = call,
        .numbers = {facts->id, facts->capacity, facts->payload_bytes, static_cast<uint64_t>(facts->on_full)},
        .texts = {"", facts->name, facts->type}});
}

void RemoteParty::MakeParty(uint64_t call, UniqueFd pidfd) {
  auto party = environment_.MakeParty(std::move(pidfd));
  if (!party.ok()) return Reply(call, party.status());
  WirePacket reply{.kind = PacketKind::kReply, .call = call, .numbers = {party->socket.range}, .texts = {""}};
  reply.fds.push_back(std::move(party->socket.socket));
  Send(std::move(reply));
}

void RemoteParty::KeepPage(WirePacket packet) {
  if (packet.texts.size() != 2 || packet.fds.size() != 1) return Reply(packet.call, absl::DataLossError("a page without its name"));
  auto page = PrimitivePage::Map(std::move(packet.fds[0]));
  if (!page.ok()) return Reply(packet.call, page.status());
  auto kept = environment_.pages().Keep(this, packet.numbers[0], packet.texts[0], {packet.texts[1], *std::move(page)});
  if (!kept.ok()) return Reply(packet.call, kept.status());
  Send({.kind = PacketKind::kReply, .call = packet.call, .numbers = {*kept}, .texts = {""}});
}

void RemoteParty::FindPage(const WirePacket& packet) {
  auto found = environment_.pages().Find(packet.numbers[0], packet.texts.empty() ? "" : packet.texts[0]);
  if (!found.ok()) return Reply(packet.call, found.status());
  auto fd = found->page->Duplicate();
  if (!fd.ok()) return Reply(packet.call, fd.status());
  WirePacket reply{.kind = PacketKind::kReply, .call = packet.call, .texts = {"", found->type}};
  reply.fds.push_back(*std::move(fd));
  Send(std::move(reply));
}

// ---- the socket ------------------------------------------------------------------------------------------------------------------------

void RemoteParty::Send(WirePacket packet) {
  MutexLock lock(mutex_);
  waiting_.push_back(std::move(packet));
  SendWaiting();
  if (!waiting_.empty()) broker_.LookAgain();
}

void RemoteParty::SendWaiting() {
  while (!waiting_.empty()) {
    const int error = SendWire(socket_.get(), waiting_.front());
    if (error == EAGAIN || error == ENOBUFS) return;
    waiting_.pop_front();  // sent, or its process is gone, which the socket tells
  }
}

bool RemoteParty::wants_to_send() {
  MutexLock lock(mutex_);
  return !waiting_.empty();
}

bool RemoteParty::Serve(short events) {
  if ((events & POLLOUT) != 0) {
    MutexLock lock(mutex_);
    SendWaiting();
  }
  while (!over_) {
    Packet packet = ReceivePacket(socket_.get());
    if (packet.error == EAGAIN) return true;
    if (packet.error != 0 || packet.bytes.empty()) return false;
    auto read = ReadWire(std::move(packet));
    if (!read.ok()) return false;
    Handle(*std::move(read));
  }
  return false;
}

void RemoteParty::Over() {
  if (std::exchange(over_, true)) return;
  keeper_.PartyGone(*this);
  environment_.pages().PartyGone(*this);
}

void RemoteParty::Handle(WirePacket packet) {
  const auto& n = packet.numbers;
  auto text = [&](size_t i) { return i < packet.texts.size() ? packet.texts[i] : std::string(); };
  auto fd = [&](size_t i) { return i < packet.fds.size() ? std::move(packet.fds[i]) : UniqueFd(); };
  switch (packet.kind) {
    case PacketKind::kFindBuffer:
      return Reply(packet.call, keeper_.FindBuffer(n[0], text(0)));
    case PacketKind::kCreateBuffer: {
      BufferOptions options;
      options.capacity = n[1];
      options.capacity_bytes = n[2];
      options.on_full = static_cast<OnFull>(n[3] & 0xff);
      options.subscriptions = static_cast<Subscriptions>(n[3] >> 8 & 0xff);
      options.warn_on_discard = n[3] >> 16 != 0;
      options.discard_after = absl::Nanoseconds(static_cast<int64_t>(n[4]));
      for (size_t i = 2; i < packet.texts.size(); ++i) options.named.push_back(packet.texts[i]);
      return Reply(packet.call, keeper_.CreateBuffer(this, n[0], text(0), {.name = text(1)}, options));
    }
    case PacketKind::kDestroyBuffer:
      return Reply(packet.call, keeper_.DestroyBuffer(n[0]));
    case PacketKind::kReserveSeat: {
      auto seat = keeper_.ReserveSeat(*this, n[0]);
      if (!seat.ok()) return Reply(packet.call, seat.status());
      return Send({.kind = PacketKind::kReply, .call = packet.call, .numbers = {*seat}, .texts = {""}});
    }
    case PacketKind::kLeaveSeat:
      keeper_.LeaveSeat(n[0]);
      return Reply(packet.call, absl::OkStatus());
    case PacketKind::kNewParty:
      return MakeParty(packet.call, fd(0));
    case PacketKind::kKeepPage:
      return KeepPage(std::move(packet));
    case PacketKind::kFindPage:
      return FindPage(packet);
    case PacketKind::kDropPage:
      environment_.pages().Drop(this, n[0]);
      return Reply(packet.call, absl::OkStatus());
    case PacketKind::kOpenPublisher:
      return Reply(packet.call, keeper_.OpenPublisher(*this, n[0], n[1], fd(0), n[2]));
    case PacketKind::kPublisherCompleted:
      keeper_.PublisherCompleted(n[0]);
      return Reply(packet.call, absl::OkStatus());
    case PacketKind::kClosePublisher:
      keeper_.ClosePublisher(n[0]);
      return Reply(packet.call, absl::OkStatus());
    case PacketKind::kOpenSubscription: {
      SubscriptionRequest request;
      request.buffer = n[0];
      request.subscription = n[1];
      request.options.lossy = (n[2] & 1) != 0;
      request.options.from_now = (n[2] & 2) != 0;
      request.options.name = text(0);
      request.page = fd(0);
      request.sleep = fd(1);
      return keeper_.OpenSubscription(*this, std::move(request),
                                      [this, call = packet.call](const absl::Status& status) { Reply(call, status); });
    }
    case PacketKind::kLaneDone:
      return keeper_.LaneDone(n[0], n[1], n[2] != 0);
    case PacketKind::kDelivered:
      return keeper_.Delivered(n[0]);
    case PacketKind::kCloseSubscription:
      keeper_.CloseSubscription(n[0]);
      return Reply(packet.call, absl::OkStatus());
    case PacketKind::kGranted:
      return keeper_.Granted(n[0], n[1], n[2]);
    default:
      return;
  }
}

}  // namespace puma::internal
