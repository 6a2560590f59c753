#include "worker/platform/seqpacket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "worker/platform/system.h"

namespace puma {
namespace {

std::vector<std::byte> Bytes(size_t count, int value) { return std::vector<std::byte>(count, std::byte(value)); }
ino_t Inode(int fd) {
  struct stat file {};
  EXPECT_EQ(::fstat(fd, &file), 0);
  return file.st_ino;
}
void SetNonBlocking(const UniqueFd& fd) { ASSERT_EQ(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), 0); }

TEST(Seqpacket, KeepsPacketsApart) {
  auto [a, b] = SeqpacketPair();
  ASSERT_EQ(SendPacket(a.get(), Bytes(3, 1), {}), 0);
  ASSERT_EQ(SendPacket(a.get(), Bytes(kMaxPacketBytes, 2), {}), 0);
  EXPECT_EQ(ReceivePacket(b.get()).bytes, Bytes(3, 1));
  EXPECT_EQ(ReceivePacket(b.get()).bytes, Bytes(kMaxPacketBytes, 2));
}

TEST(Seqpacket, CarriesDescriptors) {
  auto [a, b] = SeqpacketPair();
  auto [x, y] = SeqpacketPair();
  const int fds[] = {x.get(), y.get()};
  ASSERT_EQ(SendPacket(a.get(), Bytes(1, 0), fds), 0);
  Packet packet = ReceivePacket(b.get());
  ASSERT_EQ(packet.fds.size(), 2u);
  EXPECT_EQ(Inode(packet.fds[0].get()), Inode(x.get()));
  EXPECT_EQ(Inode(packet.fds[1].get()), Inode(y.get()));
  EXPECT_EQ(::fcntl(packet.fds[0].get(), F_GETFD), FD_CLOEXEC);
  std::vector<int> most(kMaxPacketFds, x.get());
  ASSERT_EQ(SendPacket(a.get(), Bytes(1, 0), most), 0);
  EXPECT_EQ(ReceivePacket(b.get()).fds.size(), kMaxPacketFds);
}

TEST(Seqpacket, RefusesWhatIsTooLargeOrEmpty) {
  auto [a, b] = SeqpacketPair();
  EXPECT_EQ(SendPacket(a.get(), Bytes(kMaxPacketBytes + 1, 0), {}), EMSGSIZE);
  EXPECT_EQ(SendPacket(a.get(), Bytes(1, 0), std::vector<int>(kMaxPacketFds + 1, a.get())), EMSGSIZE);
  EXPECT_EQ(SendPacket(a.get(), {}, {}), EINVAL);
}

TEST(Seqpacket, ClosesTheDescriptorsOfACutPacket) {
  auto [a, b] = SeqpacketPair();
  auto [x, y] = SeqpacketPair();
  std::vector<char> large(kMaxPacketBytes + 1);
  iovec part{large.data(), large.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int sent = y.get();
  memcpy(CMSG_DATA(rights), &sent, sizeof sent);
  ASSERT_GT(::sendmsg(a.get(), &message, 0), 0);
  Packet packet = ReceivePacket(b.get());
  EXPECT_EQ(packet.error, EMSGSIZE);
  EXPECT_TRUE(packet.fds.empty());
  y.reset();  // the only other copy: if the cut one's is closed too, x sees the end
  EXPECT_EQ(ReceivePacket(x.get()).error, 0);
}

TEST(Seqpacket, SaysWhenThePeerIsGone) {
  auto [a, b] = SeqpacketPair();
  b.reset();
  EXPECT_EQ(SendPacket(a.get(), Bytes(1, 0), {}), EPIPE);
  Packet packet = ReceivePacket(a.get());
  EXPECT_TRUE(packet.bytes.empty());
  EXPECT_EQ(packet.error, 0);
}

TEST(Seqpacket, ReadsTheLastWordsOfAPeerThatDidNotListen) {
  auto [one, other] = SeqpacketPair();
  ASSERT_EQ(SendPacket(one.get(), Bytes(3, 1), {}), 0);
  ASSERT_EQ(SendPacket(other.get(), Bytes(4, 2), {}), 0);
  other.reset();
  EXPECT_EQ(ReceivePacket(one.get()).bytes, Bytes(4, 2));
  const Packet end = ReceivePacket(one.get());
  EXPECT_EQ(end.error, 0);
  EXPECT_TRUE(end.bytes.empty());
}

TEST(Seqpacket, DoesNotBlockWhenNonBlocking) {
  auto [a, b] = SeqpacketPair();
  SetNonBlocking(a);
  SetNonBlocking(b);
  EXPECT_EQ(ReceivePacket(b.get()).error, EAGAIN);
  int error = 0;
  while (error == 0) error = SendPacket(a.get(), Bytes(kMaxPacketBytes, 0), {});
  EXPECT_EQ(error, EAGAIN);
}

TEST(System, AnErrnoBecomesAStatusWithItsText) {
  const absl::Status status = ErrnoStatus(ENOENT, "open /x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "open /x: No such file or directory");
  EXPECT_EQ(ErrnoStatus(EMFILE, "").code(), absl::StatusCode::kResourceExhausted);
}

TEST(System, ClocksDoNotRunBackwards) {
  const int64_t monotonic = MonotonicNanos(), boot = BootNanos();
  EXPECT_GE(MonotonicNanos(), monotonic);
  EXPECT_GE(BootNanos(), boot);
  EXPECT_GT(RealNanos(), 0);
}

TEST(System, TheBootIdIsAUuid) {
  auto id = BootId();
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->size(), 36u);
  EXPECT_EQ(*id, *BootId());
}

TEST(System, APidfdReachesItsProcess) {
  UniqueFd self = PidfdOpen(::getpid());
  ASSERT_TRUE(self.valid());
  EXPECT_EQ(PidfdSendSignal(self.get(), 0), 0);
  EXPECT_FALSE(PidfdOpen(-1).valid());
}

TEST(System, ThreadNamesAreCut) {
  NameThread("a-name-that-is-too-long");
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  EXPECT_STREQ(name, "a-name-that-is-");
  NameThread("platform_test");
}

}  // namespace
}  // namespace puma
