// Runners of runnables: children, grandchildren, great-grandchildren.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "tests/runnable/throw_stacks.h"
#include "tests/worker/programs.h"
#include "worker/platform/system.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NestedTest : public BothKinds {};

// The innermost throws; each of the others runs the next and hands its error on.
[[gnu::noinline]] void ThrowDeepDown() { throw std::domain_error("deep down"); }

class Link : public Runnable {
 public:
  explicit Link(Setup& setup) : depth_(setup.Param("depth", 0, "runners below this one")), pids_(setup.Status<int>()) {}

 private:
  absl::Status Execute() override {
    pids_.Send(::getpid());
    if (depth_ == 0) ThrowDeepDown();
    auto next = environment().CreateRunner<Link>("link" + std::to_string(depth_ - 1), {.params = {{"depth", depth_ - 1}}});
    PUMA_RETURN_IF_ERROR(next.Start());
    PUMA_RETURN_IF_ERROR(next.Join(kLong));
    auto pid = next.WaitForStatus<int>(kLong);  // the error comes first
    return pid.status();
  }
  int depth_;
  StatusPort<int> pids_;
};

TEST_P(NestedTest, AnErrorGoesThroughFourRunnablesAndKeepsItsFirstFrameAndItsPath) {
  auto top = env_->CreateRunner<Link>("link3", {.params = {{"depth", 3}}});
  ASSERT_TRUE(top.Start().ok());
  ASSERT_TRUE(top.Join(kLong).ok());
  const absl::Status error = top.CheckForErrors();
  EXPECT_TRUE(IsError(error, "std::domain_error")) << error;
  EXPECT_THAT(ErrorOf(error).path, ElementsAre("link0", "link1", "link2", "link3"));
  if (kThrowsHaveStacks) {
    EXPECT_THAT(Explain(error), HasSubstr("ThrowDeepDown"));
  }
  EXPECT_EQ(error.message(), "deep down");
}

// A pipeline of its own between its ports, which go on to its runners.
class Stage : public Runnable {
 public:
  explicit Stage(Setup& setup) : in_(setup.PassOn<int>("in")), out_(setup.PassOn<int>("out")) {}

 private:
  absl::Status Execute() override {
    auto between = environment().CreateBuffer<int>("between");
    auto first = environment().CreateRunner<Scaler>("first", {.inputs = {{"numbers", in_.buffer()}}, .outputs = {{"scaled", between}}});
    auto second = environment().CreateRunner<Scaler>(
        "second", {.inputs = {{"numbers", between}}, .outputs = {{"scaled", out_.buffer()}}, .params = {{"factor", 5}}});
    PUMA_RETURN_IF_ERROR(second.StartBlocking());
    PUMA_RETURN_IF_ERROR(first.StartBlocking());
    while (second.IsAlive() && WaitForCommands(absl::Milliseconds(5))) {
    }
    PUMA_RETURN_IF_ERROR(first.Close());
    return second.Close();
  }
  PassOn<int> in_, out_;
};

TEST_P(NestedTest, BuffersGoOnToRunnersOfRunnersAndNamesAreTheirOwn) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto middle = env_->CreateBuffer<int>("middle");
  auto between = env_->CreateBuffer<int>("between");  // the same name as theirs
  auto a = env_->CreateRunner<Stage>("a", {.pass_on = {{"in", numbers}, {"out", middle}}});
  auto b = env_->CreateRunner<Stage>("b", {.pass_on = {{"in", middle}, {"out", between}}});
  ASSERT_TRUE(a.StartBlocking(kLong).ok());
  ASSERT_TRUE(b.StartBlocking(kLong).ok());
  auto publisher = numbers.Publish();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue(i).ok());
  ASSERT_TRUE(publisher.PublishComplete().ok());
  auto received = ReadToTheEnd(between);
  EXPECT_THAT(received.values, ElementsAre(100, 200, 300));
  EXPECT_TRUE(received.completions.at(0).ok());
  EXPECT_TRUE(a.Close().ok());
  EXPECT_TRUE(b.Close().ok());
}

TEST_P(NestedTest, ABufferToBePassedOnThatIsMissingOrUnknownIsAMistake) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  auto stage = env_->CreateRunner<Stage>("stage", {.pass_on = {{"in", numbers}, {"outt", numbers}}});
  const std::string text(stage.Start().message());
  EXPECT_THAT(text, HasSubstr("no buffer is given for \"out\", to be passed on"));
  EXPECT_THAT(text, HasSubstr("did you mean \"out\"?"));
}

// ---- processes: who dies takes its children along
// -----------------------------------------------------------------------------------------

class Sleeper : public Runnable {
 public:
  explicit Sleeper(Setup&) {}
};
class Parent : public Runnable {
 public:
  explicit Parent(Setup& setup) : pids_(setup.Status<int>()) {}

 private:
  absl::Status Execute() override {
    auto child = environment().CreateRunner<Sleeper>("child");
    PUMA_RETURN_IF_ERROR(child.StartBlocking());
    pids_.Send(child.pid());
    return Service();
  }
  StatusPort<int> pids_;
};

TEST(NestedProcesses, AKilledOnesChildrenEndToo) {
  ProcessEnvironment env;
  auto parent = env.CreateRunner<Parent>("parent");
  ASSERT_TRUE(parent.StartBlocking(kLong).ok());
  auto grandchild = parent.WaitForStatus<int>(kLong);
  ASSERT_TRUE(grandchild.ok()) << grandchild.status();
  UniqueFd pidfd = PidfdOpen(*grandchild);
  ASSERT_TRUE(pidfd.valid());
  ASSERT_GT(parent.pid(), 1);
  ASSERT_EQ(::kill(parent.pid(), SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] { return PidfdSendSignal(pidfd.get(), 0) != 0; }));
  EXPECT_FALSE(parent.Close().ok());
}

TEST(NestedProcesses, AThreadEnvironmentWithinAChildProcessIsOfItsOwn) {
  class Inner : public Runnable {
   public:
    explicit Inner(puma::Setup& setup) : pids_(setup.Status<int>()) {}

   private:
    absl::Status Execute() override {
      ThreadEnvironment own;
      auto numbers = own.CreateBuffer<int>("numbers");
      auto counter = own.CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}});
      PUMA_RETURN_IF_ERROR(counter.StartBlocking());
      pids_.Send(static_cast<int>(ReadToTheEnd(numbers).values.size()));
      return counter.Close();
    }
    StatusPort<int> pids_;
  };
  ProcessEnvironment env;
  auto inner = env.CreateRunner<Inner>("inner");
  ASSERT_TRUE(inner.Start().ok());
  auto count = inner.WaitForStatus<int>(kLong);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, 3);
  EXPECT_TRUE(inner.Close().ok());
}

PUMA_IN_BOTH_KINDS(NestedTest);

}  // namespace
}  // namespace puma::testing
