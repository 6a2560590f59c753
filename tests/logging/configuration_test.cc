// What a configuration file may say, what is said about mistakes in it, and the two that ship.
#include "worker/logging/configuration.h"

#include <gmock/gmock.h>
#include <puma/logging.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/logging/folder.h"
#include "worker/logging/record_sink.h"

namespace puma {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

class ConfigurationTest : public ::testing::Test {
 protected:
  ~ConfigurationTest() override { ResetLogging(); }
  // The message of the mistake in this file, without its folder.
  std::string Mistake(const std::string& text) {
    const absl::Status status = InitLogging(folder_.Write("log.yaml", text));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    const std::string message(status.message());
    EXPECT_TRUE(message.starts_with(folder_.path() + "/")) << status;
    return message.substr(std::min(message.size(), folder_.path().size() + 1));
  }
  tests::Folder folder_;
};

TEST_F(ConfigurationTest, TheReadmesExampleSaysWhatItSays) {
  std::ifstream readme(PUMA_LOGGING_README);
  std::ostringstream text;
  text << readme.rdbuf();
  const size_t begin = text.str().find("```yaml\n") + 8;
  const auto c = logging::LoadConfiguration(folder_.Write("example.yaml", text.str().substr(begin, text.str().find("```", begin) - begin)));
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->levels.root, Level::kInfo);
  EXPECT_THAT(c->levels.sections,
              ElementsAre(Pair("imaging", Level::kDebug), Pair("imaging.sobel", Level::kTrace), Pair("noisy", Level::kOff)));
  EXPECT_THAT(c->format, HasSubstr("{message}"));
  ASSERT_THAT(c->sinks, SizeIs(3));
  EXPECT_EQ(c->sinks[0].kind, logging::SinkConfiguration::Kind::kStderr);
  EXPECT_EQ(c->sinks[0].level, Level::kWarn);
  EXPECT_EQ(c->sinks[1].path, "logs/all.log");
  EXPECT_TRUE(c->sinks[1].at_first_record);
  EXPECT_EQ(c->sinks[2].path, "logs/{program}_{time}.log");
  EXPECT_EQ(c->sinks[2].rotate_bytes, uint64_t{10} << 20);
  EXPECT_EQ(c->sinks[2].rotate_files, 20u);
  EXPECT_FALSE(c->sinks[2].at_first_record);
}

TEST_F(ConfigurationTest, TheDevelopmentConfigurationIsTheDefault) {
  for (const char* name : {"", "development"}) {
    const auto c = logging::LoadConfiguration(name);
    ASSERT_TRUE(c.ok()) << c.status();
    EXPECT_EQ(c->levels.root, Level::kDebug);
    ASSERT_THAT(c->sinks, SizeIs(1));
    EXPECT_EQ(c->sinks[0].kind, logging::SinkConfiguration::Kind::kStderr);
  }
}

TEST_F(ConfigurationTest, TheProductionConfigurationHasRotatingTimestampedFilesAndTheConsole) {
  const auto c = logging::LoadConfiguration("production");
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->levels.root, Level::kInfo);
  ASSERT_THAT(c->sinks, SizeIs(2));
  EXPECT_THAT(c->sinks[0].path, HasSubstr("{time}"));
  EXPECT_GT(c->sinks[0].rotate_bytes, 0u);
  EXPECT_GT(c->sinks[0].rotate_files, 0u);
  EXPECT_EQ(c->sinks[1].kind, logging::SinkConfiguration::Kind::kStderr);
}

TEST_F(ConfigurationTest, LevelsOfTheFileApply) {
  ASSERT_TRUE(InitLogging(folder_.Write("log.yaml", "levels: {root: error, a: info, a.b: TRACE, c: Warning}\nsinks: []\n")).ok());
  EXPECT_EQ(LevelOf("x"), Level::kError);
  EXPECT_EQ(LevelOf("a.x"), Level::kInfo);
  EXPECT_EQ(LevelOf("a.b.c"), Level::kTrace);
  EXPECT_EQ(LevelOf("c"), Level::kWarn);
}

TEST_F(ConfigurationTest, InitialisingAgainUndoesManualLevels) {
  const std::string file = folder_.Write("log.yaml", "levels: {root: error, a: info}\nsinks: []\n");
  ASSERT_TRUE(InitLogging(file).ok());
  SetLevel("", Level::kTrace);
  SetLevel("a", Level::kOff);
  SetLevel("b", Level::kOff);
  ASSERT_TRUE(InitLogging(file).ok());
  EXPECT_EQ(LevelOf(""), Level::kError);
  EXPECT_EQ(LevelOf("a"), Level::kInfo);
  EXPECT_EQ(LevelOf("b"), Level::kError);
}

