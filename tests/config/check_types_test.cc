#include <gmock/gmock.h>

#include "tests/config/spec_text.h"

namespace puma::server {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

std::map<std::string, v1::RunnableType> Types() {
  return {{"edges.ImageLoader", FromText<v1::RunnableType>(R"(
             outputs { name: "frames" type: "edges::Image" }
             parameters { name: "directory" type: "string" help: "where the images are" }
             parameters { name: "count" type: "int" default_value { number_value: 1 } }
             parameters { name: "every" type: "duration" default_value { string_value: "1s" } }
             parameters { name: "scale" type: "double" default_value { number_value: 1 } }
             parameters { name: "loop" type: "bool" default_value { bool_value: false } }
             parameters { name: "sizes" type: "list of int" default_value { list_value {} } }
             parameters { name: "names" type: "map of list of string" default_value { struct_value {} } }
             parameters { name: "anything" type: "any" default_value { null_value: NULL_VALUE } })")},
          {"edges.EdgeDetector", FromText<v1::RunnableType>(R"(
             inputs { name: "frames" type: "edges::Image" help: "what to look at" }
             inputs { name: "mask" type: "edges::Image" optional: true })")}};
}

class CheckTypesTest : public ::testing::Test {
 protected:
  CheckTypesTest() {
    EXPECT_TRUE(CheckSpec(FromText<v1::PipelineSpec>(kGood), &spec_).ok());
    Param("directory", R"(string_value: "/usr/share")");
  }
  v1::TaskSpec& Task(const std::string& name) { return (*spec_.mutable_tasks())[name]; }
  void Param(const std::string& name, const std::string& value) {
    (*Task("loader").mutable_params())[name] = FromText<google::protobuf::Value>(value);
  }
  std::vector<std::string> Mistakes() { return MistakesOf(CheckTypes(spec_, types_)); }

  v1::PipelineSpec spec_;
  std::map<std::string, v1::RunnableType> types_ = Types();
};

TEST_F(CheckTypesTest, AcceptsWhatFits) {
  EXPECT_THAT(Mistakes(), IsEmpty());
  Param("count", "number_value: 3");
  Param("every", R"(string_value: "250ms")");
  Param("scale", "number_value: 2");
  Param("loop", "bool_value: true");
  Param("sizes", "list_value { values { number_value: 1 } values { number_value: 2 } }");
  Param("names", R"(struct_value { fields { key: "a" value { list_value { values { string_value: "b" } } } } })");
  Param("anything", "bool_value: true");
  EXPECT_THAT(Mistakes(), IsEmpty());
}

TEST_F(CheckTypesTest, AnUnknownTypeIsToldWithTheNearestOne) {
  Task("loader").set_type("edges.ImageLoder");
  EXPECT_THAT(Mistakes(),
              ElementsAre(AllOf(StartsWith("tasks.loader.type: unknown type"), HasSubstr("did you mean \"edges.ImageLoader\"?"))));
}

TEST_F(CheckTypesTest, AnUnknownParameterIsToldWithTheNearestOne) {
  Param("dirctory", R"(string_value: "x")");
  EXPECT_THAT(Mistakes(), ElementsAre(AllOf(StartsWith("tasks.loader.params.dirctory: "), HasSubstr("did you mean \"directory\"?"))));
}

TEST_F(CheckTypesTest, AMissingParameterIsToldWithItsTypeAndHelp) {
  Task("loader").mutable_params()->clear();
  EXPECT_THAT(Mistakes(), ElementsAre("tasks.loader.params.directory: must be given (string): where the images are"));
}

TEST_F(CheckTypesTest, AWrongValueIsToldWithWhatWasExpected) {
  Param("directory", "number_value: 1");
  Param("count", "number_value: 1.5");
  Param("every", R"(string_value: "30 parsecs")");
  Param("scale", R"(string_value: "big")");
  Param("loop", R"(string_value: "yes")");
  Param("sizes", R"(list_value { values { number_value: 1 } values { string_value: "x" } })");
  Param("names", R"(struct_value { fields { key: "a" value { list_value { values { bool_value: true } } } } })");
  EXPECT_THAT(Mistakes(),
              UnorderedElementsAre(
                  "tasks.loader.params.directory: expected string, got 1", "tasks.loader.params.count: expected int, got 1.5",
                  HasSubstr("expected a duration such as \"20ms\""), "tasks.loader.params.scale: expected double, got \"big\"",
                  "tasks.loader.params.loop: expected bool, got \"yes\"", "tasks.loader.params.sizes: item 1: expected int, got \"x\"",
                  "tasks.loader.params.names: field a: item 0: expected string, got true"));
  Param("sizes", "number_value: 1");
  EXPECT_THAT(Mistakes(), Contains("tasks.loader.params.sizes: expected list of int, got 1"));
}

TEST_F(CheckTypesTest, AnUnknownPortAndARequiredOneThatIsNotConnectedAreTold) {
  (*Task("detector").mutable_inputs())["frame"].set_buffer("frames");
  Task("detector").mutable_inputs()->erase("frames");
  EXPECT_THAT(Mistakes(), ElementsAre(AllOf(StartsWith("tasks.detector.inputs.frame: "), HasSubstr("did you mean \"frames\"?")),
                                      "tasks.detector.inputs.frames: must be connected to a buffer: what to look at"));
}

TEST_F(CheckTypesTest, TheTypesOfAllPortsOfABufferAreTheSame) {
  types_["edges.EdgeDetector"].mutable_inputs(0)->set_type("edges::Contours");
  EXPECT_THAT(Mistakes(), ElementsAre("tasks.detector.inputs.frames: reads edges::Contours, but buffer \"frames\" carries edges::Image "
                                      "(tasks.loader.outputs.frames)"));
  types_["edges.EdgeDetector"].mutable_inputs(0)->set_type("any");
  EXPECT_THAT(Mistakes(), IsEmpty());
}

TEST_F(CheckTypesTest, TwoPublishersOfABufferAgreeToo) {
  types_["edges.Other"] = FromText<v1::RunnableType>(R"(outputs { name: "out" type: "int" })");
  Task("other").set_type("edges.Other");
  (*Task("other").mutable_outputs())["out"] = "frames";
  EXPECT_THAT(Mistakes(), ElementsAre(StartsWith("tasks.other.outputs.out: publishes int, but buffer \"frames\" carries edges::Image")));
}

TEST_F(CheckTypesTest, ATaskThatIsACommandIsCheckedAgainstTheHostsCommands) {
  types_["puma.Exec"] = FromText<v1::RunnableType>(R"(parameters { name: "command" type: "string" })");
  Task("job").set_type("puma.Exec");
  EXPECT_THAT(MistakesOf(CheckTypes(spec_, types_, {})), ElementsAre(StartsWith("tasks.job.params.command: must be given")));
  (*Task("job").mutable_params())["command"].set_string_value("backup");
  (*Task("job").mutable_params())["@program"].set_string_value("/bin/sh");
  EXPECT_THAT(MistakesOf(CheckTypes(spec_, types_, {})),
              ElementsAre(HasSubstr("has no parameter \"@program\""), StartsWith("tasks.job.params.command: this host has no commands")));
}

}  // namespace
}  // namespace puma::server
