// Contexts, completion, the manual page, doctor: the real puma-ctl before the real API server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_split.h"
#include "tests/cli/ctl_fixture.h"

namespace puma::client {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;

class ReferenceTest : public CtlTest {
 protected:
  ReferenceTest() { setenv("PUMA_CONFIG", config_.c_str(), 1); }
  ~ReferenceTest() override {
    unsetenv("PUMA_CONFIG");
    unsetenv("PUMA_HOST");
  }
  static Ran Bare(const std::vector<std::string>& words) { return Running(words).End(); }  // without --host
  std::vector<std::string> Offers(std::vector<std::string> words) {
    words.insert(words.begin(), {"__complete", "--", "--host", host_.target()});
    std::vector<std::string> names;
    for (const auto line : absl::StrSplit(Bare(words).out, '\n', absl::SkipEmpty()))
      names.emplace_back(std::vector<std::string>(absl::StrSplit(line, '\t'))[0]);
    return names;
  }
  void WriteConfig(const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(config_).parent_path());
    std::ofstream(config_) << text;
  }
  const std::string config_ = host_.directory() + "/home/puma.yaml";
};

TEST_F(ReferenceTest, AContextIsAHostByName) {
  Apply();
  EXPECT_EQ(Bare({"context", "list"}).err, "no contexts; make one: puma-ctl context set NAME --host ADDRESS\n");
  ASSERT_EQ(Bare({"context", "set", "lab", "--host", host_.target()}).code, 0);
  ASSERT_EQ(Bare({"context", "set", "far", "--host", "far:7777", "--ca", "ca.pem", "--token-file", "/t"}).code, 0);
  EXPECT_EQ(Bare({"context", "list"}).out, "   NAME  HOST\n   far   far:7777\n*  lab   " + host_.target() + "\n");
  EXPECT_THAT(Bare({"get", "pipelines"}).out, HasSubstr("edges")) << "the first one is the current one";
  struct stat info {};
  ASSERT_EQ(stat(config_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  ASSERT_EQ(Bare({"context", "use", "far"}).code, 0);
  EXPECT_EQ(Bare({"get", "pipelines"}).code, 1);
  EXPECT_THAT(Bare({"--context", "lab", "get", "pipelines"}).out, HasSubstr("edges"));
  EXPECT_THAT(Bare({"--host", host_.target(), "get", "pipelines"}).out, HasSubstr("edges")) << "and without far's ca.pem";
  setenv("PUMA_HOST", host_.target().c_str(), 1);
  EXPECT_THAT(Bare({"get", "pipelines"}).out, HasSubstr("edges"));
  EXPECT_EQ(Bare({"--context", "far", "get", "pipelines"}).code, 1) << "said now beats said once";
  unsetenv("PUMA_HOST");

  ASSERT_EQ(Bare({"context", "delete", "far"}).code, 0);
  EXPECT_EQ(Bare({"context", "list", "-o", "name"}).out, "lab\n");
  const Ran unknown = Bare({"--context", "lob", "get", "pipelines"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.err, "error: there is no context \"lob\"; did you mean \"lab\"?\n");
  EXPECT_EQ(Bare({"context", "use", "lob"}).code, 1);
  EXPECT_EQ(Bare({"context", "set", "new"}).code, 1) << "no host";
}

TEST_F(ReferenceTest, MistakesInTheContextsAreShownInTheirPlace) {
  for (const auto& [text, mistake] :
       std::map<std::string, std::string>{{"contexts:\n  lab: {hots: x}\n", ":2: unknown key \"hots\"; did you mean \"host\"?"},
                                          {"contexts:\n  lab: {ca: x}\n", ":2: a context needs a host"},
                                          {"contexts:\n  lab: x\n", ":2: a context is written as {host: ADDRESS, ...}"},
                                          {"contexts:\n  lab: {host: [x]}\n", ":2: host is a text"},
                                          {"current: a\nfoo: b\n", ":2: \"foo\""},
                                          {"- a\n", ":1: write \"contexts:\""},
                                          {"a: [\n", ":2: "}}) {
    WriteConfig(text);
    const Ran ran = Bare({"get", "tasks"});
    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.err, StartsWith("error: " + config_ + mistake)) << text;
    EXPECT_EQ(Bare({"context", "set", "x", "--host", "y"}).code, 1) << "and nothing is overwritten";
    EXPECT_EQ(Bare({"version", "--client"}).code, 0) << "who needs no host needs no contexts";
    std::stringstream kept;
    kept << std::ifstream(config_).rdbuf();
    EXPECT_EQ(kept.str(), text);
  }
}

TEST_F(ReferenceTest, FilesOfAContextAreSeenFromItsOwn) {
  WriteConfig("current: lab\ncontexts:\n  lab: {host: \"" + host_.target() + "\", token_file: token}\n");
  EXPECT_THAT(Bare({"get", "tasks"}).err, HasSubstr(host_.directory() + "/home/token"));
}

TEST_F(ReferenceTest, CompletesCommandsOptionsAndChoices) {
  EXPECT_THAT(Offers({"lo"}), ElementsAre("log-level", "logs"));
  EXPECT_THAT(Offers({"logs", "--f"}), ElementsAre("--follow"));
  EXPECT_THAT(Offers({"logs", "--"}), IsSupersetOf({"--follow", "--grep", "--host", "--output"}));
  EXPECT_THAT(Offers({"wait", "edges", "--for", "s"}), ElementsAre("succeeded", "stopped"));
  EXPECT_THAT(Offers({"get", "pi"}), ElementsAre("pipelines", "pipeline"));
  EXPECT_THAT(Offers({"-o", "j"}), ElementsAre("json"));
  EXPECT_THAT(Offers({"context", "u"}), ElementsAre("use"));
  EXPECT_THAT(Offers({"apply", "-f", ""}), ElementsAre(":file"));
  EXPECT_THAT(Offers({"--ca", ""}), ElementsAre(":file"));
  EXPECT_THAT(Offers({"nonsense", "x"}), ElementsAre());
  EXPECT_THAT(Offers({"apply", "extra", ""}), ElementsAre());
}

TEST_F(ReferenceTest, CompletesNamesThatTheHostKnows) {
  Apply();
  EXPECT_THAT(Offers({"stop", "edges/d"}), ElementsAre("edges/detector.0", "edges/detector.1"));
  EXPECT_THAT(Offers({"stop", ""}), IsSupersetOf({"edges", "edges/sink"}));
  EXPECT_THAT(Offers({"delete", ""}), IsSupersetOf({"edges", "edges/sink"}));
  EXPECT_THAT(Offers({"tap", ""}), ElementsAre("edges/edges", "edges/frames"));
  EXPECT_THAT(Offers({"describe", "buffer", "edges/f"}), ElementsAre("edges/frames"));
  EXPECT_THAT(Offers({"get", "tasks", ""}), Contains("edges/sink"));
  EXPECT_THAT(Offers({"logs", "-f", "--level", "info", "edges/s"}), ElementsAre("edges/sink"));
  ASSERT_EQ(Bare({"context", "set", "lab", "--host", "x"}).code, 0);
  EXPECT_THAT(Offers({"context", "use", ""}), ElementsAre("lab"));
  EXPECT_THAT(Offers({"--context", ""}), ElementsAre("lab"));
  host_.Stop();
  EXPECT_THAT(Offers({"stop", ""}), ElementsAre()) << "and no words";
}

TEST_F(ReferenceTest, TheScriptForBashWorks) {
  Apply();
  const std::string script = host_.directory() + "/completion.bash";
  const Ran made = Bare({"completion", "bash"});
  ASSERT_EQ(made.code, 0);
  std::ofstream(script) << made.out;
  const std::string ask = "source " + script + "; COMP_WORDS=(" + PUMA_CTL + " --host " + host_.target() +
                          " stop edges/si); COMP_CWORD=4; _puma_ctl; echo \"${COMPREPLY[@]}\"";
  EXPECT_EQ(Running({"--norc", "-c", ask}, "/bin/bash").End().out, "edges/sink\n");
  for (const std::string shell : {"zsh", "fish"}) EXPECT_THAT(Bare({"completion", shell}).out, HasSubstr("__complete"));
  EXPECT_EQ(Bare({"completion", "tcsh"}).code, 2);
}

TEST_F(ReferenceTest, TheManualPageHasEveryCommandWithAnExample) {
  const std::string page = Bare({"__man"}).out;
  EXPECT_THAT(page, StartsWith(".TH PUMA\\-CTL 1"));
  for (const std::string& command : Offers({""})) {
    const std::string title = ".SS " + std::string(command == "log-level" ? "log\\-level" : command);
    EXPECT_THAT(page, HasSubstr(title)) << command;
    if (command == "context") continue;
    EXPECT_THAT(Bare({command, "--help"}).out, HasSubstr("Example")) << command;
  }
  for (const char* line : {"\\-\\-host", "\\-f, \\-\\-follow", "puma\\-ctl get tasks \\-\\-filter"}) EXPECT_THAT(page, HasSubstr(line));
}

TEST_F(ReferenceTest, DoctorSaysWhatIsWrong) {
  const Ran well = Ctl({"doctor"});
  EXPECT_EQ(well.code, 0) << well.out;
  for (const char* subject : {"kernel", "descriptors", "host", "version", "isolation"}) EXPECT_THAT(well.out, HasSubstr(subject));
  EXPECT_THAT(Ctl({"doctor", "-o", "json"}).out, HasSubstr("\"subject\": \"kernel\""));
  const std::string token = host_.directory() + "/token";
  std::ofstream(token) << "secret\n";
  ASSERT_EQ(chmod(token.c_str(), 0644), 0);
  EXPECT_THAT(Ctl({"--token-file", token, "doctor"}).out, HasSubstr("chmod 600"));
  host_.Stop();
  const Ran gone = Ctl({"doctor"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.out, HasSubstr("start one with: puma-host"));
}

}  // namespace
}  // namespace puma::client