TEST_F(ConfigurationTest, AMistakeIsNamedWithFileLineAndColumn) {
  EXPECT_EQ(Mistake("levels:\n  root: lout\n"), "log.yaml:2:9: unknown level \"lout\" (there are: trace, debug, info, warn, error, off)");
  EXPECT_EQ(Mistake("sinks:\n  - type: file\n    path: x\n    rotate: {size: much}\n"),
            "log.yaml:4:20: size: \"much\" is no size like 4096, 64KiB or 10MiB");
  EXPECT_EQ(Mistake("sinks:\n  - type: file\n"), "log.yaml:2:5: a file without \"path\"");
  EXPECT_EQ(Mistake("sinks: 3\n"), "log.yaml:1:8: sinks: a list is expected");
  EXPECT_THAT(Mistake("levels: [\n"), HasSubstr("log.yaml:2:1: "));
  EXPECT_EQ(Mistake(""), "log.yaml:1:1: is empty");
  EXPECT_EQ(Mistake("a text"), "log.yaml:1:1: the configuration: a mapping is expected");
}

TEST_F(ConfigurationTest, UnknownKeysComeWithASuggestion) {
  EXPECT_EQ(Mistake("level: {root: info}\n"),
            "log.yaml:1:1: unknown key of the configuration \"level\"; did you mean \"levels\"? (there are: levels, format, sinks)");
  EXPECT_THAT(Mistake("sinks:\n  - {type: file, path: x, rotat: {}}\n"),
              HasSubstr("log.yaml:2:27: unknown key of a sink \"rotat\"; did you mean \"rotate\"?"));
  EXPECT_THAT(Mistake("sinks:\n  - {type: fil, path: x}\n"), HasSubstr("did you mean \"file\"?"));
  EXPECT_THAT(Mistake("levels: {root: eror}\n"), HasSubstr("did you mean \"error\"?"));
  EXPECT_THAT(Mistake("format: '{tim} {message}'\n"), HasSubstr("log.yaml:1:9: unknown field \"tim\"; did you mean \"time\"?"));
  EXPECT_THAT(Mistake("sinks: [{type: file, path: 'x{tme}.log'}]\n"), HasSubstr("did you mean \"time\"?"));
}

TEST_F(ConfigurationTest, WhatContradictsItselfIsRefused) {
  EXPECT_THAT(Mistake("levels: {a: info}\nlevels: {b: info}\n"), HasSubstr("log.yaml:2:1: \"levels\" stands there twice"));
  EXPECT_THAT(Mistake("sinks: [{type: stderr, path: x}]\n"), HasSubstr("\"path\" is for files only"));
  EXPECT_THAT(Mistake("sinks: [{path: x}]\n"), HasSubstr("a sink without \"type\""));
  EXPECT_THAT(Mistake("sinks: [{type: file, path: x, rotate: {files: 3}}]\n"), HasSubstr("\"size\" is missing"));
  EXPECT_THAT(Mistake("sinks: [{type: file, path: x, rotate: {size: 0}}]\n"), HasSubstr("is no size"));
  EXPECT_THAT(Mistake("sinks: [{type: file, path: x, rotate: {size: 99999999999GiB}}]\n"), HasSubstr("is no size"));
  EXPECT_THAT(Mistake("sinks: [{type: file, path: '{time}/x'}]\n"), HasSubstr("in the file's name"));
  EXPECT_THAT(Mistake("sinks: [{type: file, path: 'x/'}]\n"), HasSubstr("is a folder"));
  EXPECT_THAT(Mistake("levels: {a..b: info}\n"), HasSubstr("is no section"));
  EXPECT_THAT(Mistake("format: '{message'\n"), HasSubstr("without its partner"));
}

TEST_F(ConfigurationTest, NothingIsHalfApplied) {
  ASSERT_TRUE(
      InitLogging(folder_.Write("good.yaml", "levels: {root: info}\nsinks: [{type: file, path: " + folder_ / "good.log" + "}]\n")).ok());
  const Logger logger("x");
  EXPECT_FALSE(InitLogging(folder_.Write("bad.yaml", "levels: {root: trace}\nsinks: [{type: nothing}]\n")).ok());
  // The second file can't be opened: the first isn't, either.
  folder_.Write("occupied", "");
  EXPECT_FALSE(InitLogging(folder_.Write("bad.yaml", "levels: {root: trace}\nsinks:\n  - {type: file, path: " + folder_ / "new.log" +
                                                         "}\n  - {type: file, path: " + folder_ / "occupied/new.log" + "}\n"))
                   .ok());
  EXPECT_FALSE(InitLogging(folder_ / "no.yaml").ok());
  logger.debug("not logged");
  logger.info("still logged");
  EXPECT_EQ(LevelOf(""), Level::kInfo);
  EXPECT_THAT(folder_.Read("good.log"), HasSubstr("still logged"));
  EXPECT_THAT(folder_.Read("good.log"), ::testing::Not(HasSubstr("not logged")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new.log"));
}

TEST_F(ConfigurationTest, AMissingFileIsNamed) {
  const absl::Status status = InitLogging(folder_ / "no.yaml");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no.yaml"));
}

TEST_F(ConfigurationTest, UnderAHostOrParentInitialisingIsRefused) {
  class Sink : public logging::RecordSink {
    void Write(const logging::Record&) override {}
  } sink;
  logging::RecordSink* const before = logging::InstallSink(&sink);
  EXPECT_EQ(InitLogging().code(), absl::StatusCode::kFailedPrecondition);
  logging::InstallSink(before);
}

}  // namespace
}  // namespace puma
