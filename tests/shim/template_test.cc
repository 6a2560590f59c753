#include <fstream>

#include "tests/shim/shim_fixture.h"

namespace puma::shim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TemplateTest : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    Start();
    host_.emplace(GreetedHost());
  }
  static std::string ReadProc(int pid, const char* file) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  // Where the kernel has put it: the same for a process and those that are forked off it.
  static std::string PlaceOf(int pid) {
    const std::string maps = ReadProc(pid, "maps");
    return maps.substr(0, maps.find('-'));
  }
  int Spawned(const char* what) { return PidOf(SpawnWorker(*host_, {1, ++run_, run_}, what)); }
  void EndRun() {
    host_->Send(Type::kKillTree, KillTree{{1, run_, run_}});
    AwaitEnd();
  }
  Exited AwaitEnd() {
    const auto empty = host_->Await(Type::kTreeEmpty);
    EXPECT_TRUE(empty.has_value());
    const Exited exited = empty ? empty->As<TreeEmpty>().exit : Exited{};
    host_->Send(Type::kAckExit, AckExit{exited.id, exited.exit_sequence});
    return exited;
  }
  // The pid of the first worker that was forked; its run is the last one.
  int Forked(const char* what) {
    for (int tries = 0; tries < 1000; ++tries) {
      const int pid = Spawned(what);
      const int from = TemplatePid();
      if (pid > 0 && from > 0 && PlaceOf(pid) == PlaceOf(from)) return pid;
      EndRun();
    }
    ADD_FAILURE() << "never forked: " << Log();
    return 0;
  }

  std::optional<HostEnd> host_;
  uint64_t run_ = 0;
};

TEST_F(TemplateTest, WorkersThatAreForkedBeginInTheSameWorldAsThoseThatAreExecd) {
  const int execd = Spawned("sleep");
  ASSERT_TRUE(Eventually([&] { return DescriptorsOf(execd) == 8; }));
  const std::string status_of_execd = ReadProc(execd, "status");
  EndRun();
  const int pid = Forked("sleep");
  EXPECT_EQ(EnvironmentOf(pid, "PUMA_RUN"), "1." + std::to_string(run_));
  EXPECT_EQ(EnvironmentOf(pid, "PUMA_STATE"), StateId());
  EXPECT_EQ(CommandLineOf(pid).substr(0, 18), std::string("puma-worker\0sleep\0", 18));
  EXPECT_EQ(::getsid(pid), pid);
  EXPECT_TRUE(Eventually([&] { return DescriptorsOf(pid) == 8; }));
  const auto lines = [](const std::string& status) {
    std::vector<std::string> lines;
    std::istringstream in(status);
    for (std::string line; std::getline(in, line);) {
      for (const char* wanted : {"Name:", "PPid:", "TracerPid:", "Threads:", "SigPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "ShdPnd:",
                                 "NoNewPrivs:", "Cap", "Umask:", "Seccomp:", "Cpus_allowed:"}) {
        if (line.starts_with(wanted)) lines.push_back(line);
      }
    }
    return lines;
  };
  std::vector<std::string> expected = lines(status_of_execd);
  for (std::string& line : expected) {
    if (line.starts_with("Name:")) line = "Name:\tpuma-worker";
  }
  // Its signal handlers come back only a moment after its descriptors.
  EXPECT_TRUE(Eventually([&] { return lines(ReadProc(pid, "status")) == expected; }))
      << ::testing::PrintToString(lines(ReadProc(pid, "status"))) << "; expected: " << ::testing::PrintToString(expected);
  EXPECT_EQ(ReadProc(pid, "limits"), ReadProc(TemplatePid(), "limits"));
  EXPECT_THAT(ChildrenOf(shim_), ::testing::Contains(pid));
}

TEST_F(TemplateTest, LimitsAreOfTheWorkerAlone) {
  Forked("sleep");
  EndRun();
  Spawn spawn = SpawnOf({1, ++run_, run_}, "sleep");
  spawn.limits.files = 99;
  const UniqueFd segment = HostSegment();
  host_->Send(Type::kSpawn, spawn, {segment.get()});
  const auto answer = host_->Await(Type::kSpawnResult);
  ASSERT_TRUE(answer);
  EXPECT_EQ(PlaceOf(PidOf(*answer)), PlaceOf(TemplatePid())) << "forked";
  rlimit limit{};
  ASSERT_EQ(::prlimit(PidOf(*answer), RLIMIT_NOFILE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_max, 99u);
  ASSERT_EQ(::prlimit(TemplatePid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  EXPECT_NE(limit.rlim_max, 99u);
}

TEST_F(TemplateTest, ItsWorkersEndAsOthersDo) {
  Forked("sleep");
  EndRun();
  Spawned("exit3");
  EXPECT_EQ(AwaitEnd().code, 3);
  Spawned("segfault");
  EXPECT_EQ(AwaitEnd().signal, SIGSEGV);
  Spawned("last_words");
  EXPECT_EQ(AwaitEnd().signal, SIGKILL);
  for (int child : ChildrenOfShim()) EXPECT_EQ(child, host_->pid());
}

TEST_F(TemplateTest, OneThatIsKilledIsReplacedAndItsWorkersLiveOn) {
  const int pid = Forked("good");
  const int first = TemplatePid();
  SendSignal(first, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return TemplatePid() == 0; }));
  EXPECT_TRUE(Alive(pid));
  EndRun();
  Forked("sleep");
  EXPECT_NE(TemplatePid(), first);
  EXPECT_FALSE(Alive(first));
}

TEST_F(TemplateTest, OneThatIsStoppedHoldsNothingUpForLong) {
  Forked("sleep");
  EndRun();
  const int first = TemplatePid();
  SendSignal(first, SIGSTOP);
  const int pid = Spawned("sleep");
  ASSERT_TRUE(Alive(pid));
  EXPECT_TRUE(Eventually([&] { return ChildrenOfShim().size() == 2; })) << "the host and one worker, for ever";
  EXPECT_FALSE(Alive(first));
  EXPECT_THAT(Log(), HasSubstr("the worker template does not answer"));
}

TEST_F(TemplateTest, EndsWithTheShim) {
  Forked("sleep");
  const int from = TemplatePid();
  SendSignal(std::exchange(shim_, -1), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !Alive(from); }));
}

class WorkerFileTest : public TemplateTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    worker_ = directory_ + "/worker";
    Install();
    Start();
    host_.emplace(GreetedHost());
  }
  void Install() const {
    std::filesystem::copy_file(MISBEHAVING_WORKER, worker_ + ".new");
    std::filesystem::rename(worker_ + ".new", worker_);
  }
};

TEST_F(WorkerFileTest, ANewOneIsUsedAtOnce) {
  Forked("sleep");
  EndRun();
  const int first = TemplatePid();
  Install();
  const int pid = Spawned("sleep");
  EXPECT_THAT(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe").string(), Not(HasSubstr("deleted")));
  EXPECT_TRUE(Eventually([&] { return !Alive(first); }));
  EndRun();
  Forked("sleep");
}

}  // namespace
}  // namespace puma::shim
