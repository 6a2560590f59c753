#include <linux/futex.h>
#include <sys/syscall.h>

#include <atomic>

#include "tests/shim/shim_fixture.h"

namespace puma::shim {
namespace {

using ::testing::HasSubstr;

class Segments : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    Start();
  }
  static std::string FailureOf(const Message& message) { return message.Rest(sizeof(WorkerFailed)); }
  // Starts a task that is granted a page and a lane; both are offered.
  static void Begin(HostEnd& host, const RunId& id, uint64_t page, uint64_t lane) {
    const UniqueFd spec = HostSegment();
    StartTask start{};
    start.id = id;
    start.task = 50 + id.key;
    start.task_run = 60;
    start.grant_count = 2;
    Grant grants[2] = {};
    grants[0] = {page, SegmentKind::kPage, 0, 1 << 20, "the page"};
    grants[1] = {lane, SegmentKind::kLane, 0, 1 << 20, "the lane"};
    host.Send(Type::kStartTask, start, {spec.get()}, {reinterpret_cast<const char*>(grants), sizeof(grants)});
  }
};

TEST_F(Segments, AreKeptWithTheLabelsOfTheirGrants) {
  HostEnd host = GreetedHost();
  const RunId id{1, 1, 1};
  SpawnWorker(host, id, "good");
  const auto control = host.Await(Type::kSegmentOffered);
  ASSERT_TRUE(control);
  EXPECT_EQ(control->As<SegmentItem>().segment, 1000u);
  Begin(host, id, 2001, 2002);
  const auto page = host.Await(Type::kSegmentOffered);
  const auto lane = host.Await(Type::kSegmentOffered);
  ASSERT_TRUE(page && lane);
  EXPECT_EQ(lane->As<SegmentItem>().kind, SegmentKind::kLane);
  EXPECT_EQ(lane->As<SegmentItem>().owner.run, 1u);
  EXPECT_EQ(lane->As<SegmentItem>().task, 51u);
  EXPECT_EQ(lane->As<SegmentItem>().task_run, 60u);
  EXPECT_EQ(lane->As<SegmentItem>().bytes, 65536u);
  EXPECT_STREQ(lane->As<SegmentItem>().label, "the lane");
  EXPECT_EQ(lane->fds.size(), 1u);
  host.Kill();
  HostEnd next = GreetedHost();
  const auto inventory = next.Inventory();
  ASSERT_EQ(inventory.size(), 5u);
  EXPECT_STREQ(inventory[3].As<SegmentItem>().label, "the lane");
  EXPECT_EQ(inventory[3].fds.size(), 1u);
  EXPECT_EQ(inventory[4].As<InventoryEnd>().segments, 3u);
}

TEST_F(Segments, AreHandedToOtherWorkersAlsoAfterTheirOwnersDeath) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "good");
  Begin(host, {1, 1, 1}, 2001, 2002);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(host.Await(Type::kSegmentOffered));
  host.Send(Type::kKillTree, KillTree{{1, 1, 1}});
  const auto empty = host.Await(Type::kTreeEmpty);
  ASSERT_TRUE(empty);
  host.Send(Type::kAckExit, AckExit{{1, 1, 1}, empty->As<TreeEmpty>().exit.exit_sequence});
  Spawn second = SpawnOf({2, 1, 1}, "good");
  second.control_segment = 3000;  // the worker offers 1000, which is refused; it goes on
  const UniqueFd segment = HostSegment();
  host.Send(Type::kSpawn, second, {segment.get()});
  ASSERT_TRUE(host.Await(Type::kSpawnResult));
  Attach attach{};
  attach.to = {2, 1, 1};
  attach.segment = 2002;
  attach.lane = 2002;
  attach.subscription = 52;
  attach.kind = SegmentKind::kLane;
  host.Send(Type::kAttach, attach);
  const auto attached = host.Await(Type::kAttached);
  ASSERT_TRUE(attached);
  EXPECT_EQ(attached->As<Attached>().id.key, 2u) << "as the shim knows it, not as the worker says";
  EXPECT_EQ(attached->As<Attached>().start, 1u) << "it came with one descriptor";
  const uint64_t dropped = 2002;
  host.Send(Type::kDropSegments, DropSegments{1}, {}, {reinterpret_cast<const char*>(&dropped), sizeof(dropped)});
  host.Send(Type::kAttach, attach);
  const auto refused = host.Await(Type::kError);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->As<Error>().code, ENOENT);
}

