#include "server/config/command_catalogue.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "tests/config/spec_text.h"
#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

TEST(CommandFile, SaysAllOfACommand) {
  const auto commands = ParseCommands("c.yaml", R"(
commands:
  backup:
    program: /usr/bin/rsync
    args: [-a, "two words", 3]
    client_args: true
    environment: {LANG: C.UTF-8, EMPTY: ""}
    client_environment: [LEVEL]
    working_directory: /srv
    stop_signal: INT
    success_codes: [0, 24]
  short: {program: /bin/true}
)");
  ASSERT_TRUE(commands.ok()) << commands.status();
  ASSERT_EQ(commands->size(), 2u);
  const Command& backup = commands->at("backup");
  EXPECT_EQ(backup.program, "/usr/bin/rsync");
  EXPECT_THAT(backup.args, ElementsAre("-a", "two words", "3"));
  EXPECT_TRUE(backup.client_args);
  EXPECT_THAT(backup.environment, ElementsAre(Pair("EMPTY", ""), Pair("LANG", "C.UTF-8")));
  EXPECT_THAT(backup.client_environment, ElementsAre("LEVEL"));
  EXPECT_EQ(backup.working_directory, "/srv");
  EXPECT_EQ(backup.stop_signal, SIGINT);
  EXPECT_THAT(backup.success_codes, ElementsAre(0, 24));
  const Command& brief = commands->at("short");
  EXPECT_FALSE(brief.client_args);
  EXPECT_EQ(brief.stop_signal, SIGTERM);
  EXPECT_THAT(brief.success_codes, ElementsAre(0));
}

TEST(CommandFile, MayBeEmpty) {
  EXPECT_THAT(*ParseCommands("c.yaml", ""), IsEmpty());
  EXPECT_THAT(*ParseCommands("c.yaml", "commands: {}\n"), IsEmpty());
}

TEST(CommandFile, TheExampleIsRight) {
  std::ifstream file(PUMA_SOURCE "/deploy/commands.yaml");
  const auto commands = ParseCommands("commands.yaml", {std::istreambuf_iterator<char>(file), {}});
  ASSERT_TRUE(commands.ok()) << commands.status();
  EXPECT_EQ(commands->size(), 2u);
}

TEST(CommandFile, EachMistakeIsToldWithItsPlace) {
  const struct {
    const char *text, *message;
  } cases[] = {
      {"commands: [", "c.yaml:1:1: not valid YAML: "},
      {"- a", "c.yaml:1:1: the file: a map is expected"},
      {"comands: {}", "c.yaml:1:1: unknown key \"comands\" of the file; did you mean \"commands\"?"},
      {"commands:\n  a: /bin/true\n", "c.yaml:2:6: command \"a\": a map is expected"},
      {"commands:\n  a: {args: [x]}\n", "c.yaml:2:6: command \"a\": \"program\" is missing"},
      {"commands:\n  a: {program: true}\n", "c.yaml:2:16: program: \"true\" is no absolute path"},
      {"commands:\n  a: {program: /bin/true}\n  a: {program: /bin/true}\n", "c.yaml:3:3: \"a\" stands there twice"},
      {"commands:\n  a b: {program: /bin/true}\n", "c.yaml:2:3: \"a b\" is no name of a command"},
      {"commands:\n  a:\n    program: /bin/true\n    arg: [x]\n",
       "c.yaml:4:5: unknown key \"arg\" of command \"a\"; did you mean \"args\"?"},
      {"commands:\n  a: {program: /bin/true, args: x}\n", "c.yaml:2:33: args: a list is expected"},
      {"commands:\n  a: {program: /bin/true, args: [[x]]}\n", "c.yaml:2:34: an item of args: a text is expected"},
      {"commands:\n  a: {program: /bin/true, client_args: yes}\n", "c.yaml:2:40: client_args: \"yes\" is neither true nor false"},
      {"commands:\n  a: {program: /bin/true, stop_signal: STOPP}\n", "c.yaml:2:40: stop_signal: \"STOPP\" is no signal"},
      {"commands:\n  a: {program: /bin/true, success_codes: [256]}\n", "c.yaml:2:43: success_codes: \"256\" is no exit code"},
      {"commands:\n  a: {program: /bin/true, success_codes: []}\n", "c.yaml:2:42: success_codes: at least one is needed"},
      {"commands:\n  a: {program: /bin/true, working_directory: srv}\n", "c.yaml:2:46: working_directory: \"srv\" is no absolute path"},
      {"commands:\n  a: {program: /bin/true, environment: {a=b: c}}\n", "\"a=b\" is no name of a variable"},
      {"commands:\n  a: {program: /bin/true, client_environment: [PUMA_STATE]}\n", "PUMA_STATE: what begins with PUMA_ is PUMA's own"},
  };
  for (const auto& each : cases) {
    const absl::Status status = ParseCommands("c.yaml", each.text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << each.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(each.message)) << each.text;
  }
}

