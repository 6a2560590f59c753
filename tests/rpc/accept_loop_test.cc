#include "server/rpc/accept_loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/rpc/listening.h"
#include "tests/journal/temporary_directory.h"
#include "tests/rpc/fake_host.h"
#include "worker/platform/mutex.h"

namespace puma::server {
namespace {

using ::testing::HasSubstr;

class AcceptLoopTest : public ::testing::Test {
 protected:
  AcceptLoopTest() {
    options_.tick = absl::Milliseconds(10);
    options_.hello_timeout = absl::Minutes(5);
    options_.on_refused = [this](const std::string& text) {
      MutexLock lock(mutex_);
      absl::StrAppend(&refused_, text, "\n");
    };
  }
  void StartUnix() { Start(*ListenUnix(directory_.File("s/socket")), false); }
  void StartTls() { Start(*ListenTcp("127.0.0.1:0", true), true); }

  UniqueFd Connect() {
    if (address_.starts_with("unix:")) {
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      std::strcpy(to.sun_path, address_.c_str() + 5);
      return ConnectTo(AF_UNIX, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address_.substr(address_.rfind(':') + 1))));
    return ConnectTo(AF_INET, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  }
  // Tries until it is let in: the loop may not have seen yet that others have ended.
  UniqueFd Admitted() {
    for (int i = 0; i < 1000; ++i) {
      const size_t before = Taken();
      UniqueFd connection = Connect();
      pollfd polled{connection.get(), POLLIN, 0};
      while (poll(&polled, 1, 1) == 0) {
        if (Taken() > before) return connection;
      }
    }
    return {};
  }
  size_t Taken() {
    MutexLock lock(mutex_);
    return taken_.size();
  }
  std::string Refused() {
    MutexLock lock(mutex_);
    return refused_;
  }
  // As gRPC does when it has had enough of one.
  void EndTaken() {
    MutexLock lock(mutex_);
    for (const UniqueFd& connection : taken_) shutdown(connection.get(), SHUT_RDWR);
    taken_.clear();
  }
  static bool IsClosed(const UniqueFd& connection) {
    pollfd polled{connection.get(), POLLIN, 0};
    char byte;
    return poll(&polled, 1, 60'000) == 1 && recv(connection.get(), &byte, 1, 0) <= 0;
  }

  AcceptLoop::Options options_;
  TemporaryDirectory directory_;
  std::string address_;
  std::unique_ptr<AcceptLoop> loop_;
  Mutex mutex_;
  std::vector<UniqueFd> taken_ PUMA_GUARDED_BY(mutex_);
  std::optional<uid_t> uid_ PUMA_GUARDED_BY(mutex_);
  std::string refused_ PUMA_GUARDED_BY(mutex_);

 private:
  void Start(Listening listening, bool tls) {
    address_ = listening.address;
    std::vector<AcceptLoop::Listener> listeners;
    listeners.push_back({std::move(listening.socket), tls, [this](UniqueFd connection, std::optional<uid_t> uid) {
                           MutexLock lock(mutex_);
                           taken_.push_back(std::move(connection));
                           uid_ = uid;
                         }});
    auto started = AcceptLoop::Start(std::move(listeners), options_);
    ASSERT_TRUE(started.ok()) << started.status();
    loop_ = *std::move(started);
  }
  static UniqueFd ConnectTo(int family, const sockaddr* to, socklen_t length) {
    UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(socket.get(), to, length), 0) << std::strerror(errno);
    return socket;
  }
};

TEST_F(AcceptLoopTest, ItSaysWhoIsAtTheOtherEnd) {
  StartUnix();
  const UniqueFd connection = Connect();
  ASSERT_TRUE(Eventually([&] { return Taken() == 1; }));
  MutexLock lock(mutex_);
  EXPECT_EQ(uid_, getuid());
}

TEST_F(AcceptLoopTest, NobodyHasMoreConnectionsThanHisShareAndThoseThatEndAreGivenBack) {
  options_.connections_of_one = 3;
  StartUnix();
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 3; ++i) connections.push_back(Connect());
  ASSERT_TRUE(Eventually([&] { return Taken() == 3; }));
  EXPECT_TRUE(IsClosed(Connect()));
  EXPECT_TRUE(Eventually([&] { return Refused().find("has 3 connections") != std::string::npos; })) << Refused();
  EXPECT_THAT(Refused(), HasSubstr(absl::StrCat("uid ", getuid())));
  connections.clear();  // the client's side ends
  for (int i = 0; i < 3; ++i) {
    connections.push_back(Admitted());
    ASSERT_TRUE(connections.back().valid());
  }
  EXPECT_TRUE(IsClosed(Connect()));
  EndTaken();  // this side ends
  for (const UniqueFd& connection : connections) EXPECT_TRUE(IsClosed(connection)) << "no descriptor is left open here";
}

TEST_F(AcceptLoopTest, ThereIsALimitInAll) {
  options_.connections = 2;
  StartUnix();
  const UniqueFd first = Connect(), second = Connect();
  EXPECT_TRUE(IsClosed(Connect()));
  EXPECT_TRUE(Eventually([&] { return Refused().find("there are 2 connections") != std::string::npos; })) << Refused();
  EXPECT_EQ(Taken(), 2u);
}

TEST_F(AcceptLoopTest, WithoutDescriptorsItDropsConnectionsAndGoesOnWhenThereAreSome) {
  StartUnix();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strcpy(to.sun_path, address_.c_str() + 5);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit small{256, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &small);
  std::vector<UniqueFd> hoard;
  for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) hoard.emplace_back(fd);
  for (const UniqueFd& client : clients) {
    EXPECT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    EXPECT_TRUE(IsClosed(client));
  }
  hoard.clear();
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_TRUE(Eventually([&] { return Refused().find("no descriptors left") != std::string::npos; })) << Refused();
  const UniqueFd connection = Connect();
  EXPECT_TRUE(Eventually([&] { return Taken() == 1; }));
}