TEST_F(Segments, ThatAreNotAsTheyMustBeAreRefused) {
  HostEnd host = GreetedHost();
  const std::pair<const char*, const char*> cases[] = {{"unsealed", "wrong seals"},
                                                       {"no_future", "wrong seals"},
                                                       {"empty", "empty"},
                                                       {"ungranted", "not granted"},
                                                       {"offers_twice", "offered before"}};
  uint64_t key = 0;
  for (const auto& [what, why] : cases) {
    const int pid = PidOf(SpawnWorker(host, {++key, 1, 1}, what));
    const auto failed = host.Await(Type::kWorkerFailed);
    ASSERT_TRUE(failed) << what;
    EXPECT_EQ(failed->As<WorkerFailed>().id.key, key);
    EXPECT_THAT(FailureOf(*failed), HasSubstr(why));
    EXPECT_TRUE(Alive(pid)) << "the host decides";
  }
  host.Kill();
  HostEnd next = GreetedHost();
  size_t failures = 0;
  for (const Message& message : next.Inventory()) failures += message.header.type == Type::kWorkerFailed;
  EXPECT_EQ(failures, std::size(cases));
}

TEST_F(Segments, MayNotBeLargerThanGranted) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "good");
  const UniqueFd spec = HostSegment();
  StartTask start{};
  start.id = {1, 1, 1};
  start.grant_count = 1;
  const Grant grant{77, SegmentKind::kLane, 0, 65535, ""};
  host.Send(Type::kStartTask, start, {spec.get()}, {reinterpret_cast<const char*>(&grant), sizeof(grant)});
  const auto failed = host.Await(Type::kWorkerFailed);
  ASSERT_TRUE(failed);
  EXPECT_THAT(FailureOf(*failed), HasSubstr("larger than granted"));
}

TEST_F(Segments, AreOfferedByTheLeaderOnly) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "child_speaks");
  host.Send(Type::kKillTree, KillTree{{1, 1, 1}});
  ASSERT_TRUE(host.Await(Type::kTreeEmpty));
  for (const Message& message : host.passed) EXPECT_NE(message.header.type, Type::kWorkerFailed);
}

TEST_F(Segments, OfADeadRunWakeWhoSleepsOnThem) {
  HostEnd host = GreetedHost();
  SpawnWorker(host, {1, 1, 1}, "good");
  Begin(host, {1, 1, 1}, 2001, 2002);
  ASSERT_TRUE(host.Await(Type::kSegmentOffered));
  ASSERT_TRUE(host.Await(Type::kSegmentOffered));
  const auto lane = host.Await(Type::kSegmentOffered);
  ASSERT_TRUE(lane);
  void* mapped = ::mmap(nullptr, 65536, PROT_READ, MAP_SHARED, lane->fds[0].get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  std::atomic<bool> woken{false};
  std::atomic<bool> asleep{false};
  std::thread sleeper([&] {
    asleep = true;
    // The tail is the second line of a ring's header. Sleeps until it is woken: a signal would be EINTR, a time-out ETIMEDOUT.
    const timespec belt{60, 0};
    woken = ::syscall(SYS_futex, static_cast<char*>(mapped) + 128, FUTEX_WAIT, 0, &belt, nullptr, 0) == 0;
  });
  ASSERT_TRUE(Eventually([&] { return asleep.load(); }));
  // Asleep, or about to be: the kernel says which.
  EXPECT_TRUE(Eventually([&] {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream file(task.path() / "syscall");
      std::string text;
      std::getline(file, text);
      if (text.starts_with(std::to_string(SYS_futex) + " 0x") && text.find(" 0x0 0x0 ") != std::string::npos) return true;
    }
    return false;
  }));
  host.Send(Type::kKillTree, KillTree{{1, 1, 1}});
  sleeper.join();
  EXPECT_TRUE(woken);
  ::munmap(mapped, 65536);
}

}  // namespace
}  // namespace puma::shim