class CommandCatalogueTest : public ::testing::Test {
 protected:
  void Write(const std::string& text, mode_t mode = 0644) {
    std::ofstream(file_) << text;
    ASSERT_EQ(chmod(file_.c_str(), mode), 0);
  }
  std::string OpenMessage() { return std::string(CommandCatalogue::Open(file_).status().message()); }
  std::vector<std::string> MistakesIn(const std::string& task) {
    return MistakesOf(CommandCatalogue::Open(file_)->CommandOf(FromText<v1::TaskSpec>(task)).status());
  }
  TemporaryDirectory directory_;
  const std::string file_ = directory_.File("commands.yaml");
};

constexpr char kCommands[] = R"(
commands:
  list: {program: /bin/ls, args: [-l], client_args: true, environment: {LANG: C, LEVEL: "1"}, client_environment: [LEVEL]}
  plain: {program: /bin/true}
)";

TEST_F(CommandCatalogueTest, WithoutAFileThereAreNoCommands) {
  const absl::StatusOr<CommandCatalogue> none = CommandCatalogue::Open("");
  ASSERT_TRUE(none.ok());
  EXPECT_THAT(MistakesOf(none->CommandOf(FromText<v1::TaskSpec>(R"(params { key: "command" value { string_value: "plain" } })")).status()),
              ElementsAre("params.command: this host has no commands: it was started without --commands FILE"));
}