TEST_F(AcceptLoopTest, WhoDoesNotBeginWithTlsIsTurnedAway) {
  StartTls();
  const UniqueFd plain = Connect(), old = Connect();
  ASSERT_EQ(send(plain.get(), "PRI * HTTP/2.0", 14, 0), 14);
  // A hello of TLS 1.2: no extensions at all.
  std::string hello("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03", 11);
  hello += std::string(32, 'r') + std::string("\x00\x00\x02\x00\x2f\x01\x00", 7);
  ASSERT_EQ(send(old.get(), hello.data(), 20, 0), 20);
  ASSERT_EQ(send(old.get(), hello.data() + 20, hello.size() - 20, 0), static_cast<ssize_t>(hello.size() - 20));
  EXPECT_TRUE(IsClosed(plain));
  char alert[8];
  EXPECT_EQ(recv(old.get(), alert, sizeof(alert), 0), 7);
  EXPECT_EQ(alert[6], 70) << "protocol_version";
  EXPECT_TRUE(IsClosed(old));
  EXPECT_TRUE(Eventually([&] { return Refused().find("does not speak TLS") != std::string::npos; })) << Refused();
  EXPECT_TRUE(Eventually([&] { return Refused().find("does not offer TLS 1.3") != std::string::npos; })) << Refused();
  EXPECT_EQ(Taken(), 0u);
}

TEST_F(AcceptLoopTest, WhoKeepsSilentIsNotWaitedForForEver) {
  options_.hello_timeout = absl::Milliseconds(50);
  StartTls();
  EXPECT_TRUE(IsClosed(Connect()));
  EXPECT_TRUE(Eventually([&] { return Refused().find("127.0.0.1 did not begin with TLS in time") != std::string::npos; })) << Refused();
  EXPECT_EQ(Taken(), 0u);
}

}  // namespace
}  // namespace puma::server
