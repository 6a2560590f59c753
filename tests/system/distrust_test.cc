// A task that spoils its own shared memory harms itself: others go on, and it is named.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::HasSubstr;

class DistrustTest : public HostTest, public ::testing::WithParamInterface<const char*> {
 protected:
  std::set<std::string> Lines(const std::string& path) {
    std::ifstream file(path);
    std::set<std::string> lines;
    for (std::string line; file >> line;) lines.insert(line);
    return lines;
  }
  std::vector<v1::LaneStatus> QuarantinedLanes(const std::string& buffer) {
    v1::GetBufferRequest request;
    request.set_name(buffer);
    auto found = client().GetBuffer(request);
    std::vector<v1::LaneStatus> lanes;
    if (!found.ok()) return lanes;
    for (const v1::LaneStatus& lane : found->buffer().lanes()) {
      if (!lane.quarantined().empty()) lanes.push_back(lane);
    }
    return lanes;
  }
};

TEST_P(DistrustTest, ALaneThatLiesIsLeftAndItsOwnerRestarted) {
  StartHost();
  const std::string one = Directory() + "/one", two = Directory() + "/two", marker = Directory() + "/marker";
  ASSERT_TRUE(Apply(R"(
pipeline: bad
modules: [hostile]
buffers: {texts: {capacity: 64KiB, capacity_items: 16}}
tasks:
  good: {type: hostile.Scribbler, outputs: {out: texts}, params: {prefix: g, count: 500}}
  scribbler: {type: hostile.Scribbler, outputs: {out: texts}, params: {what: )" +
                    std::string(GetParam()) + ", marker: " + marker + R"(}}
  first: {type: hostile.Listener, inputs: {in: texts}, params: {path: )" +
                    one + R"(}}
  second: {type: hostile.Listener, placement: thread, inputs: {in: texts}, params: {path: )" +
                    two + "}}\n")
                  .ok());
  for (const char* task : {"bad/good", "bad/scribbler", "bad/first", "bad/second"}) {
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_SUCCEEDED)) << Task(task).DebugString() << Ctl({"logs"}).out;
  }
  EXPECT_EQ(Lines(one).size(), 600u) << "all of the good one, and of the other's next run";
  EXPECT_EQ(Lines(two).size(), 600u);
  const v1::Task scribbler = Task("bad/scribbler");
  EXPECT_EQ(scribbler.status().restarts(), 1) << scribbler.DebugString();
  EXPECT_EQ(Task("bad/good").status().restarts(), 0);
  EXPECT_EQ(Task("bad/first").status().restarts(), 0);
  EXPECT_EQ(Task("bad/second").status().restarts(), 0);
  EXPECT_TRUE(Eventually([&] { return QuarantinedLanes("pipelines/bad/buffers/texts").size() == 1; }));
  const v1::LaneStatus lane = QuarantinedLanes("pipelines/bad/buffers/texts").at(0);
  EXPECT_EQ(lane.publisher(), "pipelines/bad/tasks/scribbler");
  EXPECT_EQ(lane.epoch(), 1u);
  EXPECT_THAT(lane.quarantined(), HasSubstr("(found by "));
  EXPECT_THAT(Ctl({"describe", "buffer", "bad/texts"}).out, HasSubstr("bad/scribbler, epoch 1: "));
  EXPECT_THAT(Ctl({"logs", "--level", "error"}).out,
              HasSubstr("a lane of pipelines/bad/tasks/scribbler, run 1, output out, is quarantined"));
}
INSTANTIATE_TEST_SUITE_P(Lies, DistrustTest, ::testing::Values("descriptor", "tail_back", "tail_far"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(DistrustTest, APageThatLiesHoldsNobodyUp) {
  StartHost();
  const std::string path = Directory() + "/texts", marker = Directory() + "/marker";
  ASSERT_TRUE(Apply(R"(
pipeline: bad
modules: [hostile]
buffers: {texts: {capacity: 64KiB, capacity_items: 4}}
tasks:
  good: {type: hostile.Scribbler, outputs: {out: texts}, params: {prefix: g, count: 500}}
  liar: {type: hostile.Listener, inputs: {in: texts}, params: {path: )" +
                    path + ", marker: " + marker + "}}\n")
                  .ok());
  for (const char* task : {"bad/good", "bad/liar"}) EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_SUCCEEDED)) << Task(task).DebugString();
  EXPECT_EQ(Lines(path).size(), 500u) << "nothing is lost";
  EXPECT_EQ(Task("bad/good").status().restarts(), 0);
  EXPECT_EQ(Task("bad/liar").status().restarts(), 1);
  EXPECT_THAT(Ctl({"logs", "--level", "error"}).out, HasSubstr("the task page of pipelines/bad/tasks/liar, run 1, is quarantined"));
}

}  // namespace
}  // namespace puma::system_test