TEST_F(CommandCatalogueTest, ACommandComesWithWhatTheTaskAdds) {
  Write(kCommands);
  const absl::StatusOr<Command> command = CommandCatalogue::Open(file_)->CommandOf(FromText<v1::TaskSpec>(R"(
    params { key: "command" value { string_value: "list" } }
    params { key: "args" value { list_value { values { string_value: "/tmp" } } } }
    params { key: "environment" value { struct_value { fields { key: "LEVEL" value { string_value: "2" } } } } })"));
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_THAT(command->args, ElementsAre("-l", "/tmp"));
  EXPECT_THAT(command->environment, ElementsAre(Pair("LANG", "C"), Pair("LEVEL", "2")));
}

TEST_F(CommandCatalogueTest, WhatIsNotAllowedIsToldWithItsField) {
  Write(kCommands);
  EXPECT_THAT(MistakesIn(R"(params { key: "command" value { string_value: "lits" } })"),
              ElementsAre("params.command: unknown command \"lits\"; did you mean \"list\"?"));
  EXPECT_THAT(MistakesIn(R"(params { key: "command" value { string_value: "format-disk" } })"),
              ElementsAre("params.command: unknown command \"format-disk\"; there are: list, plain"));
  EXPECT_THAT(MistakesIn(R"(
    placement: PLACEMENT_THREAD
    params { key: "command" value { string_value: "plain" } }
    params { key: "args" value { list_value { values { string_value: "x" } } } }
    params { key: "environment" value { struct_value { fields { key: "LD_PRELOAD" value { string_value: "x.so" } } } } })"),
              ElementsAre(StartsWith("placement: a program needs a process of its own"),
                          StartsWith("params.args: command \"plain\" takes no arguments from tasks"),
                          "params.environment.LD_PRELOAD: command \"plain\" takes no variable \"LD_PRELOAD\" from tasks; there are none"));
}

TEST_F(CommandCatalogueTest, AFileThatOthersCanWriteIsRefusedWithTheCommandThatFixesIt) {
  Write(kCommands, 0666);
  EXPECT_THAT(OpenMessage(), HasSubstr("chmod o-w " + file_));
  Write(kCommands, 0664);
  EXPECT_THAT(OpenMessage(), HasSubstr("chmod g-w " + file_));
  Write(kCommands, 0600);
  EXPECT_TRUE(CommandCatalogue::Open(file_).ok());
  const std::string directory = directory_.File("");
  ASSERT_EQ(chmod(directory.c_str(), 0777), 0);
  EXPECT_THAT(OpenMessage(), HasSubstr("chmod o-w " + directory.substr(0, directory.size() - 1)));
}

TEST_F(CommandCatalogueTest, AFileOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make one";
  Write(kCommands);
  ASSERT_EQ(chown(file_.c_str(), 4242, 0), 0);
  EXPECT_THAT(OpenMessage(), HasSubstr("chown 0 " + file_));
}

TEST_F(CommandCatalogueTest, AMissingFileIsToldByItsName) {
  EXPECT_THAT(OpenMessage(), HasSubstr(file_));
  EXPECT_FALSE(CommandCatalogue::Open(directory_.File("")).ok()) << "a directory";
}

TEST_F(CommandCatalogueTest, WhatIsChangedHoldsFromTheNextLookOn) {
  Write(kCommands);
  const absl::StatusOr<CommandCatalogue> catalogue = CommandCatalogue::Open(file_);
  const auto task = FromText<v1::TaskSpec>(R"(params { key: "command" value { string_value: "new" } })");
  EXPECT_FALSE(catalogue->CommandOf(task).ok());
  Write("commands: {new: {program: /bin/true}}");
  EXPECT_TRUE(catalogue->CommandOf(task).ok());
  Write("commands: {new: {program: /bin/true}}", 0666);
  EXPECT_TRUE(absl::IsFailedPrecondition(catalogue->CommandOf(task).status()));
  Write("commands: {new: {progam: /bin/true}}");
  EXPECT_TRUE(absl::IsInvalidArgument(catalogue->CommandOf(task).status()));
}

TEST_F(CommandCatalogueTest, AProgramThatIsNoneOrThatOthersCanWriteIsRefused) {
  const std::string program = directory_.File("program");
  Write("commands: {it: {program: " + program + "}}");
  const auto task = FromText<v1::TaskSpec>(R"(params { key: "command" value { string_value: "it" } })");
  const auto message = [&] { return std::string(CommandCatalogue::Open(file_)->CommandOf(task).status().message()); };
  EXPECT_THAT(message(), HasSubstr(program + ": No such file"));
  std::ofstream(program) << "#!/bin/sh\n";
  EXPECT_THAT(message(), HasSubstr(program + " is no program"));
  ASSERT_EQ(chmod(program.c_str(), 0777), 0);
  EXPECT_THAT(message(), HasSubstr("chmod o-w " + program));
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  EXPECT_EQ(message(), "");
}

TEST(HostParams, AreWhatTheWorkerReads) {
  const std::map<std::string, std::string> params = HostParams({.program = "/bin/ls",
                                                                .args = {"-l", "\"quoted\""},
                                                                .environment = {{"LANG", "C"}},
                                                                .working_directory = "/srv",
                                                                .stop_signal = SIGINT,
                                                                .success_codes = {0, 24}});
  EXPECT_THAT(params,
              ElementsAre(Pair("@args", R"(["-l","\"quoted\""])"), Pair("@environment", R"({"LANG":"C"})"), Pair("@program", "\"/bin/ls\""),
                          Pair("@stop_signal", "2"), Pair("@success_codes", "[0,24]"), Pair("@working_directory", "\"/srv\"")));
  EXPECT_THAT(HostParams({.program = "/bin/true"}), ::testing::Contains(Pair("@args", "[]")));
}

}  // namespace
}  // namespace puma::server
