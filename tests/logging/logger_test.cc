#include <gmock/gmock.h>
#include <puma/log.h>
#include <puma/logging.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"

namespace {
struct Broken {};
}  // namespace
template <>
struct fmt::formatter<Broken> {
  constexpr auto parse(format_parse_context& ctx) { return ctx.begin(); }
  template <class Context>
  auto format(const Broken&, Context& ctx) const -> decltype(ctx.out()) {
    throw std::runtime_error("can't be formatted");
  }
};

namespace puma {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ListSink : public logging::RecordSink {
 public:
  void Write(const logging::Record& record) override {
    MutexLock lock(mutex_);
    texts.emplace_back(record.text);
    loggers.emplace_back(record.logger);
    levels.push_back(record.level);
    last = record.where;
    slots.push_back(record.slot_plus_one);
    threads.push_back(record.thread);
  }
  std::vector<std::string> texts, loggers;
  std::vector<Level> levels;
  std::vector<uint32_t> slots;
  std::vector<int64_t> threads;
  Here last{};

 private:
  Mutex mutex_;
};

class LoggerTest : public ::testing::Test {
 protected:
  LoggerTest() { previous_ = logging::InstallSink(&sink_); }
  ~LoggerTest() override {
    logging::InstallSink(previous_);
    ResetLogging();
  }
  ListSink sink_;
  logging::RecordSink* previous_;
};

TEST_F(LoggerTest, RecordsBelowTheLevelAreNotMade) {
  const Logger logger("a.b");
  logger.info("not {}", 1);
  logger.warn("but {}", 2);
  SetLevel("", Level::kDebug);
  logger.debug("now {}", 3);
  EXPECT_THAT(sink_.texts, ElementsAre("but 2", "now 3"));
  EXPECT_THAT(sink_.levels, ElementsAre(Level::kWarn, Level::kDebug));
  EXPECT_EQ(sink_.loggers[0], "a.b");
}

TEST_F(LoggerTest, TheMacroDoesNotEvaluateWhatNobodyWants) {
  int evaluated = 0;
  PUMA_LOG(Info, "{}", ++evaluated);
  EXPECT_EQ(evaluated, 0);
  PUMA_LOG(Error, "{}", ++evaluated);
  EXPECT_EQ(evaluated, 1);
}

TEST_F(LoggerTest, KnowsWhereItWasCalled) {
  const Logger logger("x");
  logger.error("here");
  EXPECT_THAT(sink_.last.file, HasSubstr("logger_test.cc"));
  EXPECT_EQ(std::string(sink_.last.function), "TestBody");
  EXPECT_EQ(sink_.last.line, __LINE__ - 3);
}

TEST_F(LoggerTest, AFormatterThatThrowsGivesAText) {
  const Logger logger("x");
  logger.error("{}", Broken{});
  EXPECT_THAT(sink_.texts, ElementsAre("<error: can't be formatted>"));
}

TEST_F(LoggerTest, AFormatterThatLogsItselfIsNoTrouble) {
  const Logger logger("x");
  const auto inner = [&] {
    logger.error("inner");
    return 1;
  };
  logger.error("outer {}", inner());
  EXPECT_THAT(sink_.texts, ElementsAre("inner", "outer 1"));
}

TEST_F(LoggerTest, ErrnoIsAsBefore) {
  const Logger logger("x");
  logging::InstallSink(nullptr);
  errno = 77;
  logger.error("this line on stderr belongs to a test");
  EXPECT_EQ(errno, 77);
}

TEST_F(LoggerTest, AForkedProcessHasItsOwnThreadId) {
  const Logger logger("x");
  logger.error("the id is known now");
  EXPECT_EQ(sink_.threads.back(), getpid());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    logger.error("in the child");
    _exit(sink_.threads.back() == getpid() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(LoggerTest, AfterTheShutdownRecordsAreDroppedSilently) {
  const Logger logger("x");
  std::atomic<uint32_t> level{0};
  const Logger of_the_host(logging::InternName("y"), &level);
  ShutdownLogging();
  logger.error("dropped");
  of_the_host.error("dropped, too");
  EXPECT_FALSE(logger.enabled(Level::kError));
  ResetLogging();
  logger.error("back");
  EXPECT_THAT(sink_.texts, ElementsAre("back"));
}

TEST_F(LoggerTest, AThreadLogsAsItsRunnable) {
  std::atomic<uint32_t> level{static_cast<uint32_t>(Level::kInfo)};
  const Logger own(logging::InternName("camera"), &level);
  log().error("as the process");
  {
    logging::ThreadScope scope(own, 6);
    log().info("as the runnable");
    level.store(static_cast<uint32_t>(Level::kOff));
    log().error("no longer");
    std::thread([] { log().error("another thread is not"); }).join();
  }
  log().error("as before");
  EXPECT_THAT(sink_.texts, ElementsAre("as the process", "as the runnable", "another thread is not", "as before"));
  EXPECT_THAT(sink_.loggers, ElementsAre("", "camera", "", ""));
  EXPECT_THAT(sink_.slots, ElementsAre(0, 7, 0, 0));
}

}  // namespace
}  // namespace puma
