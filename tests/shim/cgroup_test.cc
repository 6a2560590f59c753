// Runs in control groups, where the machine lets us have some; where it does not, these tests say so.
#include "tests/shim/shim_fixture.h"

namespace puma::shim {
namespace {

class GroupTest : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    Start();
  }
  // Of a worker that was started with these limits.
  Exited EndOf(HostEnd& host, const char* what, const Limits& limits) {
    Spawn spawn = SpawnOf({1, 1, 1}, what);
    spawn.limits = limits;
    const UniqueFd segment = HostSegment();
    host.Send(Type::kSpawn, spawn, {segment.get()});
    const auto answer = host.Await(Type::kSpawnResult);
    EXPECT_TRUE(answer && answer->As<SpawnResult>().error == 0);
    const auto empty = host.Await(Type::kTreeEmpty);
    EXPECT_TRUE(empty);
    return empty ? empty->As<TreeEmpty>().exit : Exited{};
  }
  // All directories of control groups that carry this state's id.
  std::vector<std::string> Groups() const {
    std::vector<std::string> groups;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator
             at("/sys/fs/cgroup", std::filesystem::directory_options::skip_permission_denied, error),
         end;
         !error && at != end; at.increment(error)) {
      if (at->path().string().find("puma-" + StateId()) != std::string::npos && at->is_directory(error)) groups.push_back(at->path());
    }
    return groups;
  }
};

TEST_F(GroupTest, AForkBombIsContained) {
  HostEnd host = GreetedHost();
  if ((features_ & kFeatureCgroupPids) == 0) GTEST_SKIP() << "no pids controller is ours here";
  Limits limits{};
  limits.processes = 20;
  const int children = EndOf(host, "fork_and_count", limits).code;
  EXPECT_GE(children, 5);
  EXPECT_LE(children, 19) << "beside the leader; fewer where a sanitizer gives each a thread";
}

TEST_F(GroupTest, WhoIsKilledForItsMemoryIsToldApart) {
  HostEnd host = GreetedHost();
  if ((features_ & kFeatureCgroupMemory) == 0) GTEST_SKIP() << "no memory controller is ours here";
  Limits limits{};
  limits.address_space_bytes = 32 << 20;
  const Exited exited = EndOf(host, "eats_memory", limits);
  EXPECT_EQ(exited.signal, SIGKILL);
  EXPECT_EQ(exited.out_of_memory, 1u);
}

TEST_F(GroupTest, ALimitOfMemoryThatIsNotReachedHurtsNobody) {
  HostEnd host = GreetedHost();
  if ((features_ & kFeatureCgroupMemory) == 0) GTEST_SKIP() << "no memory controller is ours here";
  Limits limits{};
  limits.address_space_bytes = uint64_t{1} << 30;
  const Exited exited = EndOf(host, "eats_memory", limits);
  EXPECT_EQ(exited.signal, 0);
  EXPECT_EQ(exited.code, 0);
  EXPECT_EQ(exited.out_of_memory, 0u);
}

TEST_F(GroupTest, NoneIsLeftWhenTheyAreOver) {
  HostEnd host = GreetedHost();
  if ((features_ & kFeatureCgroupKill) == 0) GTEST_SKIP() << "no control group is ours here";
  const size_t before = Groups().size();
  Limits limits{};
  limits.processes = 100;
  EndOf(host, "detach_and_end", limits);
  EXPECT_EQ(Groups().size(), before);
  SendSignal(shim_, SIGTERM);
  WaitForShim();
  EXPECT_TRUE(Groups().empty());
}

TEST_F(GroupTest, TheNextShimRemovesWhatAKilledOneLeft) {
  HostEnd host = GreetedHost();
  if ((features_ & kFeatureCgroupKill) == 0) GTEST_SKIP() << "no control group is ours here";
  SpawnWorker(host, {1, 1, 1}, "detach");
  const size_t with_a_run = Groups().size();
  SendSignal(shim_, SIGKILL);
  WaitForShim();
  EXPECT_EQ(Groups().size(), with_a_run);
  Start();
  GreetedHost();
  EXPECT_EQ(Groups().size(), with_a_run - 1);
}

}  // namespace
}  // namespace puma::shim
