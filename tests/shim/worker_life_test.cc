#include <fstream>

#include "tests/shim/shim_fixture.h"

namespace puma::shim {
namespace {

class WorkerLife : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    Start();
  }
  static Exited AwaitEnd(HostEnd& host) {
    const auto exited = host.Await(Type::kExited);
    const auto empty = host.Await(Type::kTreeEmpty);
    EXPECT_TRUE(exited && empty);
    if (!exited || !empty) return {};
    EXPECT_EQ(exited->As<Exited>().exit_sequence, empty->As<TreeEmpty>().exit.exit_sequence);
    EXPECT_EQ(empty->fds.size(), 2u);
    return exited->As<Exited>();
  }
  static std::string StatusOf(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    std::stringstream status;
    status << file.rdbuf();
    return status.str();
  }
  static void Acknowledge(HostEnd& host, const Exited& exited) { host.Send(Type::kAckExit, AckExit{exited.id, exited.exit_sequence}); }
};

TEST_F(WorkerLife, BeginsInACleanWorld) {
  HostEnd host = GreetedHost();
  const Message spawned = SpawnWorker(host, {7, 1, 1}, "sleep");
  const int pid = PidOf(spawned);
  EXPECT_EQ(spawned.fds.size(), 2u) << "doorbell, pidfd";
  ASSERT_TRUE(Alive(pid));
  // An exec makes the new environment visible a moment after the old program is gone.
  EXPECT_TRUE(Eventually([&] { return EnvironmentOf(pid, "PUMA_RUN") == "7.1"; }));
  EXPECT_EQ(EnvironmentOf(pid, "PUMA_STATE"), StateId());
  EXPECT_EQ(::getsid(pid), pid);
  EXPECT_TRUE(Eventually([&] { return DescriptorsOf(pid) == 8; })) << "0 to 7 and, once its libraries are loaded, nothing else";
  const std::string status = StatusOf(pid);
  EXPECT_THAT(status, ::testing::HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, ::testing::HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(status, ::testing::HasSubstr("SigIgn:\t0000000000000000"));
}

TEST_F(WorkerLife, HasTheLimitsThatWereAskedFor) {
  HostEnd host = GreetedHost();
  Spawn spawn = SpawnOf({7, 1, 1}, "sleep");
  spawn.limits.files = 99;
  spawn.limits.core_bytes = 4096;
  const UniqueFd segment = HostSegment();
  host.Send(Type::kSpawn, spawn, {segment.get()});
  const auto answer = host.Await(Type::kSpawnResult);
  ASSERT_TRUE(answer);
  rlimit limit{};
  ASSERT_EQ(::prlimit(PidOf(*answer), RLIMIT_NOFILE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_max, 99u);
  ASSERT_EQ(::prlimit(PidOf(*answer), RLIMIT_CORE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, 4096u);
}

TEST_F(WorkerLife, EndsWithItsExitCode) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "exit3");
  const Exited exited = AwaitEnd(host);
  EXPECT_EQ(exited.code, 3);
  EXPECT_EQ(exited.signal, 0);
  EXPECT_EQ(exited.killed_by_host, 0u);
  EXPECT_GT(exited.max_rss_bytes, 0);
}

TEST_F(WorkerLife, EndsWithItsSignal) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "segfault");
  const Exited exited = AwaitEnd(host);
  EXPECT_EQ(exited.code, 0);
  EXPECT_EQ(exited.signal, SIGSEGV);
  EXPECT_EQ(exited.killed_by_host, 0u);
}

TEST_F(WorkerLife, EndsWhenTheHostSaysSoAndThatIsToldApart) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "sleep");
  host.Send(Type::kSignal, Signal{{1, 1, 1}, SIGTERM, 0});
  Exited exited = AwaitEnd(host);
  EXPECT_EQ(exited.signal, SIGTERM);
  EXPECT_EQ(exited.killed_by_host, 1u);
  const int stubborn = PidOf(SpawnWorker(host, {2, 1, 1}, "ignores_term"));
  ASSERT_TRUE(Eventually([&] { return StatusOf(stubborn).find("SigIgn:\t0000000000004000") != std::string::npos; }));
  host.Send(Type::kSignal, Signal{{2, 1, 1}, SIGTERM, 0});
  host.Send(Type::kKillTree, KillTree{{2, 1, 1}});
  exited = AwaitEnd(host);
  EXPECT_EQ(exited.signal, SIGKILL);
  EXPECT_EQ(exited.killed_by_host, 1u);
}

