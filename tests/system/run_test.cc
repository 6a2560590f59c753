// puma-ctl run: one task from the command line.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunTest : public HostTest {
 protected:
  // Commands that are shell scripts.
  void StartHostWith(const std::map<std::string, std::string>& scripts) {
    std::string catalogue = "commands:\n";
    for (const auto& [name, script] : scripts)
      absl::StrAppend(&catalogue, "  ", name, ":\n    program: /bin/sh\n    args:\n      - -c\n      - |\n        ", script, "\n");
    GiveHost({"--commands", Write("commands.yaml", catalogue)});
    StartHost();
  }
  std::vector<v1::Pipeline> Pipelines() {
    const auto list = client().ListPipelines();
    return {list->pipelines().begin(), list->pipelines().end()};
  }
};

TEST_F(RunTest, PrintsWhatTheProgramPrintsAndEndsAsItDoes) {
  StartHostWith({{"greet", "echo hello; echo oops >&2"}, {"fails", "echo done; exit 3"}, {"crashes", "kill -SEGV $$"}});
  const Ran greet = Ctl({"run", "puma.Exec", "command=greet"});
  EXPECT_EQ(greet.code, 0) << greet.err;
  EXPECT_EQ(greet.out, "hello\n");
  EXPECT_THAT(greet.err, HasSubstr("oops\n"));
  const Ran fails = Ctl({"run", "puma.Exec", "command=fails"});
  EXPECT_EQ(fails.code, 3) << fails.err;
  EXPECT_EQ(fails.out, "done\n");
  EXPECT_THAT(fails.err, HasSubstr("exited with code 3"));
  EXPECT_EQ(Ctl({"run", "puma.Exec", "command=crashes"}).code, 128 + SIGSEGV);
  EXPECT_THAT(Pipelines(), IsEmpty()) << "nothing is left behind";
}

TEST_F(RunTest, PrintsEveryLine) {
  StartHostWith({{"count", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done"}});
  std::string all;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&all, i, "\n");
  const Ran count = Ctl({"run", "puma.Exec", "command=count"});
  EXPECT_EQ(count.code, 0) << count.err;
  EXPECT_EQ(count.out, all) << count.err;
}

TEST_F(RunTest, RunsTypesWithParameters) {
  StartHost();
  const Ran ran = Ctl({"run", "flow.Servant", "mode=fail_on_start", "--name", "mine"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("mode fail_on_start was asked for"));
  const Ran wrong = Ctl({"run", "flow.Servant", "made=good"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("mode"));
  EXPECT_EQ(Ctl({"run", "Servant"}).code, 2);
  EXPECT_EQ(Ctl({"run", "flow.Servant", "mode"}).code, 2);
  EXPECT_THAT(Pipelines(), IsEmpty());
}

TEST_F(RunTest, DoesNotTakeAPipelineThatIsThere) {
  StartHost();
  ASSERT_TRUE(Apply("pipeline: p\nmodules: [flow]\ntasks:\n  s: {type: flow.Servant}\n").ok());
  const Ran ran = Ctl({"run", "flow.Servant", "--name", "p"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("exists"));
  EXPECT_EQ(Pipelines().size(), 1u);
}

TEST_F(RunTest, AReaderThatGoesStopsTheTask) {
  StartHostWith({{"yes", "yes"}});
  const std::string ctl = absl::StrCat(PUMA_BIN, "/puma-ctl --host ", Target(), " run puma.Exec command=yes");
  const Ran ran = RunProgram({"/bin/bash", "-c", absl::StrCat(ctl, " | head -n 3; exit ${PIPESTATUS[0]}")});
  EXPECT_EQ(ran.out, "y\ny\ny\n");
  EXPECT_EQ(ran.code, 128 + SIGPIPE) << ran.err;
  EXPECT_THAT(Pipelines(), IsEmpty());
}

TEST_F(RunTest, AnInterruptStopsTheTask) {
  StartHost();
  const std::string ctl = absl::StrCat(PUMA_BIN, "/puma-ctl");
  const pid_t pid = fork();
  if (pid == 0) {
    execl(ctl.c_str(), "puma-ctl", "--host", Target().c_str(), "run", "flow.Servant", "--name", "mine", nullptr);
    _exit(127);
  }
  ASSERT_TRUE(WaitForState("mine/task", v1::TASK_STATE_RUNNING));
  ASSERT_EQ(kill(pid, SIGINT), 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  EXPECT_THAT(Pipelines(), IsEmpty());
}

}  // namespace
}  // namespace puma::system_test
