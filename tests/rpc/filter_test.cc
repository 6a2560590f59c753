// Filters of lists: what matches, and what is said of mistakes.
#include "server/rpc/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "puma/v1/resources.pb.h"

namespace puma::server {
namespace {

using ::testing::HasSubstr;

v1::Task Loader() {
  v1::Task task;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    name: "pipelines/edges/tasks/loader"
    generation: 3
    spec {
      type: "edges.ImageLoader"
      placement: PLACEMENT_PROCESS
      outputs { key: "frames" value: "raw" }
      outputs { key: "faults" value: "bad-frames" }
    }
    status {
      state: TASK_STATE_FAILED
      reason: "no \"disk\" left"
      restarts: 4
      since { seconds: 1767225600 }
      busy { seconds: 2 }
      ports { port: "frames" output: true messages: 18446744073709551615 rate: 29.5 }
      ports { port: "faults" output: true }
      last_exit { run: 5 cause: EXIT_CAUSE_SIGNAL signal: 9 }
    }
  )",
                                                            &task));
  return task;
}

bool Matches(const std::string& text) {
  const absl::StatusOr<Filter> filter = Filter::Parse(text, *v1::Task::descriptor());
  EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
  return filter.ok() && filter->Matches(Loader());
}

std::string Mistake(const std::string& text) {
  const absl::StatusOr<Filter> filter = Filter::Parse(text, *v1::Task::descriptor());
  EXPECT_FALSE(filter.ok()) << text;
  return std::string(filter.status().message());
}

TEST(FilterTest, NothingMatchesEverything) {
  EXPECT_TRUE(Matches(""));
  EXPECT_TRUE(Matches("   "));
}

TEST(FilterTest, FieldsOfEachKind) {
  for (const char* met : {"generation=3",
                          "generation >= 3",
                          "generation<4",
                          "status.state=failed",
                          "state = FAILED",
                          "state=TASK_STATE_FAILED",
                          "state!=running",
                          "name=*loader",
                          "name=pipelines*",
                          "name=*edges*",
                          "name:edges",
                          "reason=\"no \\\"disk\\\" left\"",
                          "type:Image",
                          "placement=process",
                          "since>=2026-01-01T00:00:00Z",
                          "since<2026-01-01T00:00:01Z",
                          "busy>1500ms",
                          "ports.rate>29",
                          "ports.output=true",
                          "ports.port=faults",
                          "ports.messages>9000000000000000000",
                          "last_exit.cause=signal",
                          "last_exit:*",
                          "outputs.faults=bad-frames",
                          "ports:*",
                          "desired_running=false"})
    EXPECT_TRUE(Matches(met)) << met;
  for (const char* unmet : {"generation>3", "state=running", "name=loader", "name=loader*", "type:image", "since>2026-01-01T00:00:00Z",
                            "busy<=1s", "ports.rate>30", "ports.output=false", "last_exit.signal=11", "outputs.frames=bad-frames",
                            "outputs.nothing:\"\"", "next_start:*", "next_start<2026-01-01T00:00:00Z", "desired_running=true"})
    EXPECT_FALSE(Matches(unmet)) << unmet;
}

TEST(FilterTest, NoneOfManyIsUnequal) {
  EXPECT_FALSE(Matches("ports.port!=frames")) << "one of them is";
  EXPECT_TRUE(Matches("ports.port!=else"));
}

TEST(FilterTest, OrBindsTighterThanAnd) {
  EXPECT_TRUE(Matches("state=running OR state=failed AND restarts=4"));
  EXPECT_FALSE(Matches("state=failed OR state=running AND restarts=5"));
  EXPECT_TRUE(Matches("state=failed restarts=4"));
  EXPECT_FALSE(Matches("state=failed restarts=5"));
  EXPECT_TRUE(Matches("NOT state=running -restarts=5"));
  EXPECT_FALSE(Matches("NOT state=failed OR -restarts=4"));
  EXPECT_TRUE(Matches("NOT state!=failed"));
}

TEST(FilterTest, MistakesAreSaidWithTheirPlace) {
  EXPECT_THAT(Mistake("stat=failed"), HasSubstr("at character 1: Task has no field \"stat\"; did you mean \"state\"?"));
  EXPECT_THAT(Mistake("state=faild"), HasSubstr("at character 7: state: there is no \"faild\"; did you mean \"failed\"?"));
  EXPECT_THAT(Mistake("state"), HasSubstr("after state one of"));
  EXPECT_THAT(Mistake("state="), HasSubstr("a value is missing"));
  EXPECT_THAT(Mistake("state<failed"), HasSubstr("by = and !="));
  EXPECT_THAT(Mistake("restarts=many"), HasSubstr("whole number"));
  EXPECT_THAT(Mistake("restarts:4"), HasSubstr("can only be compared by"));
  EXPECT_THAT(Mistake("name<a"), HasSubstr("a text can't be smaller"));
  EXPECT_THAT(Mistake("desired_running=1"), HasSubstr("true or false"));
  EXPECT_THAT(Mistake("since>yesterday"), HasSubstr("2026-05-01T12:00:00Z"));
  EXPECT_THAT(Mistake("busy>1"), HasSubstr("1m30s"));
  EXPECT_THAT(Mistake("last_exit=1"), HasSubstr("say one of its fields"));
  EXPECT_THAT(Mistake("name.x=1"), HasSubstr("at character 6: name has no fields"));
  EXPECT_THAT(Mistake("outputs=raw"), HasSubstr("a key is missing"));
  EXPECT_THAT(Mistake("(state=failed)"), HasSubstr("parentheses"));
  EXPECT_THAT(Mistake("AND state=failed"), HasSubstr("can't begin with AND"));
  EXPECT_THAT(Mistake("OR state=failed"), HasSubstr("can't begin with OR"));
  EXPECT_THAT(Mistake("state=failed AND"), HasSubstr("AND"));
  EXPECT_THAT(Mistake("reason=\"no"), HasSubstr("that ends the value is missing"));
  EXPECT_THAT(Mistake(std::string(2001, ' ')), HasSubstr("longer than 2000"));
}

}  // namespace
}  // namespace puma::server