TEST_F(WorkerLife, IsOverOnlyWhenNobodyOfItsTreeIsLeft) {
  HostEnd host = GreetedHost();
  for (uint64_t run = 1; run <= 10; ++run) {
    const int leader = PidOf(SpawnWorker(host, {1, run, run}, run % 2 == 0 ? "detach" : "detach_and_end"));
    std::vector<int> tree;
    if (run % 2 == 0) {
      ASSERT_TRUE(Eventually([&] { return (tree = ChildrenOf(leader)).size() >= 3; }));
      host.Send(Type::kKillTree, KillTree{{1, run, run}});
    }
    const Exited exited = AwaitEnd(host);
    for (int pid : tree) EXPECT_FALSE(Alive(pid)) << pid;
    EXPECT_THAT(ChildrenOfShim(), ::testing::ElementsAre(host.pid()));
    Acknowledge(host, exited);
  }
}

TEST_F(WorkerLife, IsOverAlsoForAForkBomb) {
  HostEnd host = GreetedHost();
  const int leader = PidOf(SpawnWorker(host, {1, 1, 1}, "forks"));
  ASSERT_TRUE(Eventually([&] { return !ChildrenOf(leader).empty(); }));
  host.Send(Type::kKillTree, KillTree{{1, 1, 1}});
  AwaitEnd(host);
  EXPECT_THAT(ChildrenOfShim(), ::testing::ElementsAre(host.pid()));
}

TEST_F(WorkerLife, LeavesItsLastWordsForTheHost) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "last_words");
  const auto offered = host.Await(Type::kSegmentOffered);
  ASSERT_TRUE(offered);
  EXPECT_EQ(offered->As<SegmentItem>().kind, SegmentKind::kControl);
  const auto empty = host.Await(Type::kTreeEmpty);
  ASSERT_TRUE(empty);
  ASSERT_EQ(empty->fds.size(), 2u);
  char text[64] = {};
  EXPECT_GT(::read(empty->fds[0].get(), text, sizeof(text) - 1), 0);
  EXPECT_STREQ(text, "the last line\n");
  EXPECT_EQ(::read(empty->fds[0].get(), text, sizeof(text)), 0) << "nobody holds the writing end";
}

TEST_F(WorkerLife, IsStartedOnceATicket) {
  HostEnd host = GreetedHost();
  const int first = PidOf(SpawnWorker(host, {1, 5, 77}, "sleep"));
  const Message again = SpawnWorker(host, {1, 5, 77}, "sleep");
  EXPECT_EQ(PidOf(again), first);
  EXPECT_EQ(again.fds.size(), 2u);
  EXPECT_EQ(SpawnWorker(host, {1, 5, 78}, "sleep").As<SpawnResult>().error, EBUSY) << "the run number is taken";
  EXPECT_EQ(SpawnWorker(host, {1, 6, 79}, "sleep").As<SpawnResult>().error, EBUSY) << "a run of this key lives";
  host.Send(Type::kKillTree, KillTree{{1, 5, 77}});
  const Exited exited = AwaitEnd(host);
  EXPECT_EQ(SpawnWorker(host, {1, 6, 79}, "sleep").As<SpawnResult>().error, EBUSY) << "its end is not acknowledged";
  Acknowledge(host, exited);
  EXPECT_EQ(SpawnWorker(host, {1, 5, 77}, "sleep").As<SpawnResult>().error, EBUSY) << "runs don't come twice";
  EXPECT_EQ(SpawnWorker(host, {1, 4, 80}, "sleep").As<SpawnResult>().error, EBUSY);
  EXPECT_EQ(SpawnWorker(host, {1, 6, 79}, "sleep").As<SpawnResult>().error, 0);
}

TEST_F(WorkerLife, ThatCantBeginSaysAtWhichStep) {
  const std::string worker = directory_ + "/worker";
  std::filesystem::copy_file(MISBEHAVING_WORKER, worker);
  SendSignal(shim_, SIGKILL);
  WaitForShim();
  shim_ = ::fork();
  if (shim_ == 0) {
    ::execl(PUMA_SHIM, PUMA_SHIM, "--state-dir", StateDirectory().c_str(), "--host", HOLLOW_HOST, "--worker", worker.c_str(), "--",
            (directory_ + "/test.sock").c_str(), nullptr);
    ::_exit(127);
  }
  HostEnd host = GreetedHost();
  std::filesystem::remove(worker);
  const SpawnResult failed = SpawnWorker(host, {1, 1, 1}, "sleep").As<SpawnResult>();
  EXPECT_EQ(failed.error, ENOENT);
  EXPECT_EQ(failed.step, SpawnStep::kExec);
  std::filesystem::copy_file(MISBEHAVING_WORKER, worker);
  EXPECT_EQ(SpawnWorker(host, {1, 1, 1}, "sleep").As<SpawnResult>().error, ENOENT) << "same ticket, same answer";
  EXPECT_EQ(SpawnWorker(host, {1, 2, 2}, "sleep").As<SpawnResult>().error, 0);
}

