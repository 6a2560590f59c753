#include "server/supervisor/planner.h"

#include <gmock/gmock.h>

#include "google/protobuf/text_format.h"

namespace puma::server {
namespace {

v1::PipelineSpec Spec(const std::string& text) {
  v1::PipelineSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec));
  return spec;
}

std::map<std::string, v1::PlannedChange> Plan(const v1::PipelineSpec& before, const v1::PipelineSpec& after) {
  std::map<std::string, v1::PlannedChange> changes;
  for (const v1::PlannedChange& change : PlanChanges(before, after)) changes[change.name()] = change;
  return changes;
}

constexpr char kBase[] = R"(
  pipeline: "p"
  buffers { key: "b" value { capacity_items: 8 } }
  tasks { key: "a" value { type: "m.A" replicas: 1 outputs { key: "out" value: "b" } } }
  tasks { key: "c" value { type: "m.C" replicas: 2 inputs { key: "in" value { buffer: "b" } } } }
  tasks { key: "alone" value { type: "m.D" replicas: 1 } })";

TEST(Planner, SpreadsReplicasOut) {
  EXPECT_THAT(TasksOf(Spec(kBase)), ::testing::SizeIs(4));
  EXPECT_EQ(TasksOf(Spec(kBase)).at("c.1").replica, 1);
  EXPECT_EQ(TasksOf(Spec(kBase)).at("a").base, "a");
}

TEST(Planner, CreatesEverythingOfANewPipeline) {
  for (const auto& [name, change] : Plan(v1::PipelineSpec(), Spec(kBase)))
    EXPECT_EQ(change.action(), v1::PlannedChange::ACTION_CREATE) << name;
}

TEST(Planner, LeavesAloneWhatIsTheSame) {
  for (const auto& [name, change] : Plan(Spec(kBase), Spec(kBase))) EXPECT_EQ(change.action(), v1::PlannedChange::ACTION_NONE) << name;
}

TEST(Planner, NamesTheFieldsThatChange) {
  v1::PipelineSpec after = Spec(kBase);
  (*after.mutable_tasks())["alone"].mutable_resources()->set_files(100);
  auto plan = Plan(Spec(kBase), after);
  EXPECT_EQ(plan["pipelines/p/tasks/alone"].action(), v1::PlannedChange::ACTION_UPDATE);
  EXPECT_EQ(plan["pipelines/p/tasks/alone"].reason(), "changed: resources");
  EXPECT_EQ(plan["pipelines/p/tasks/a"].action(), v1::PlannedChange::ACTION_NONE);
}

TEST(Planner, AReaderThatJoinsOrLeavesDisturbsNobody) {
  v1::PipelineSpec after = Spec(kBase);
  (*after.mutable_tasks())["late"].set_type("m.C");
  (*after.mutable_tasks())["late"].set_replicas(1);
  (*(*after.mutable_tasks())["late"].mutable_inputs())["in"].set_buffer("b");
  auto plan = Plan(Spec(kBase), after);
  EXPECT_EQ(plan["pipelines/p/tasks/late"].action(), v1::PlannedChange::ACTION_CREATE);
  for (const char* other : {"a", "c.0", "c.1", "alone"})
    EXPECT_EQ(plan[std::string("pipelines/p/tasks/") + other].action(), v1::PlannedChange::ACTION_NONE) << other;
  EXPECT_EQ(Plan(after, Spec(kBase))["pipelines/p/tasks/a"].action(), v1::PlannedChange::ACTION_NONE);
}

TEST(Planner, RestartsWhoseWiringChanges) {
  v1::PipelineSpec after = Spec(kBase);
  (*after.mutable_tasks())["late"].set_type("m.A");
  (*(*after.mutable_tasks())["late"].mutable_outputs())["out"] = "b";
  auto plan = Plan(Spec(kBase), after);
  EXPECT_EQ(plan["pipelines/p/tasks/c.0"].action(), v1::PlannedChange::ACTION_RESTART) << "it has one publisher more to wait for";
  EXPECT_EQ(plan["pipelines/p/tasks/a"].action(), v1::PlannedChange::ACTION_NONE);
  after = Spec(kBase);
  (*after.mutable_tasks())["c"].set_replicas(3);
  EXPECT_EQ(Plan(Spec(kBase), after)["pipelines/p/tasks/a"].action(), v1::PlannedChange::ACTION_RESTART) << "it needs a lane more";
}

TEST(Planner, ScalingDownDeletesTheLastReplicas) {
  v1::PipelineSpec after = Spec(kBase);
  (*after.mutable_tasks())["c"].set_replicas(1);
  auto plan = Plan(Spec(kBase), after);
  EXPECT_EQ(plan["pipelines/p/tasks/c.0"].action(), v1::PlannedChange::ACTION_DELETE);
  EXPECT_EQ(plan["pipelines/p/tasks/c"].action(), v1::PlannedChange::ACTION_CREATE);
}

TEST(Planner, AChangedBufferRestartsItsEnds) {
  v1::PipelineSpec after = Spec(kBase);
  (*after.mutable_buffers())["b"].set_capacity_items(16);
  auto plan = Plan(Spec(kBase), after);
  EXPECT_EQ(plan["pipelines/p/buffers/b"].action(), v1::PlannedChange::ACTION_UPDATE);
  EXPECT_EQ(plan["pipelines/p/tasks/a"].action(), v1::PlannedChange::ACTION_RESTART);
  EXPECT_EQ(plan["pipelines/p/tasks/c.0"].action(), v1::PlannedChange::ACTION_RESTART);
}

}  // namespace
}  // namespace puma::server
