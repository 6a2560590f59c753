// One log for a program and all of its runnables, children of children included.
#include <puma/logging.h>
#include <puma/testing/log_capture.h>
#include <unistd.h>

#include <csignal>

#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Talker : public Runnable {
 public:
  explicit Talker(Setup& setup) : depth_(setup.Param("depth", 0, "talkers below this one")) {
    setup.Command("say", &Talker::Say, {"text"});
    setup.Command("say_deep", &Talker::SayDeep, {"text"});
    setup.Command("say_and_die", &Talker::SayAndDie, {"text"});
    setup.Command("hears_debug", &Talker::HearsDebug);
  }
  void Say(const std::string& text) { log().warn("{}", text); }
  bool HearsDebug() const { return log().enabled(Level::kDebug); }
  void SayAndDie(const std::string& text) {
    log().error("{}", text);
    ::kill(::getpid(), SIGKILL);
  }
  absl::Status SayDeep(const std::string& text) {
    if (depth_ == 0) return Say(text), absl::OkStatus();
    return next_->Call(&Talker::SayDeep, text);
  }

 private:
  absl::Status OnStart() override {
    if (depth_ == 0) return absl::OkStatus();
    next_ = std::make_unique<Runner<Talker>>(
        environment().CreateRunner<Talker>("talker" + std::to_string(depth_ - 1), {.params = {{"depth", depth_ - 1}}}));
    return next_->StartBlocking();
  }
  int depth_;
  std::unique_ptr<Runner<Talker>> next_;
};

class LogsTest : public BothKinds {};

std::vector<std::string> TextsOf(const LogCapture& capture) {
  std::vector<std::string> texts;
  for (const LogRecord& record : capture.Records({.level = Level::kWarn})) {
    if (record.logger.starts_with("talker")) texts.push_back(record.text);
  }
  return texts;
}

TEST_P(LogsTest, RecordsOfRunnablesArriveInTheProgramsLogUnderTheirNames) {
  LogCapture capture;
  {
    auto talker = env_->CreateRunner<Talker>("talker");
    ASSERT_TRUE(talker.StartBlocking(kLong).ok());
    for (const char* text : {"first", "second", "third"}) ASSERT_TRUE(talker.Call(&Talker::Say, text).ok());
  }
  EXPECT_THAT(TextsOf(capture), ElementsAre("first", "second", "third")) << "each once, in order";
  EXPECT_EQ(capture.Count({.text = "first", .logger = "talker"}), 1u);
}

TEST_P(LogsTest, ThreeGenerationsAreInOneLog) {
  LogCapture capture;
  {
    auto talker = env_->CreateRunner<Talker>("talker2", {.params = {{"depth", 2}}});
    ASSERT_TRUE(talker.StartBlocking(kLong).ok());
    ASSERT_TRUE(talker.Call(&Talker::SayDeep, "from below").ok());
  }
  ASSERT_THAT(TextsOf(capture), ElementsAre("from below"));
  EXPECT_EQ(capture.Count({.text = "from below", .logger = "talker0"}), 1u);
}

TEST_P(LogsTest, LevelChangesReachRunningOnes) {
  auto talker = env_->CreateRunner<Talker>("talker");
  ASSERT_TRUE(talker.StartBlocking(kLong).ok());
  const SavedLogging saved = SaveLogging();
  EXPECT_FALSE(*talker.Call(&Talker::HearsDebug));
  SetLevel("talker", Level::kDebug);
  EXPECT_TRUE(Eventually([&] { return *talker.Call(&Talker::HearsDebug); }));
  RestoreLogging(saved);
  EXPECT_TRUE(Eventually([&] { return !*talker.Call(&Talker::HearsDebug); }));
  EXPECT_TRUE(talker.Close().ok());
}

TEST(LogsOfProcesses, TheLastRecordBeforeAKillIsDelivered) {
  ProcessEnvironment env;
  for (int i = 0; i < 10; ++i) {
    LogCapture capture;
    auto talker = env.CreateRunner<Talker>("talker");
    ASSERT_TRUE(talker.StartBlocking(kLong).ok());
    EXPECT_FALSE(talker.Call(&Talker::SayAndDie, "last words").ok());
    ASSERT_TRUE(talker.Join(kLong).ok());
    EXPECT_THAT(TextsOf(capture), ElementsAre("last words"));
    EXPECT_FALSE(talker.Close().ok());
  }
}

PUMA_IN_BOTH_KINDS(LogsTest);

}  // namespace
}  // namespace puma::testing
