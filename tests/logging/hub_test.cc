#include "worker/logging/hub.h"

#include <gmock/gmock.h>
#include <puma/logging.h>
#include <puma/testing/log_capture.h>
#include <sys/mman.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/logging/child_process.h"
#include "worker/buffer/segment.h"
#include "worker/logging/hub_layout.h"
#include "worker/logging/hub_sink.h"
#include "worker/logging/record_sink.h"

namespace puma {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using tests::ChildProcess;

constexpr char kChild[] = PUMA_LOGGING_CHILD;

struct Seen {
  std::string process, logger, text, file, function;
  Level level;
  int64_t time, thread;
  int line;
};

// Keeps what comes; can be stopped, as a console whose reader sleeps.
class SlowSink : public logging::RecordSink {
 public:
  void Write(const logging::Record& record) override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !stopped_; });
    --waiting_;
    if (record.only_for_captures) return;
    seen_.push_back({std::string(record.process), std::string(record.logger), std::string(record.text), record.where.file,
                     record.where.function, record.level, record.time_unix_ns, record.thread, record.where.line});
  }
  void Stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  void AwaitStuckWriter() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  void GoOn() {
    std::lock_guard lock(mutex_);
    stopped_ = false;
    changed_.notify_all();
  }
  std::vector<Seen> seen() {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> texts;
    for (const Seen& seen : seen()) texts.push_back(seen.text);
    return texts;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  int waiting_ = 0;
  std::vector<Seen> seen_;
};

class HubTest : public ::testing::Test {
 protected:
  HubTest() : before_(logging::InstallSink(&sink_)) {}
  ~HubTest() override {
    sink_.GoOn();
    hub_.reset();
    ResetLogging();
    logging::InstallSink(before_);
  }
  void Make(logging::HubOptions options = {}) {
    auto hub = logging::Hub::Create(std::move(options));
    ASSERT_TRUE(hub.ok()) << hub.status();
    hub_ = *std::move(hub);
  }
  // Runs a child to its end.
  int Run(std::vector<std::string> arguments, const std::string& name = "worker") {
    ChildProcess child(*hub_, kChild, name, std::move(arguments));
    return child.Wait();
  }
  SlowSink sink_;
  std::unique_ptr<logging::Hub> hub_;
  logging::RecordSink* const before_;
};

TEST_F(HubTest, RecordsOfAChildComeWithAllTheyWereMadeWith) {
  Make();
  SetLevel("work", Level::kInfo);
  const int64_t before = absl::ToUnixNanos(absl::Now());
  ASSERT_EQ(Run({"log", "3"}), 0);
  EXPECT_THAT(sink_.texts(), ElementsAre("record 0", "record 1", "record 2"));
  const Seen seen = sink_.seen()[1];
  EXPECT_EQ(seen.process, "worker");
  EXPECT_EQ(seen.logger, "work.child");
  EXPECT_EQ(seen.level, Level::kInfo);
  EXPECT_THAT(seen.file, HasSubstr("tests/logging/child.cc"));
  EXPECT_EQ(seen.function, "Log");
  EXPECT_GT(seen.line, 0);
  EXPECT_GT(seen.thread, 0);
  EXPECT_NE(seen.thread, getpid());
  EXPECT_GE(seen.time, before);
}

TEST_F(HubTest, WithoutInitialisationWarningsOfAChildComeAndNothingBelow) {
  Make();
  ASSERT_EQ(Run({"filtered", "2", "2"}), 0);
  EXPECT_THAT(sink_.texts(), ElementsAre("relevant 0", "relevant 1"));
}

TEST_F(HubTest, TheOrderWithinAProcessIsKeptAndNothingIsLost) {
  Make();
  SetLevel("", Level::kInfo);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] { EXPECT_EQ(Run({"threads", "2", "1000", "50"}, "worker" + std::to_string(i)), 0); });
  }
  for (auto& thread : threads) thread.join();
  std::map<std::string, int> next;  // of a process's thread
  for (const Seen& seen : sink_.seen()) {
    ASSERT_EQ(std::stoi(seen.text), next[seen.process + seen.logger]++) << seen.process << " " << seen.logger << ": " << seen.text;
    ASSERT_TRUE(seen.text.ends_with("x end"));
  }
  EXPECT_THAT(next, SizeIs(6));
  for (const auto& [who, count] : next) EXPECT_EQ(count, 1000) << who;
}

TEST_F(HubTest, TheLastRecordBeforeSigkillIsDelivered) {
  Make();
  SetLevel("", Level::kInfo);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(WIFSIGNALED(Run({"die", "100"})));
    ASSERT_THAT(sink_.seen(), SizeIs(101 * (i + 1)));
    ASSERT_EQ(sink_.seen().back().text, "last words");
  }
}

