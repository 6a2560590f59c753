#include "server/supervisor/wiring.h"

#include <gmock/gmock.h>

#include "google/protobuf/text_format.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// loader -> frames -> detector.0, detector.1 -> edges -> sink; monitor reads frames, too.
class WiringTest : public ::testing::Test {
 protected:
  WiringTest() {
    auto pipeline = std::make_unique<PipelineRec>();
    pipeline->row.name = "p";
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
        pipeline: "p"
        buffers { key: "frames" value { capacity { bytes: 65536 } capacity_items: 4 } }
        buffers { key: "edges" value { capacity { bytes: 65536 } capacity_items: 4 } })",
                                                              &pipeline->spec));
    pipeline_ = pipeline.get();
    model_.pipelines["p"] = std::move(pipeline);
    Add(1, "loader", 0, R"(type: "m.L" replicas: 1 outputs { key: "out" value: "frames" })");
    Add(2, "detector.0", 0,
        R"(type: "m.D" replicas: 2 inputs { key: "in" value { buffer: "frames" } } outputs { key: "out" value: "edges" })");
    Add(3, "detector.1", 1,
        R"(type: "m.D" replicas: 2 inputs { key: "in" value { buffer: "frames" } } outputs { key: "out" value: "edges" })");
    Add(4, "sink", 0, R"(type: "m.S" replicas: 1 inputs { key: "in" value { buffer: "edges" } })");
    Add(5, "monitor", 0, R"(type: "m.M" replicas: 1 inputs { key: "seen" value { buffer: "frames" } })");
  }
  void Add(uint64_t uid, const std::string& name, int replica, const std::string& spec) {
    auto task = std::make_unique<TaskRec>();
    task->row.uid = uid;
    task->row.name = name;
    task->row.pipeline = "p";
    task->row.replica = replica;
    task->life.run = 3;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, &task->spec));
    pipeline_->tasks[name] = uid;
    model_.tasks[uid] = std::move(task);
  }
  struct Launch Plan(uint64_t uid) {
    return PlanLaunch(model_, *model_.task(uid), "/modules/m.so", true, [this] { return ++ids_; });
  }
  Model model_;
  PipelineRec* pipeline_;
  uint64_t ids_ = 100;
};

TEST_F(WiringTest, APublisherHasALaneForEachReplicaAndEveryReaderGatesFromItsBirth) {
  const struct Launch launch = Plan(1);
  ASSERT_EQ(launch.spec.outputs.size(), 1u);
  const control::OutputSpec& output = launch.spec.outputs[0];
  EXPECT_EQ(output.epoch, 3u);
  ASSERT_EQ(output.lanes.size(), 2u);
  EXPECT_THAT(output.lanes[0].subscriptions, ::testing::UnorderedElementsAre(2, 5));
  EXPECT_THAT(output.lanes[1].subscriptions, ::testing::UnorderedElementsAre(3, 5));
  ASSERT_EQ(launch.grants.size(), 3u) << "its page and two lanes";
}

TEST_F(WiringTest, GrantsCanBeReadBackFromTheirLabels) {
  const struct Launch launch = Plan(1);
  LaneName lane;
  ASSERT_TRUE(ParseLaneLabel(launch.grants[2].label, lane));
  EXPECT_EQ(lane.publisher, 1u);
  EXPECT_EQ(lane.port, "out");
  EXPECT_EQ(lane.epoch, 3u);
  EXPECT_EQ(lane.replica, 1u);
  EXPECT_EQ(lane.born, 5u);
  EXPECT_FALSE(ParseLaneLabel("page 7", lane));
  EXPECT_FALSE(ParseLaneLabel("lane x 1.0 1 1 out", lane));
}

TEST_F(WiringTest, AnInputKnowsAllItsPublishers) {
  EXPECT_THAT(Plan(4).spec.inputs[0].publishers, ::testing::UnorderedElementsAre(2, 3));
  EXPECT_EQ(Plan(4).spec.inputs[0].lanes_each, 1u);
  EXPECT_EQ(Plan(5).spec.inputs[0].lanes_each, 2u) << "the monitor reads the lanes of both replicas";
  EXPECT_EQ(Plan(2).spec.inputs[0].lanes_each, 1u);
}

TEST_F(WiringTest, LanesLeadToTheirReplicaAndToEveryOtherReader) {
  LaneRec lane;
  lane.publisher = 1;
  lane.port = "out";
  lane.replica = 1;
  std::vector<uint64_t> readers;
  for (const Port& port : ReadersOfLane(model_, lane)) readers.push_back(port.task->row.uid);
  EXPECT_THAT(readers, ::testing::UnorderedElementsAre(3, 5));
}

TEST_F(WiringTest, AReaderThatEndedForGoodGatesNoMore) {
  model_.task(5)->gates_removed = true;
  EXPECT_THAT(Plan(1).spec.outputs[0].lanes[0].subscriptions, ElementsAre(2));
}

TEST_F(WiringTest, LossyBuffersHaveNoGates) {
  (*pipeline_->spec.mutable_buffers())["frames"].set_on_full(v1::ON_FULL_DROP_OLDEST);
  const struct Launch launch = Plan(1);
  for (const control::LaneSpec& lane : launch.spec.outputs[0].lanes) EXPECT_THAT(lane.subscriptions, IsEmpty());
  EXPECT_TRUE(Plan(5).spec.inputs[0].lossy);
}

TEST_F(WiringTest, ALossyInputOfAReliableBufferDoesNotGateAndTheOthersDo) {
  (*model_.task(5)->spec.mutable_inputs())["seen"].set_lossy(true);
  const struct Launch launch = Plan(1);
  EXPECT_THAT(launch.spec.outputs[0].lanes[0].subscriptions, ElementsAre(2));
  EXPECT_THAT(launch.spec.outputs[0].lanes[1].subscriptions, ElementsAre(3));
  EXPECT_TRUE(Plan(5).spec.inputs[0].lossy);
  EXPECT_FALSE(Plan(2).spec.inputs[0].lossy);
}

TEST_F(WiringTest, WhoIsNewerThanALaneHasJoinedItLater) {
  LaneRec lane;
  ASSERT_TRUE(ParseLaneLabel(Plan(1).grants[1].label, lane));
  Add(6, "late", 0, R"(type: "m.M" replicas: 1 inputs { key: "seen" value { buffer: "frames" } })");
  EXPECT_TRUE(JoinedLater(*model_.task(6), lane));
  EXPECT_FALSE(JoinedLater(*model_.task(5), lane));
}

}  // namespace
}  // namespace puma::server
