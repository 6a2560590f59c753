#include "worker/logging/levels.h"

#include <gmock/gmock.h>
#include <puma/logging.h>

#include <string>
#include <thread>
#include <vector>

namespace puma {
namespace {

using ::testing::ElementsAre;

class LevelsTest : public ::testing::Test {
 protected:
  ~LevelsTest() override { ResetLogging(); }
  // The lowest level that is logged.
  static Level Of(const std::string& logger) {
    const Logger asked(logger);
    for (auto level : {Level::kTrace, Level::kDebug, Level::kInfo, Level::kWarn, Level::kError}) {
      if (asked.enabled(level)) return level;
    }
    return Level::kOff;
  }
};

TEST_F(LevelsTest, WithoutInitialisationWarningsAndAbove) {
  EXPECT_EQ(Of(""), Level::kWarn);
  EXPECT_EQ(Of("imaging.sobel"), Level::kWarn);
}

TEST_F(LevelsTest, ALoggerTakesTheLevelOfTheNearestEnclosingSectionElseTheRoots) {
  SetLevel("", Level::kError);
  SetLevel("imaging", Level::kInfo);
  SetLevel("imaging.sobel.fast", Level::kTrace);
  EXPECT_EQ(Of("imaging"), Level::kInfo);
  EXPECT_EQ(Of("imaging.sobel"), Level::kInfo);
  EXPECT_EQ(Of("imaging.sobel.fast"), Level::kTrace);
  EXPECT_EQ(Of("imaging.sobel.fast.inner"), Level::kTrace);
  EXPECT_EQ(Of("imaging.sobel.faster"), Level::kInfo);  // parts between dots, no prefixes of letters
  EXPECT_EQ(Of("imagingx"), Level::kError);
  EXPECT_EQ(Of("audio"), Level::kError);
}

TEST_F(LevelsTest, SectionsOverrideTheRootUpAndDown) {
  SetLevel("", Level::kInfo);
  SetLevel("loud", Level::kTrace);
  SetLevel("quiet", Level::kError);
  SetLevel("silent", Level::kOff);
  EXPECT_EQ(Of("loud.x"), Level::kTrace);
  EXPECT_EQ(Of("quiet.x"), Level::kError);
  EXPECT_EQ(Of("silent.x"), Level::kOff);
  EXPECT_EQ(Of("x"), Level::kInfo);
}

TEST_F(LevelsTest, OverridingTheRootLeavesExplicitSectionsAlone) {
  SetLevel("a", Level::kInfo);
  SetLevel("", Level::kTrace);
  EXPECT_EQ(Of("a.b"), Level::kInfo);
  EXPECT_EQ(Of("b"), Level::kTrace);
}

TEST_F(LevelsTest, TheGlobalOverrideChangesAll) {
  SetLevel("a", Level::kInfo);
  SetLevel("b.c", Level::kOff);
  OverrideLevels(Level::kDebug);
  for (const char* logger : {"", "a", "b.c", "d"}) EXPECT_EQ(Of(logger), Level::kDebug) << logger;
}

TEST_F(LevelsTest, ChangesReachLoggersThatAreThere) {
  const Logger before("section.logger");
  EXPECT_FALSE(before.enabled(Level::kDebug));
  SetLevel("section", Level::kDebug);
  EXPECT_TRUE(before.enabled(Level::kDebug));
}

TEST_F(LevelsTest, ResetForgetsAll) {
  SetLevel("", Level::kTrace);
  SetLevel("a", Level::kOff);
  ResetLogging();
  EXPECT_EQ(Of(""), Level::kWarn);
  EXPECT_EQ(Of("a"), Level::kWarn);
}

TEST_F(LevelsTest, SaveAndRestoreBringBackLevels) {
  SetLevel("a", Level::kInfo);
  const SavedLogging saved = SaveLogging();
  OverrideLevels(Level::kOff);
  RestoreLogging(saved);
  EXPECT_EQ(Of("a"), Level::kInfo);
  EXPECT_EQ(Of("b"), Level::kWarn);
  ResetLogging();
  RestoreLogging(saved);
  EXPECT_EQ(Of("a"), Level::kInfo);
  RestoreLogging(SavedLogging());
  EXPECT_EQ(Of("a"), Level::kInfo);
}

TEST_F(LevelsTest, WordsOfALevelAreOneForEachName) {
  EXPECT_EQ(logging::LevelWord("same"), logging::LevelWord("same"));
  EXPECT_NE(logging::LevelWord("same"), logging::LevelWord("other"));
  EXPECT_EQ(logging::InternName("same"), logging::InternName(std::string("same")));
}

TEST_F(LevelsTest, LevelsTravelAsTextAndBack) {
  SetLevel("", Level::kInfo);
  SetLevel("a", Level::kOff);
  SetLevel("a.b", Level::kTrace);
  const std::string text = logging::LevelsForChildren();
  ResetLogging();
  ASSERT_TRUE(logging::ApplyLevels(text).ok());
  EXPECT_EQ(Of("a"), Level::kOff);
  EXPECT_EQ(Of("a.b.c"), Level::kTrace);
  EXPECT_EQ(Of("x"), Level::kInfo);
  SetLevel("", Level::kError);
  ResetLogging();  // back to what the parent has said
  EXPECT_EQ(Of("x"), Level::kInfo);
  for (const char* wrong : {"", "5", "53", "93\n", "59\n", "53\n4", "53\n4x", "53\n4\n", "53\nxa\n"}) {
    EXPECT_EQ(logging::ApplyLevels(wrong).code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(Of("x"), Level::kInfo);
  ASSERT_TRUE(logging::ApplyLevels("53\n").ok());
}

TEST_F(LevelsTest, AListenerHearsEachChangeTheLatestLast) {
  std::vector<std::string> heard;
  {
    logging::LevelListener listener([&](const std::string& text) { heard.push_back(text); });
    SetLevel("", Level::kInfo);
    OverrideLevels(Level::kTrace);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([i] { SetLevel("section", static_cast<Level>(i)); });
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(heard.size(), 6u);
  EXPECT_EQ(heard.back(), logging::LevelsForChildren());
  OverrideLevels(Level::kOff);
  EXPECT_EQ(heard.size(), 6u);
}

TEST_F(LevelsTest, NamesOfLevels) {
  for (auto level : {Level::kTrace, Level::kDebug, Level::kInfo, Level::kWarn, Level::kError, Level::kOff}) {
    EXPECT_EQ(ParseLevel(LevelName(level)), level);
  }
  EXPECT_EQ(ParseLevel("WARNING"), Level::kWarn);
  EXPECT_EQ(ParseLevel("loud"), std::nullopt);
}

TEST_F(LevelsTest, ManyThreadsChangeAndLog) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([i] {
      const Logger logger("busy." + std::to_string(i));
      for (int n = 0; n < 200; ++n) {
        SetLevel("busy", n % 2 == 0 ? Level::kOff : Level::kError);
        logger.debug("never {}", n);
        const Logger another("busy." + std::to_string(n));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Of("busy.1"), LevelOf("busy.1"));
}

}  // namespace
}  // namespace puma