TEST_F(HubTest, GrandchildrenLogIntoTheSameOutputAsThemselves) {
  Make();
  SetLevel("", Level::kInfo);
  ASSERT_EQ(Run({"nest", kChild, "nest", kChild, "log", "2"}), 0);
  std::vector<std::string> lines;
  for (const Seen& seen : sink_.seen()) lines.push_back(seen.process + ": " + seen.text);
  EXPECT_THAT(lines, ElementsAre("worker: before the grandchild", "grandchild: before the grandchild", "grandchild: record 0",
                                 "grandchild: record 1", "grandchild: after the grandchild", "worker: after the grandchild"));
  EXPECT_EQ(sink_.seen()[2].logger, "work.child");
  EXPECT_EQ(sink_.seen()[2].function, "Log");
  std::set<int64_t> threads;
  for (const Seen& seen : sink_.seen()) threads.insert(seen.thread);
  EXPECT_THAT(threads, SizeIs(3));
}

TEST_F(HubTest, TheLastWordsOfAGrandchildComeThroughItsParent) {
  Make();
  EXPECT_NE(Run({"nest", kChild, "die", "0"}), 0);
  EXPECT_THAT(sink_.texts(), Contains("last words"));
}

TEST_F(HubTest, FilteringHappensAtTheSource) {
  Make({.ring_records = 5});
  sink_.Stop();
  ChildProcess first(*hub_, kChild, "first", {"filtered", "0", "1"});
  sink_.AwaitStuckWriter();  // nobody reads any more
  ChildProcess child(*hub_, kChild, "worker", {"filtered", "10", "1"});
  int status = -1;
  ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());  // it ends
  EXPECT_EQ(status, 0);
  sink_.GoOn();
  first.Wait();
  child.Wait();
  EXPECT_THAT(sink_.texts(), ElementsAre("relevant 0", "relevant 0"));
  EXPECT_EQ(sink_.seen()[1].process, "worker");
}

TEST_F(HubTest, AChildNeverWaitsForTheReaderAndWhatWasDroppedIsCounted) {
  Make({.ring_records = 5});
  sink_.Stop();
  ChildProcess first(*hub_, kChild, "first", {"filtered", "0", "1"});
  sink_.AwaitStuckWriter();
  ChildProcess child(*hub_, kChild, "worker", {"filtered", "0", "100"});
  int status = -1;
  ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());
  EXPECT_EQ(status, 0);
  sink_.GoOn();
  first.Wait();
  child.Wait();
  EXPECT_THAT(sink_.texts(), ElementsAre("relevant 0", "relevant 0", "relevant 1", "relevant 2", "relevant 3", "relevant 4",
                                         "records were dropped, since the log's ring was full: 95 warn"));
  EXPECT_EQ(sink_.seen().back().process, "worker");
}

TEST_F(HubTest, LevelsReachRunningChildren) {
  std::mutex mutex;
  int to = -1;
  Make({.levels_changed = [&](const std::string& text) {
    std::lock_guard lock(mutex);
    const std::string packet = text + "#";
    EXPECT_TRUE(to < 0 || write(to, packet.data(), packet.size()) == static_cast<ssize_t>(packet.size()));
  }});
  ChildProcess child(*hub_, kChild, "worker", {"levels"});
  {
    std::lock_guard lock(mutex);
    to = child.to();
  }
  const auto heard = [&] {
    char c;
    return read(child.from(), &c, 1) == 1;
  };
  SetLevel("section", Level::kDebug);
  ASSERT_TRUE(heard());
  OverrideLevels(Level::kInfo);
  ASSERT_TRUE(heard());
  ResetLogging();
  ASSERT_TRUE(heard());
  {
    std::lock_guard lock(mutex);
    to = -1;
  }
  child.Kill();
  child.Wait();
  EXPECT_THAT(sink_.texts(), ElementsAre("section debug", "other error", "other info", "other error", "other error"));
}

TEST_F(HubTest, AChildStartedLaterHasTheLevelsOfThatMoment) {
  Make();
  OverrideLevels(Level::kDebug);
  ASSERT_EQ(Run({"filtered", "1", "0"}), 0);
  OverrideLevels(Level::kError);
  ASSERT_EQ(Run({"filtered", "1", "1"}), 0);
  EXPECT_THAT(sink_.texts(), ElementsAre("filtered 0"));
}

TEST_F(HubTest, ACaptureHasTheRecordsOfChildrenAndKeepsWhatIsBelowTheLevel) {
  Make();
  testing::LogCapture capture;
  ASSERT_EQ(Run({"filtered", "2", "1"}), 0);
  ASSERT_EQ(Run({"nest", kChild, "filtered", "1", "0"}), 0);
  EXPECT_EQ(capture.Count({.text = "filtered", .process = "worker"}), 2u);
  EXPECT_EQ(capture.Count({.text = "filtered", .process = "grandchild"}), 1u);
  EXPECT_EQ(capture.Count({.text = "relevant"}), 1u);
  EXPECT_THAT(sink_.texts(), ElementsAre("relevant 0"));
}

TEST_F(HubTest, ACaptureWorksInsideAChildProcess) {
  Make();
  EXPECT_EQ(Run({"capture"}), 0);
  EXPECT_THAT(sink_.texts(), IsEmpty());
}

TEST_F(HubTest, AChildMayHaveLevelsOfItsOwnButNoConfiguration) {
  Make();
  EXPECT_EQ(Run({"own"}), 0);
  EXPECT_THAT(sink_.texts(), ElementsAre("by the child's own wish"));
}

