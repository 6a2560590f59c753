#include <gmock/gmock.h>
#include <puma/log.h>

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
  void Write(Level level, const logging::Site& site, std::string_view text) override {
    MutexLock lock(mutex_);
    texts.push_back(std::string(text));
    loggers.push_back(std::string(site.logger));
    levels.push_back(level);
    last = site.where;
    slots.push_back(logging::CurrentSlotPlusOne());
  }
  std::vector<std::string> texts, loggers;
  std::vector<Level> levels;
  std::vector<uint32_t> slots;
  Here last{};

 private:
  Mutex mutex_;
};

class LoggerTest : public ::testing::Test {
 protected:
  LoggerTest() { previous_ = logging::InstallSink(&sink_); }
  ~LoggerTest() override {
    logging::InstallSink(previous_);
    logging::ProcessLevel().store(static_cast<uint32_t>(Level::kWarn));
  }
  ListSink sink_;
  logging::RecordSink* previous_;
};

TEST_F(LoggerTest, RecordsBelowTheLevelAreNotMade) {
  const Logger logger("a.b");
  logger.info("not {}", 1);
  logger.warn("but {}", 2);
  logging::ProcessLevel().store(static_cast<uint32_t>(Level::kDebug));
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