TEST_F(WorkerLife, GoesOnWhenTheHostDies) {
  std::vector<int> pids;
  {
    HostEnd host = GreetedHost();
    for (uint64_t key = 1; key <= 20; ++key) pids.push_back(PidOf(SpawnWorker(host, {key, 1, 1}, "sleep")));
    host.Kill();
  }
  for (int round = 0; round < 4; ++round) {
    HostEnd host = GreetedHost();
    const auto inventory = host.Inventory();
    ASSERT_EQ(inventory.size(), 21u);
    for (size_t i = 0; i < 20; ++i) {
      const RunItem item = inventory[i].As<RunItem>();
      EXPECT_EQ(item.pid, pids[i]);
      EXPECT_EQ(item.state, RunState::kLive);
      EXPECT_STREQ(item.label, ("label of " + std::to_string(i + 1)).c_str());
      EXPECT_EQ(inventory[i].fds.size(), 3u) << "H, doorbell, pidfd";
      EXPECT_TRUE(Alive(item.pid));
    }
    EXPECT_EQ(inventory[20].As<InventoryEnd>().runs, 20u);
    host.Kill();
  }
}

// Each end is told to every host until one has acknowledged it, with the same number, and to none after.
TEST_F(WorkerLife, EndsExactlyOnceOverDeathsOfTheHost) {
  constexpr uint64_t kWorkers = 12;
  {
    HostEnd host = GreetedHost();
    for (uint64_t key = 1; key <= kWorkers; ++key) SpawnWorker(host, {key, 1, 1}, key % 2 == 0 ? "sleep" : "exit3");
    host.Kill();
  }
  {
    HostEnd host = GreetedHost();
    for (uint64_t key = 2; key <= kWorkers; key += 2) host.Send(Type::kKillTree, KillTree{{key, 1, 1}});
    host.Kill();
  }
  std::map<uint64_t, uint64_t> sequences;  // by key
  std::map<uint64_t, int> acknowledged;
  for (int round = 0; round < 200 && acknowledged.size() < kWorkers; ++round) {
    HostEnd host = GreetedHost();
    for (const Message& message : host.Inventory()) {
      if (message.header.type != Type::kTreeEmpty) continue;
      const Exited exited = message.As<TreeEmpty>().exit;
      EXPECT_EQ(sequences.try_emplace(exited.id.key, exited.exit_sequence).first->second, exited.exit_sequence);
      EXPECT_FALSE(acknowledged.contains(exited.id.key)) << exited.id.key;
      EXPECT_EQ(exited.killed_by_host, exited.id.key % 2 == 0 ? 1u : 0u);
      EXPECT_EQ(exited.id.key % 2 == 0 ? exited.signal : exited.code, exited.id.key % 2 == 0 ? SIGKILL : 3);
      if (acknowledged.size() > static_cast<size_t>(round)) continue;  // the rest is for the next hosts
      Acknowledge(host, exited);
      ++acknowledged[exited.id.key];
    }
    host.Settle();
    host.Kill();
  }
  EXPECT_EQ(acknowledged.size(), kWorkers);
  HostEnd host = GreetedHost();
  EXPECT_EQ(host.Inventory().size(), 1u);
}

TEST_F(WorkerLife, CostsNothingOnceItIsOver) {
  HostEnd host = GreetedHost();
  const auto once = [&](uint64_t run) {
    SpawnWorker(host, {1, run, run}, run % 3 == 0 ? "exit3" : run % 3 == 1 ? "last_words" : "offers_twice");
    if (run % 3 == 2) host.Send(Type::kKillTree, KillTree{{1, run, run}});
    Acknowledge(host, AwaitEnd(host));
    const uint64_t segment = 1000;
    host.Send(Type::kDropSegments, DropSegments{1}, {}, {reinterpret_cast<const char*>(&segment), sizeof(segment)});
    ASSERT_TRUE(host.Settle());
    host.passed.clear();
  };
  for (uint64_t run = 1; run <= 6; ++run) once(run);
  const size_t before = DescriptorsOf(shim_);
  for (uint64_t run = 7; run <= 206; ++run) once(run);
  EXPECT_EQ(DescriptorsOf(shim_), before);
  EXPECT_EQ(ChildrenOfShim().size(), 1u);
}

TEST_F(WorkerLife, OfManyAtOnceIsKeptApart) {
  HostEnd host = GreetedHost();
  constexpr uint64_t kWorkers = 100;
  for (uint64_t key = 1; key <= kWorkers; ++key) SpawnWorker(host, {key, 1, 1}, key % 2 == 0 ? "detach" : "sleep");
  for (uint64_t key = 1; key <= kWorkers; ++key) host.Send(Type::kKillTree, KillTree{{key, 1, 1}});
  std::map<uint64_t, int> ends;
  for (uint64_t n = 0; n < kWorkers; ++n) {
    const auto empty = host.Await(Type::kTreeEmpty);
    ASSERT_TRUE(empty);
    ++ends[empty->As<TreeEmpty>().exit.id.key];
  }
  EXPECT_EQ(ends.size(), kWorkers);
  EXPECT_EQ(ChildrenOfShim().size(), 1u);
}

}  // namespace
}  // namespace puma::shim
