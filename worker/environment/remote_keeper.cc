#include "worker/environment/remote_keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "worker/environment/error_text.h"
#include "worker/logging/levels.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(5);

absl::Status Gone() { return absl::UnavailableError("the program that made the buffer has ended"); }

}  // namespace

RemoteKeeper::RemoteKeeper(UniqueFd socket, int parent, Ends& ends)
    : socket_(std::move(socket)), parent_(parent), bell_(::eventfd(0, EFD_CLOEXEC)), ends_(ends), listener_([this] { Listen(); }) {}

RemoteKeeper::~RemoteKeeper() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &one, sizeof one);
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

void RemoteKeeper::WhenLost(std::function<void()> lost) {
  MutexLock lock(mutex_);
  when_lost_ = std::move(lost);
}

namespace {
absl::StatusOr<BufferFacts> FactsIn(absl::StatusOr<WirePacket> answer) {
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
}  // namespace

absl::StatusOr<BufferFacts> RemoteKeeper::CreateBuffer(uint64_t maker, std::string_view name, const BufferType& type,
                                                       const BufferOptions& options) {
  WirePacket packet{.kind = PacketKind::kCreateBuffer};
  const uint64_t choices = static_cast<uint64_t>(options.on_full) | static_cast<uint64_t>(options.subscriptions) << 8 |
                           (options.warn_on_discard ? uint64_t{1} << 16 : 0);
  packet.numbers = {maker, options.capacity, options.capacity_bytes, choices,
                    static_cast<uint64_t>(absl::ToInt64Nanoseconds(options.discard_after))};
  packet.texts = {std::string(name), type.name};
  packet.texts.insert(packet.texts.end(), options.named.begin(), options.named.end());
  return FactsIn(Call(std::move(packet)));
}

absl::Status RemoteKeeper::DestroyBuffer(uint64_t buffer) {
  return Call({.kind = PacketKind::kDestroyBuffer, .numbers = {buffer}}).status();
}

absl::StatusOr<BufferFacts> RemoteKeeper::FindBuffer(uint64_t maker, std::string_view name) {
  return FactsIn(Call({.kind = PacketKind::kFindBuffer, .numbers = {maker}, .texts = {std::string(name)}}));
}

absl::StatusOr<uint64_t> RemoteKeeper::ReserveSeat(uint64_t buffer) {
  auto answer = Call({.kind = PacketKind::kReserveSeat, .numbers = {buffer}});
  if (!answer.ok()) return answer.status();
  return answer->numbers[0];
}
void RemoteKeeper::LeaveSeat(uint64_t seat) { Call({.kind = PacketKind::kLeaveSeat, .numbers = {seat}}).IgnoreError(); }

absl::StatusOr<uint64_t> RemoteKeeper::KeepPage(uint64_t maker, std::string_view name, KeptPage page) {
  WirePacket packet{.kind = PacketKind::kKeepPage, .numbers = {maker}, .texts = {std::string(name), page.type}};
  auto fd = page.page->Duplicate();
  if (!fd.ok()) return fd.status();
  packet.fds.push_back(*std::move(fd));
  auto answer = Call(std::move(packet));
  if (!answer.ok()) return answer.status();
  return answer->numbers[0];
}

absl::StatusOr<KeptPage> RemoteKeeper::FindPage(uint64_t maker, std::string_view name) {
  auto answer = Call({.kind = PacketKind::kFindPage, .numbers = {maker}, .texts = {std::string(name)}});
  if (!answer.ok()) return answer.status();
  if (answer->fds.size() != 1 || answer->texts.size() < 2) return absl::DataLossError("an answer without its page");
  auto page = PrimitivePage::Map(std::move(answer->fds[0]));
  if (!page.ok()) return page.status();
  return KeptPage{answer->texts[1], *std::move(page)};
}

void RemoteKeeper::DropPage(uint64_t page) { Call({.kind = PacketKind::kDropPage, .numbers = {page}}).IgnoreError(); }

absl::StatusOr<PartySocket> RemoteKeeper::NewParty(int pidfd) {
  WirePacket packet{.kind = PacketKind::kNewParty};
  packet.fds.emplace_back(::fcntl(pidfd, F_DUPFD_CLOEXEC, 0));
  auto answer = Call(std::move(packet));
  if (!answer.ok()) return answer.status();
  if (answer->fds.size() != 1) return absl::DataLossError("an answer without its socket");
  return PartySocket{std::move(answer->fds[0]), answer->numbers[0]};
}

absl::Status RemoteKeeper::OpenPublisher(uint64_t buffer, uint64_t lane, UniqueFd fd, uint64_t seat) {
  WirePacket packet{.kind = PacketKind::kOpenPublisher, .numbers = {buffer, lane, seat}};
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
    pollfd polled[] = {{socket_.get(), POLLIN, 0}, {parent_, POLLIN, 0}, {bell_.get(), POLLIN, 0}};
    ::poll(polled, std::size(polled), -1);
    if (polled[2].revents != 0) return;
    if (polled[0].revents != 0 && !Receive()) return Lost();
    if (polled[1].revents != 0 && !HearParent()) return Lost();
  }
}

bool RemoteKeeper::HearParent() {
  Packet packet = ReceivePacket(parent_);
  if (packet.error != 0 || packet.bytes.empty()) return false;
  auto read = ReadWire(std::move(packet));
  if (!read.ok()) return false;
  if (read->kind == PacketKind::kLevels && !read->texts.empty()) logging::ApplyLevels(read->texts[0]).IgnoreError();
  return true;
}

bool RemoteKeeper::Receive() {
  Packet packet = ReceivePacket(socket_.get());
  if (packet.error != 0 || packet.bytes.empty()) return false;
  auto read = ReadWire(std::move(packet));
  if (!read.ok()) return false;
  Handle(*std::move(read));
  return true;
}

void RemoteKeeper::Lost() {
  std::function<void()> when_lost;
  {
    MutexLock lock(mutex_);
    lost_ = true;
    changed_.NotifyAll();
    if (stopping_) return;
    when_lost.swap(when_lost_);
  }
  ends_.InvalidateAll(Gone());
  if (when_lost) when_lost();
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
      order.handed = n[6];
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
