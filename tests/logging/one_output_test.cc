// Threads, children and grandchildren log at the same time; what a reader of the console or of the files sees.
#include <gmock/gmock.h>
#include <puma/logging.h>

#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/logging/child_process.h"
#include "tests/logging/folder.h"
#include "worker/logging/hub.h"

namespace puma {
namespace {

using tests::ChildProcess;

constexpr char kChild[] = PUMA_LOGGING_CHILD;
constexpr int kRecords = 300;

class OneOutputTest : public ::testing::Test {
 protected:
  OneOutputTest() {
    auto hub = logging::Hub::Create();
    EXPECT_TRUE(hub.ok()) << hub.status();
    hub_ = *std::move(hub);
  }
  ~OneOutputTest() override { ResetLogging(); }
  void Init(const std::string& sink) {
    const std::string yaml = "format: '{process} {logger} {message}'\nlevels: {root: warn}\nsinks: [" + sink + "]\n";
    const absl::Status status = InitLogging(folder_.Write("log.yaml", yaml));
    ASSERT_TRUE(status.ok()) << status;
  }
  // Two threads here, in two children and in a child of a third.
  void LogEverywhere() {
    const std::vector<std::string> threads = {"threads", "2", std::to_string(kRecords), "100"};
    std::vector<std::string> nested = {"nest", kChild};
    nested.insert(nested.end(), threads.begin(), threads.end());
    ChildProcess a(*hub_, kChild, "a", threads), b(*hub_, kChild, "b", threads), c(*hub_, kChild, "c", nested);
    std::vector<std::thread> own;
    for (int t = 0; t < 2; ++t) {
      own.emplace_back([t] {
        const Logger logger("thread" + std::to_string(t));
        for (int i = 0; i < kRecords; ++i) logger.warn("{} {} end", i, std::string(100, 'x'));
      });
    }
    for (auto& thread : own) thread.join();
    EXPECT_EQ(a.Wait(), 0);
    EXPECT_EQ(b.Wait(), 0);
    EXPECT_EQ(c.Wait(), 0);
  }
  // Each line whole; of each thread all records, in their order.
  void Check(std::string_view text, int sources = 8) {
    std::map<std::string, int> next;
    const std::string tail = " " + std::string(100, 'x') + " end";
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      ASSERT_TRUE(line.ends_with(tail)) << line;
      const std::string_view head = line.substr(0, line.size() - tail.size());
      const size_t number = head.rfind(' ') + 1;
      ASSERT_EQ(std::string(head.substr(number)), std::to_string(next[std::string(head.substr(0, number))]++)) << line;
    }
    EXPECT_EQ(next.size(), static_cast<size_t>(sources));
    for (const auto& [source, count] : next) EXPECT_EQ(count, kRecords) << source;
  }
  tests::Folder folder_;
  std::unique_ptr<logging::Hub> hub_;
};

TEST_F(OneOutputTest, APlainFileHasEachRecordOnceAndWhole) {
  ASSERT_NO_FATAL_FAILURE(Init("{type: file, path: " + folder_ / "all.log" + "}"));
  LogEverywhere();
  Check(folder_.Read("all.log"));
}

TEST_F(OneOutputTest, RotatingFilesJoinedInNameOrderHaveEachRecordOnce) {
  ASSERT_NO_FATAL_FAILURE(Init("{type: file, path: '" + folder_ / "logs/{program}_{time}.log" + "', rotate: {size: 4KiB}}"));
  LogEverywhere();
  std::string joined;
  for (const std::string& name : folder_.Names("logs")) joined += folder_.Read("logs/" + name);
  EXPECT_GT(folder_.Names("logs").size(), 10u);
  Check(joined);
}

TEST_F(OneOutputTest, TheConsoleHasEachRecordOnceAndWhole) {
  ASSERT_NO_FATAL_FAILURE(Init("{type: stderr}"));
  ::testing::internal::CaptureStderr();
  LogEverywhere();
  Check(::testing::internal::GetCapturedStderr());
}

TEST_F(OneOutputTest, WithoutInitialisationWarningsOfAllProcessesStandOnTheConsole) {
  ::testing::internal::CaptureStderr();
  ChildProcess child(*hub_, kChild, "a", {"nest", kChild, "filtered", "1", "1"});
  EXPECT_EQ(child.Wait(), 0);
  log().warn("here");
  log().info("not here");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, ::testing::ContainsRegex("WARN  grandchild - [0-9]+ child.cc:LogMostlyFiltered:[0-9]+ relevant 0\n.* WARN .* here\n"));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << said;
}

}  // namespace
}  // namespace puma
