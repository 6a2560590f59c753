// What is wrong gets a clear error with the right exit code, and nothing half-started stays behind.
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class BadInputTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
  // The spec is refused with exit code 2 and a message that holds `text`, and there is no task.
  void Refused(const std::string& yaml, const std::string& text) {
    const Ran ran = Ctl({"apply", "-f", Write("bad.yaml", yaml)});
    EXPECT_EQ(ran.code, 2) << ran.err;
    EXPECT_TRUE(absl::StrContains(ran.err, text)) << "expected: " << text << "\ngot: " << ran.err;
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(client().ListTasks()->tasks_size(), 0);
  }
};

TEST_F(BadInputTest, SpecsNameFileLineColumnAndASuggestion) {
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  s:\n    type: flow.Servant\n    placment: thread\n",
          "bad.yaml:6:5: unknown field \"placment\" in task \"s\"; did you mean \"placement\"?");
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, replicas: many}\n", "bad.yaml:4:");
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n  s: {type: flow.Servant}\n", "bad.yaml:5:3");
  Refused("pipeline: p\nmodules: [flow]\ntasks: [\n", "bad.yaml:");
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, placement: nowhere}\n", "nowhere");
}

TEST_F(BadInputTest, WiringMistakesAreToldTogether) {
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  c: {type: flow.Counter, outputs: {numbers: raw}}\n  k: {type: flow.Collector}\n", "raw");
  Refused("pipeline: p\nmodules: [flow]\nbuffers: {raw: {}}\ntasks:\n  c: {type: flow.Counter, outputs: {numbres: raw}}\n", "numbres");
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  k: {type: flow.Collector}\n", "tasks.k.inputs.in");
  Refused(
      "pipeline: p\nmodules: [flow]\ntasks:\n  a: {type: flow.Servant, depends_on: {b: running}}\n  b: {type: flow.Servant, depends_on: "
      "{a: running}}\n",
      "circle");
}

TEST_F(BadInputTest, TypesAndParametersAreCheckedAgainstTheModule) {
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servent}\n", "Servant");
  Refused("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant, params: {mod: good}}\n", "mode");
  Refused(
      "pipeline: p\nmodules: [flow]\nbuffers: {raw: {}}\ntasks:\n  c: {type: flow.Counter, outputs: {numbers: raw}, params: {count: "
      "many}}\n",
      "count");
}

TEST_F(BadInputTest, ModulesThatAreMissingBrokenOrCrashAreRefused) {
  Refused("pipeline: p\nmodules: [flaw]\ntasks:\n  s: {type: flaw.Servant}\n", "flow");
  Refused("pipeline: p\nmodules: [no_module]\ntasks:\n  s: {type: no_module.Servant}\n", "no_module");
  Refused("pipeline: p\nmodules: [crash_on_load]\ntasks:\n  s: {type: crash_on_load.Servant}\n", "crash_on_load");
}

TEST_F(BadInputTest, NamesThatDoNotExistAreToldWithExitCodeOne) {
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  servant: {type: flow.Servant}\n").ok());
  ASSERT_TRUE(WaitForState("p/servant", v1::TASK_STATE_RUNNING));
  const Ran task = Ctl({"describe", "task", "p/servent"});
  EXPECT_EQ(task.code, 1);
  EXPECT_TRUE(absl::StrContains(task.err, "p/tasks/servant")) << task.err;
  EXPECT_EQ(Ctl({"start", "p/nobody"}).code, 1);
  EXPECT_EQ(Ctl({"call", "p/servant", "ad"}).code, 1);
  EXPECT_EQ(Ctl({"frobnicate"}).code, 2);
  EXPECT_EQ(Ctl({"apply"}).code, 2);
  EXPECT_EQ(Ctl({"apply", "-f", Directory() + "/nothing.yaml"}).code, 2);
}

TEST_F(BadInputTest, ASecondHostOnOneStateDirectoryOrSocketIsRefused) {
  std::vector<std::string> same = HostCommand();
  const Ran second = RunProgram(same);
  EXPECT_NE(second.code, 0);
  EXPECT_TRUE(absl::StrContains(second.err, Directory() + "/state")) << second.err;
  std::vector<std::string> other = HostCommand();
  other[2] = Directory() + "/state2";
  const Ran socket = RunProgram(other);
  EXPECT_NE(socket.code, 0);
  EXPECT_TRUE(absl::StrContains(socket.err, Socket())) << socket.err;
  EXPECT_TRUE(client().GetHost().ok()) << "the first one goes on";
}

TEST_F(BadInputTest, AHostThatIsNotThereIsToldWithWhatToDo) {
  StopHost();
  const Ran ran = Ctl({"get", "tasks"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_TRUE(absl::StrContains(ran.err, Socket())) << ran.err;
  EXPECT_TRUE(absl::StrContains(ran.err, "puma-host")) << ran.err;
}

TEST_F(BadInputTest, AModuleDirectoryThatOthersMayWriteIsRefused) {
  const std::string open = Directory() + "/open";
  ASSERT_EQ(mkdir(open.c_str(), 0700), 0);
  ASSERT_EQ(chmod(open.c_str(), 0777), 0);
  std::vector<std::string> words = HostCommand();
  words[2] = Directory() + "/state3";
  words[4] = Directory() + "/run3/puma.sock";
  words[6] = open;
  const Ran ran = RunProgram(words);
  EXPECT_NE(ran.code, 0);
  EXPECT_TRUE(absl::StrContains(ran.err, "chmod")) << ran.err;
}

}  // namespace
}  // namespace puma::system_test
