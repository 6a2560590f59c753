#include "tests/shim/shim_fixture.h"

namespace puma::shim {
namespace {

using ::testing::HasSubstr;
using HostLife = ShimTest;

TEST_F(HostLife, BeginsWithAWelcome) {
  Start();
  HostEnd host = NextHost();
  Hello hello{};
  hello.store_id[3] = 9;
  const uint64_t sequence = host.Send(Type::kHello, hello);
  const auto welcome = host.Await(Type::kWelcome);
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->header.reply_to, sequence);
  EXPECT_EQ(welcome->As<Welcome>().store_id[3], 9);
  EXPECT_EQ(welcome->As<Welcome>().shim_pid, shim_);
  EXPECT_EQ(welcome->As<Welcome>().host_incarnation, 1u);
}

TEST_F(HostLife, IsFollowedByTheNextWhateverEndsIt) {
  Start();
  int last = 0;
  for (uint32_t i = 1; i <= 5; ++i) {
    HostEnd host = NextHost();
    Hello hello{};
    hello.store_id[0] = static_cast<uint8_t>(i);
    host.Send(Type::kHello, hello);
    const auto welcome = host.Await(Type::kWelcome);
    ASSERT_TRUE(welcome);
    EXPECT_EQ(welcome->As<Welcome>().host_incarnation, i);
    EXPECT_EQ(welcome->As<Welcome>().store_id[0], 1) << "the first host's";
    EXPECT_FALSE(last != 0 && Alive(last)) << "two hosts at once";
    last = host.pid();
    SendSignal(last, i % 2 == 0 ? SIGKILL : SIGTERM);
  }
}

TEST_F(HostLife, FindsWhatTheLastOneHadAskedForDone) {
  Start();
  HostEnd first = GreetedHost();
  SendSignal(shim_, SIGSTOP);
  const UniqueFd segment = HostSegment();
  first.Send(Type::kSpawn, SpawnOf({1, 1, 1}, "sleep"), {segment.get()});
  first.Kill();
  SendSignal(shim_, SIGCONT);
  HostEnd second = GreetedHost();
  const auto inventory = second.Inventory();
  ASSERT_EQ(inventory.size(), 2u);
  EXPECT_EQ(inventory[0].As<RunItem>().id.key, 1u);
}

TEST_F(HostLife, OfABadConfigurationEndsTheShimAndLeavesNothing) {
  const int shim = Launch({"exit", "78"});
  EXPECT_EQ(WaitFor(shim), 78);
  EXPECT_FALSE(std::filesystem::exists(StateDirectory()));
}

TEST_F(HostLife, ThatCantBeginEndsTheShimWithAReason) {
  const int shim = Launch({}, "/nonexistent/puma-host");
  EXPECT_EQ(WaitFor(shim), 1);
  EXPECT_THAT(Log(), HasSubstr("/nonexistent/puma-host: No such file or directory"));
}

TEST_F(HostLife, IsTriedForEverWhenItOnlyDies) {
  shim_ = Launch({"exit", "9"});
  EXPECT_TRUE(Eventually([&] {
    const std::string log = Log();
    size_t restarts = 0;
    for (size_t at = 0; (at = log.find("exit code 9", at)) != std::string::npos; ++at) ++restarts;
    return restarts >= 5;
  }));
  EXPECT_TRUE(Alive(shim_));
}

TEST_F(HostLife, IsTheOnlyOneOnAStateDirectory) {
  Start();
  HostEnd host = GreetedHost();
  const int second = Launch({directory_ + "/test.sock"}, HOLLOW_HOST, "second");
  EXPECT_EQ(WaitFor(second), 1);
  EXPECT_THAT(Log("second"), HasSubstr("process " + std::to_string(shim_)));
  EXPECT_TRUE(host.Settle()) << "the first one has noticed nothing";
}

TEST_F(HostLife, NeedsADirectoryThatOthersCantTouch) {
  ASSERT_EQ(::mkdir(StateDirectory().c_str(), 0700), 0);
  ASSERT_EQ(::chmod(StateDirectory().c_str(), 0777), 0);
  EXPECT_EQ(WaitFor(Launch({"exit", "0"})), 78);
  EXPECT_THAT(Log(), HasSubstr("chmod 750 " + StateDirectory()));
  EXPECT_TRUE(std::filesystem::is_empty(StateDirectory()));
}

TEST_F(HostLife, EndsWithItsWorkersWhenTheShimIsAskedToEnd) {
  Start();
  HostEnd host = GreetedHost();
  const int polite = PidOf(SpawnWorker(host, {1, 1, 1}, "sleep"));
  const int stubborn = PidOf(SpawnWorker(host, {2, 1, 1}, "ignores_term"));
  SendSignal(shim_, SIGTERM);
  EXPECT_EQ(WaitForShim(), 0);
  for (int pid : {host.pid(), polite, stubborn}) EXPECT_FALSE(Alive(pid));
}

TEST_F(HostLife, MayEndTheShimItself) {
  Start();
  HostEnd host = GreetedHost();
  const int worker = PidOf(SpawnWorker(host, {1, 1, 1}, "detach"));
  host.Send(Type::kShutdown, Shutdown{1});
  EXPECT_EQ(WaitForShim(), 0);
  EXPECT_FALSE(Alive(worker));
  EXPECT_FALSE(Alive(host.pid()));
  std::string left;
  EXPECT_TRUE(EndLeftovers("PUMA_STATE", StateId(), 0, left)) << "nobody was left to be ended: " << left;
}

TEST_F(HostLife, AndAllWorkersEndWithTheShim) {
  Start();
  HostEnd host = GreetedHost();
  const int worker = PidOf(SpawnWorker(host, {1, 1, 1}, "ignores_term"));
  SendSignal(shim_, SIGKILL);
  WaitForShim();
  EXPECT_TRUE(Eventually([&] { return !Alive(worker) && !Alive(host.pid()); }));
}

TEST_F(HostLife, BeginsWithoutTheLeftoversOfAnEarlierShim) {
  Start();
  HostEnd host = GreetedHost();
  const int worker = PidOf(SpawnWorker(host, {1, 1, 1}, "detach"));
  ASSERT_TRUE(Eventually([&] { return ChildrenOf(worker).size() >= 3; }));
  const std::vector<int> orphans = ChildrenOf(worker);
  SendSignal(shim_, SIGKILL);
  WaitForShim();
  Start();
  HostEnd next = GreetedHost();
  for (int orphan : orphans) EXPECT_FALSE(Alive(orphan)) << orphan;
  EXPECT_EQ(next.Inventory().size(), 1u);
}

TEST_F(HostLife, ThatClosesItsSocketIsReplaced) {
  Start();
  int pid;
  {
    HostEnd host = GreetedHost();
    pid = host.pid();
    SendSignal(pid, SIGSTOP);  // holds the other copy of the socket
    host.Kill();
  }
  HostEnd next = GreetedHost();
  EXPECT_NE(next.pid(), pid);
}

}  // namespace
}  // namespace puma::shim
