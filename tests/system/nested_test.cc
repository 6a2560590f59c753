// Tasks that run runnables of their own.
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class NestedTest : public HostTest {
 protected:
  void SetUp() override {
    StartHost();
    ASSERT_TRUE(
        Apply("pipeline: p\nmodules: [nested]\ntasks:\n  s: {type: nested.Boss}\n  t: {type: nested.Boss, placement: thread}\n").ok());
    ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_RUNNING));
    ASSERT_TRUE(WaitForState("p/t", v1::TASK_STATE_RUNNING));
  }
};

TEST_F(NestedTest, RunnersOfATaskAreOfItsKindAndAnswerIt) {
  for (const char* task : {"p/s", "p/t"}) {
    absl::StatusOr<v1::InvokeCommandResponse> answer = Call(task, "ask", {{"number", Of(12)}});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->result().number_value(), 144) << task;
  }
  EXPECT_NE(Number("p/s", "helper_pid"), Number("p/s", "own_pid"));
  EXPECT_EQ(Number("p/t", "helper_pid"), Number("p/t", "own_pid"));
}

TEST_F(NestedTest, AStoppedTaskTakesItsRunnersAlong) {
  const int helper = static_cast<int>(Number("p/s", "helper_pid"));
  ASSERT_GT(helper, 1);
  ASSERT_EQ(Ctl({"stop", "p/s"}).code, 0);
  ASSERT_TRUE(WaitForState("p/s", v1::TASK_STATE_STOPPED));
  EXPECT_FALSE(Alive(helper)) << "stopped means stopped";
}

}  // namespace
}  // namespace puma::system_test