TEST_F(HubTest, AVeryLongTextIsCutAndSaysSo) {
  Make();
  EXPECT_EQ(Run({"long", "100000"}), 0);
  ASSERT_THAT(sink_.seen(), SizeIs(1));
  EXPECT_LE(sink_.texts()[0].size(), size_t{64} << 10);
  EXPECT_THAT(sink_.texts()[0], HasSubstr("[cut: had 100000 bytes]"));
}

TEST_F(HubTest, TheHubsEndDeliversWhatIsThere) {
  Make();
  sink_.Stop();
  ChildProcess child(*hub_, kChild, "worker", {"filtered", "0", "50"});
  int status = -1;
  ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());
  sink_.GoOn();
  child.Wait();
  hub_.reset();
  EXPECT_THAT(sink_.texts(), SizeIs(50));
}

TEST_F(HubTest, ManyChildrenOneAfterTheOtherLeaveNothing) {
  Make();
  const auto descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) != -1;
    return count;
  };
  const int before = descriptors();
  for (int i = 0; i < 200; ++i) {
    auto child = hub_->AddChild("child");
    ASSERT_TRUE(child.ok()) << child.status();
    auto sink = logging::HubSink::Open(std::move(child->descriptors));
    ASSERT_TRUE(sink.ok()) << sink.status();
    logging::Record record;
    record.level = Level::kError;
    record.logger = "x";
    record.text = "t";
    (*sink)->Write(record);
    hub_->ChildEnded(child->token);
    hub_->ChildEnded(child->token);  // nobody any more
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_THAT(sink_.seen(), SizeIs(200));
}

TEST_F(HubTest, AChildThatNeverAttachedIsNoTrouble) {
  Make();
  auto child = hub_->AddChild("child");
  ASSERT_TRUE(child.ok());
  hub_->ChildEnded(child->token);
  EXPECT_THAT(sink_.seen(), IsEmpty());
}

TEST_F(HubTest, ARingThatAChildHasSpoiledIsLeftAndTheOthersGoOn) {
  Make();
  auto liar = hub_->AddChild("liar");
  ASSERT_TRUE(liar.ok());
  const int ring_fd = dup(liar->descriptors.ring.get());
  auto sink = logging::HubSink::Open(std::move(liar->descriptors));
  ASSERT_TRUE(sink.ok());
  const logging::HubRingMap map = logging::MapOfHubRing(logging::HubRingOptions(1 << 13, 2 << 20));
  auto memory = Segment::MapWritable(UniqueFd(ring_fd), map.bytes);
  ASSERT_TRUE(memory.ok()) << memory.status();
  reinterpret_cast<RingHeader*>(memory->data() + map.ring)->tail.store(1'000'000'000);
  hub_->ChildEnded(liar->token);
  ASSERT_THAT(sink_.seen(), SizeIs(1));
  EXPECT_THAT(sink_.texts()[0], HasSubstr("has spoiled its log"));
  ASSERT_EQ(Run({"filtered", "0", "1"}), 0);
  EXPECT_THAT(sink_.texts(), SizeIs(2));
}

TEST_F(HubTest, SourcesThatPointNowhereAreShownAsThat) {
  Make();
  auto liar = hub_->AddChild("liar");
  ASSERT_TRUE(liar.ok());
  const int ring_fd = dup(liar->descriptors.ring.get());
  auto sink = logging::HubSink::Open(std::move(liar->descriptors));
  ASSERT_TRUE(sink.ok());
  const logging::HubRingMap map = logging::MapOfHubRing(logging::HubRingOptions(1 << 13, 2 << 20));
  auto memory = Segment::MapWritable(UniqueFd(ring_fd), map.bytes);
  ASSERT_TRUE(memory.ok());
  auto* sources = reinterpret_cast<logging::HubSource*>(memory->data() + map.sources);
  sources[1] = {1, 0xffffffff, 0xffffffff, 1, 0xffffffff, 0, 0, 0, 0};
  reinterpret_cast<logging::HubRingHeader*>(memory->data())->source_count.store(0xffffffff);
  auto logs = RingReader::Open({memory->data() + map.ring, map.bytes - map.ring});
  ASSERT_TRUE(logs.ok());
  logging::Record record;
  record.level = Level::kError;
  record.text = "t";
  (*sink)->Write(record);
  hub_->ChildEnded(liar->token);
  EXPECT_THAT(sink_.texts(), ElementsAre("t"));
}

TEST_F(HubTest, OtherDescriptorsAreRefused) {
  Make();
  auto child = hub_->AddChild("child");
  ASSERT_TRUE(child.ok());
  logging::HubDescriptors wrong;
  wrong.ring.reset(dup(child->descriptors.page.get()));
  wrong.page.reset(dup(child->descriptors.ring.get()));
  EXPECT_FALSE(logging::HubSink::Open(std::move(wrong)).ok());
  EXPECT_FALSE(logging::HubSink::Open({}).ok());
  EXPECT_EQ(logging::Hub::Create({.ring_bytes = 10}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace puma
