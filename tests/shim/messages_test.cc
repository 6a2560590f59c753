#include "tests/shim/shim_fixture.h"

namespace puma::shim {
namespace {

using ::testing::HasSubstr;

class Messages : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    Start();
  }
  static int ErrorOf(HostEnd& host, uint64_t reply_to) {
    const auto error = host.Await(Type::kError);
    if (!error) return -1;
    EXPECT_EQ(error->header.reply_to, reply_to);
    return error->As<Error>().code;
  }
};

TEST_F(Messages, BeginWithHello) {
  HostEnd host = NextHost();
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kPing, Ping{1})), EPROTO);
}

TEST_F(Messages, ThatMakeNoSenseAreRefusedAndTheirDescriptorsClosed) {
  HostEnd host = GreetedHost();
  ASSERT_TRUE(host.Settle());
  const size_t before = DescriptorsOf(shim_);
  const UniqueFd segment = HostSegment();
  EXPECT_EQ(ErrorOf(host, host.Send(static_cast<Type>(999), Ping{1})), EPROTO);
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kSpawn, Ping{1}, {segment.get()})), EPROTO);
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kSpawn, SpawnOf({1, 1, 1}, "sleep"))), EPROTO);
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kSpawn, SpawnOf({1, 1, 1}, "sleep"), {segment.get(), segment.get()})), EPROTO);
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kDropSegments, DropSegments{~uint64_t{0}})), EPROTO);
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kKillTree, KillTree{{9, 9, 9}})), ESRCH);
  StartTask start{};
  start.grant_count = 1u << 31;
  EXPECT_EQ(ErrorOf(host, host.Send(Type::kStartTask, start, {segment.get()})), EPROTO);
  for (Header header : {Header{0x1234, Type::kPing, kVersion, 32}, Header{kMagic, Type::kPing, 9, 32},
                        Header{kMagic, Type::kPing, kVersion, 4096}, Header{kMagic, Type::kPing, kVersion, 32, 3}}) {
    header.sequence = 5;
    host.SendRaw({reinterpret_cast<const char*>(&header), sizeof(header)}, {segment.get()});
    EXPECT_EQ(ErrorOf(host, 5), EPROTO);
  }
  host.SendRaw("x");
  EXPECT_TRUE(host.Await(Type::kError));
  EXPECT_TRUE(host.Settle());
  EXPECT_EQ(DescriptorsOf(shim_), before);
}

TEST_F(Messages, NeedAHostSegmentThatTheNextHostCanMap) {
  HostEnd host = GreetedHost();
  const UniqueFd unsealed = HostSegment(F_SEAL_SHRINK);
  host.Send(Type::kSpawn, SpawnOf({1, 1, 1}, "sleep"), {unsealed.get()});
  const auto answer = host.Await(Type::kSpawnResult);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->As<SpawnResult>().error, EINVAL);
}

TEST_F(Messages, OfAWorkerInAnotherLanguageEndIt) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "old_version");
  const auto failed = host.Await(Type::kWorkerFailed);
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->Rest(sizeof(WorkerFailed)), HasSubstr("wrong version"));
  const auto exited = host.Await(Type::kExited);
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->As<Exited>().signal, SIGKILL);
  EXPECT_EQ(exited->As<Exited>().killed_by_host, 0u);
}

TEST_F(Messages, ToADeafWorkerBlockNobody) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "deaf");
  EndLane order{};
  order.to = {1, 1, 1};
  const std::string error(8000, 'e');
  order.length = static_cast<uint32_t>(error.size());
  for (int i = 0; i < 400; ++i) host.Send(Type::kEndLane, order, {}, error);
  EXPECT_TRUE(host.Settle());
  EXPECT_EQ(SpawnWorker(host, {2, 1, 1}, "sleep").As<SpawnResult>().error, 0);
}

TEST_F(Messages, OfAClosedSocketAreNoDeath) {
  HostEnd host = GreetedHost();
  const int pid = PidOf(SpawnWorker(host, {1, 1, 1}, "closes_socket"));
  ASSERT_TRUE(Eventually([&] { return DescriptorsOf(pid) == 7; }));
  EXPECT_TRUE(host.Settle());
  EXPECT_TRUE(host.Settle());
  for (const Message& message : host.passed) EXPECT_NE(message.header.type, Type::kExited);
  EXPECT_TRUE(Alive(pid));
}

TEST_F(Messages, ToAHostThatSleepsAreKeptForLater) {
  HostEnd host = GreetedHost();
  const UniqueFd segment = HostSegment();
  constexpr uint64_t kWorkers = 300;
  for (uint64_t key = 1; key <= kWorkers; ++key) {  // nothing is read meanwhile
    host.Send(Type::kSpawn, SpawnOf({key, 1, 1}, "exit3"), {segment.get()});
  }
  std::map<uint64_t, int> ends;
  while (ends.size() < kWorkers) {
    const auto empty = host.Await(Type::kTreeEmpty);
    ASSERT_TRUE(empty);
    EXPECT_EQ(++ends[empty->As<TreeEmpty>().exit.id.key], 1);
    host.passed.clear();
  }
}

}  // namespace
}  // namespace puma::shim
