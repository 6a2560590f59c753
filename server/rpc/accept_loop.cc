#include "server/rpc/accept_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/rpc/client_hello.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {

constexpr int kAcceptsPerTurn = 64;  // then others have their turn
constexpr size_t kReasonsKept = 1000;

UniqueFd OpenSpare() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::optional<uid_t> UidOf(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  int domain = 0;
  socklen_t domain_length = sizeof(domain);
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) != 0 || domain != AF_UNIX) return std::nullopt;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  return peer.uid;
}

std::string AddressOf(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  char text[INET6_ADDRSTRLEN] = "?";
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return text;
  if (address.ss_family == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(address).sin_addr, text, sizeof(text));
  if (address.ss_family == AF_INET6) inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(address).sin6_addr, text, sizeof(text));
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AcceptLoop>> AcceptLoop::Start(std::vector<Listener> listeners, Options options) {
  auto loop = absl::WrapUnique(new AcceptLoop(std::move(listeners), std::move(options)));
  if (absl::Status prepared = loop->Prepare(); !prepared.ok()) return prepared;
  loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  return loop;
}

AcceptLoop::~AcceptLoop() {
  if (!thread_.joinable()) return;
  (void)eventfd_write(quit_.get(), 1);
  thread_.join();
}

absl::Status AcceptLoop::Prepare() {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  quit_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  spare_ = OpenSpare();
  if (!epoll_.valid() || !quit_.valid() || !spare_.valid()) return ErrnoStatus(errno, "descriptors for accepting connections");
  auto watch = [&](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  };
  for (const Listener& listener : listeners_) {
    if (!watch(listener.socket.get())) return ErrnoStatus(errno, "watching a listening socket");
  }
  return watch(quit_.get()) ? absl::OkStatus() : ErrnoStatus(errno, "watching for the end");
}

void AcceptLoop::Run() {
  NameThread("accept");
  absl::Time next_tick = MonotonicTime() + options_.tick;
  std::array<epoll_event, 64> events{};
  for (;;) {
    const int64_t wait_ms = std::max<int64_t>(0, absl::ToInt64Milliseconds(next_tick - MonotonicTime()) + 1);
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), static_cast<int>(wait_ms));
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == quit_.get()) return;
      auto listener = std::find_if(listeners_.begin(), listeners_.end(), [&](const Listener& l) { return l.socket.get() == fd; });
      if (listener != listeners_.end()) {
        Accept(*listener);
      } else if (auto it = connections_.find(fd); it != connections_.end()) {
        if (it->second.waits != nullptr && (events[static_cast<size_t>(i)].events & EPOLLIN) != 0)
          LookAtHello(fd);
        else
          Forget(fd);
      }
    }
    if (const absl::Time now = MonotonicTime(); now >= next_tick) {
      next_tick = now + options_.tick;
      Tick(now);
    }
  }
}

void AcceptLoop::Accept(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd socket(accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      Admit(listener, std::move(socket));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    if (errno != EMFILE && errno != ENFILE) return;  // none waits, or there is nothing that could be done about it
    spare_.reset();
    socket = UniqueFd(accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    socket.reset();
    spare_ = OpenSpare();
    Refuse("somebody", "this process has no descriptors left");
  }
}

void AcceptLoop::Admit(Listener& listener, UniqueFd socket) {
  const std::optional<uid_t> uid = UidOf(socket.get());
  const std::string who = uid ? absl::StrCat("uid ", *uid) : AddressOf(socket.get());
  if (connections_.size() >= options_.connections)
    return Refuse(who, absl::StrCat("there are ", connections_.size(), " connections, and may be no more"));
  if (auto it = counts_.find(who); it != counts_.end() && it->second >= options_.connections_of_one)
    return Refuse(who, absl::StrCat("has ", it->second, " connections, and may have no more"));
  if (!uid) {
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (listener.tls) {
    if (!Watch(std::move(socket), who, &listener)) Refuse(who, "this process has no descriptors left");
    return;
  }
  UniqueFd second(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!second.valid() || !Watch(std::move(second), who, nullptr)) return Refuse(who, "this process has no descriptors left");
  listener.hand_over(std::move(socket), uid);
}

bool AcceptLoop::Watch(UniqueFd socket, const std::string& who, Listener* waits) {
  epoll_event event{};
  // gRPC shuts down what it closes, and that is told here as well. Edges: a hello that is not finished says nothing until there is more.
  event.events = EPOLLRDHUP | EPOLLET | (waits != nullptr ? static_cast<uint32_t>(EPOLLIN) : 0);
  const int fd = event.data.fd = socket.get();
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  const absl::Time deadline = waits != nullptr ? MonotonicTime() + options_.hello_timeout : absl::InfiniteFuture();
  connections_[fd] = {std::move(socket), who, waits, deadline};
  ++counts_[who];
  return true;
}

void AcceptLoop::LookAtHello(int fd) {
  Connection& connection = connections_.at(fd);
  std::array<std::byte, kMaxHelloBytes> bytes;
  const ssize_t got = recv(fd, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got <= 0) return Forget(fd);
  switch (ReadHello({bytes.data(), static_cast<size_t>(got)})) {
    case Hello::kUnfinished:
      return;
    case Hello::kOlder:
      (void)send(fd, ProtocolVersionAlert().data(), ProtocolVersionAlert().size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      Refuse(connection.who, "does not offer TLS 1.3");
      return Forget(fd);
    case Hello::kNoHello:
      Refuse(connection.who, "does not speak TLS");
      return Forget(fd);
    case Hello::kTls13:
      break;
  }
  UniqueFd socket(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!socket.valid()) {
    Refuse(connection.who, "this process has no descriptors left");
    return Forget(fd);
  }
  Listener& listener = *std::exchange(connection.waits, nullptr);
  connection.deadline = absl::InfiniteFuture();
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  event.data.fd = fd;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  listener.hand_over(std::move(socket), std::nullopt);
}

void AcceptLoop::Forget(int fd) {
  const auto it = connections_.find(fd);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);  // its other descriptor may live on, and would keep it watched
  if (--counts_[it->second.who] == 0) counts_.erase(it->second.who);
  connections_.erase(it);
}

void AcceptLoop::Refuse(const std::string& who, const std::string& why) {
  ++refused_[absl::StrCat(refused_.size() < kReasonsKept ? who : "somebody", " ", why)];
}

void AcceptLoop::Tick(absl::Time now) {
  std::vector<int> late;
  for (const auto& [fd, connection] : connections_) {
    if (connection.deadline <= now) late.push_back(fd);
  }
  for (const int fd : late) {
    Refuse(connections_.at(fd).who, "did not begin with TLS in time");
    Forget(fd);
  }
  if (!refused_.empty() && options_.on_refused) {
    std::string text = "connections refused: ";
    size_t told = 0;
    for (const auto& [reason, count] : refused_) {
      if (told++ < 5) absl::StrAppend(&text, told == 1 ? "" : "; ", reason, " (", count, ")");
    }
    if (told > 5) absl::StrAppend(&text, "; and ", told - 5, " more reasons");
    options_.on_refused(text);
  }
  refused_.clear();
  if (options_.on_tick) options_.on_tick();
}

}  // namespace puma::server
