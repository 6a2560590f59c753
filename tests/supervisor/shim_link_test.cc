#include "server/supervisor/shim_link.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace puma::server {
namespace {

class ShimLinkTest : public ::testing::Test {
 protected:
  ShimLinkTest() {
    auto [ours, theirs] = SeqpacketPair();
    peer_ = std::move(theirs);
    link_ = std::make_unique<ShimLink>(
        *loop_, std::move(ours),
        [this](ShimMessage message) {
          got_.push_back(std::move(message));
          loop_->Stop();
        },
        [this](const std::string& why) {
          closed_ = why;
          loop_->Stop();
        });
  }
  void Run() {
    loop_->Run([] { return int64_t{0}; });
  }
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  UniqueFd peer_;
  std::unique_ptr<ShimLink> link_;
  std::vector<ShimMessage> got_;
  std::string closed_;
};

TEST_F(ShimLinkTest, SendsAHeaderTheFixedPartTheRestAndDescriptors) {
  UniqueFd event(eventfd(0, EFD_CLOEXEC));
  const int fd = event.get();
  const std::string rest = "the rest";
  link_->Send(shim::Type::kPing, shim::Ping{42}, std::as_bytes(std::span(rest)), std::span(&fd, 1));
  Packet packet = ReceivePacket(peer_.get());
  shim::Header header;
  std::memcpy(&header, packet.bytes.data(), sizeof(header));
  EXPECT_EQ(header.magic, shim::kMagic);
  EXPECT_EQ(header.type, shim::Type::kPing);
  EXPECT_EQ(header.length, packet.bytes.size());
  EXPECT_EQ(header.fd_count, 1u);
  EXPECT_EQ(packet.fds.size(), 1u);
  EXPECT_EQ(std::memcmp(packet.bytes.data() + sizeof(header) + sizeof(shim::Ping), rest.data(), rest.size()), 0);
}

TEST_F(ShimLinkTest, QueuesWhatTheSocketDoesNotTakeAndKeepsTheOrder) {
  for (uint64_t i = 0; i < 5000; ++i) link_->Send(shim::Type::kPing, shim::Ping{i});
  uint64_t next = 0;
  loop_->Run([&]() -> int64_t {
    for (Packet packet = ReceivePacket(peer_.get());; packet = ReceivePacket(peer_.get())) {
      shim::Ping ping;
      std::memcpy(&ping, packet.bytes.data() + sizeof(shim::Header), sizeof(ping));
      EXPECT_EQ(ping.value, next);
      if (++next == 5000) {
        loop_->Stop();
        return 0;
      }
      char byte;
      if (recv(peer_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) return 0;
    }
  });
  EXPECT_EQ(next, 5000u);
}

TEST_F(ShimLinkTest, IgnoresWhatIsNoMessageAndTakesTheNextOne) {
  const std::string noise = "noise";
  SendPacket(peer_.get(), std::as_bytes(std::span(noise)), {});
  struct {
    shim::Header header;
    shim::Pong pong;
  } answer;
  answer.header.type = shim::Type::kPong;
  answer.header.length = sizeof(answer);
  answer.pong.value = 7;
  SendPacket(peer_.get(), std::as_bytes(std::span(&answer, 1)), {});
  Run();
  ASSERT_EQ(got_.size(), 1u);
  EXPECT_EQ(got_[0].As<shim::Pong>().value, 7u);
}

TEST_F(ShimLinkTest, TellsOnceThatTheShimIsGone) {
  peer_.reset();
  Run();
  EXPECT_FALSE(closed_.empty());
}

TEST_F(ShimLinkTest, AShortMessageIsFilledWithZeros) {
  ShimMessage message;
  message.body.resize(4);
  message.body[0] = std::byte{5};
  EXPECT_EQ(message.As<shim::Ping>().value, 5u);
  EXPECT_EQ(message.Text<shim::Ping>(100), "");
}

}  // namespace
}  // namespace puma::server
