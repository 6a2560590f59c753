// A spec as text again: what is written is read as the same message.
#include "client/lib/spec_text.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "client/lib/spec_file.h"

namespace puma::client {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

v1::PipelineSpec Parse(const std::string& text) {
  const auto file = SpecFile::Parse("spec.yaml", text, [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(file.ok()) << file.status() << "\n" << text;
  return file.ok() ? file->spec() : v1::PipelineSpec();
}

constexpr char kAll[] = R"(pipeline: edges
modules: [edges, other]
buffers:
  edges: {capacity: 1048577, capacity_items: 8, on_full: drop_oldest, max_bytes: 1GiB, memory: {huge_pages: true}}
  frames: {}
tasks:
  detector:
    type: edges.EdgeDetector
    placement: thread
    inputs: {frames: frames, more: {buffer: edges, lossy: true, from: newest}}
    outputs: {edges: edges}
    params: {directory: /usr/share, list: [1, "1", {a: true}], rate: 30Hz, scale: 0.1, text: "true", nothing: ~}
    restart: {policy: on_failure, backoff: {initial: 100ms, max: 1m30s}, max_restarts: 5, within: 30s}
    resources: {memory: 512MiB, cpu: 1.5}
    depends_on: {loader: succeeded}
    stopped: true
    max_deliveries: 0
    spin: 0
  loader:
    type: edges.ImageLoader
    resources: {}
strategy: one_for_all
)";

TEST(SpecTextTest, ASpecIsWrittenAsPeopleWriteIt) {
  const std::string text = ToYaml(Parse(kAll));
  EXPECT_THAT(text, HasSubstr("modules: [edges, other]\n"));
  EXPECT_THAT(
      text,
      HasSubstr("  edges: {capacity: 1048577, capacity_items: 8, on_full: drop_oldest, max_bytes: 1GiB, memory: {huge_pages: true}}\n"));
  EXPECT_THAT(text, HasSubstr("    inputs: {frames: frames, more: {buffer: edges, lossy: true, from: newest}}\n"));
  EXPECT_THAT(text, HasSubstr("backoff: {initial: 100ms, max: 1m30s}"));
  EXPECT_THAT(text, HasSubstr("rate: 30Hz, scale: 0.1, text: \"true\"}"));
  EXPECT_THAT(text, HasSubstr("    max_deliveries: 0\n")) << "absent is something else";
}

TEST(SpecTextTest, WhatIsWrittenIsReadAsTheSame) {
  const v1::PipelineSpec spec = Parse(kAll);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(spec, Parse(ToYaml(spec)))) << ToYaml(spec);
}

TEST(SpecTextTest, TextsThatLookLikeSomethingElseComeBack) {
  for (const char* text : {"",
                           "null",
                           "~",
                           "true",
                           "1",
                           "-1",
                           "1e5",
                           "0x10",
                           "${HOME}",
                           "$${HOME}",
                           "$",
                           "a: b",
                           "a, b",
                           "[x]",
                           "{x}",
                           "# no comment",
                           "two\nlines",
                           "tab\t",
                           "\"quoted\"",
                           "'quoted'",
                           "back\\slash",
                           "\x1b[31m",
                           "ünïcode \u202e",
                           " blanks ",
                           "-",
                           "--- x",
                           "...",
                           ".5",
                           "&a",
                           "*a",
                           "!tag",
                           "%x",
                           "yes",
                           "Null",
                           "30Hz",
                           "2024-05-01"}) {
    v1::PipelineSpec spec;
    spec.set_pipeline("p");
    v1::TaskSpec& task = (*spec.mutable_tasks())["t"];
    task.set_type("a.B");
    (*task.mutable_outputs())["text"] = text;
    (*task.mutable_params())["text"].set_string_value(text);
    (*task.mutable_params())["list"].mutable_list_value()->add_values()->set_string_value(text);
    (*(*task.mutable_params())["map"].mutable_struct_value()->mutable_fields())["$${k}: "].set_string_value(text);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(spec, Parse(ToYaml(spec)))) << text << "\n" << ToYaml(spec);
  }
}

TEST(SpecTextTest, NumbersComeBackExactly) {
  for (const double number : {0.0, -1.0, 0.1, 1e-9, 1e20, 9007199254740993.0, 123456789012345678901.0, -2.5e300, 1234567.0}) {
    v1::PipelineSpec spec;
    spec.set_pipeline("p");
    (*(*spec.mutable_tasks())["t"].mutable_params())["n"].set_number_value(number);
    spec.mutable_tasks()->at("t").mutable_resources()->set_cpu(number);
    const v1::PipelineSpec again = Parse(ToYaml(spec));
    EXPECT_EQ(again.tasks().at("t").params().at("n").number_value(), number) << ToYaml(spec);
    EXPECT_EQ(again.tasks().at("t").resources().cpu(), number) << ToYaml(spec);
  }
}

TEST(SpecTextTest, FieldsAreTheirPathsAndWords) {
  const auto fields = FieldsOf(Parse(kAll));
  EXPECT_THAT(fields, Contains(Pair("modules", "[edges, other]")));
  EXPECT_THAT(fields, Contains(Pair("buffers.edges.on_full", "drop_oldest")));
  EXPECT_THAT(fields, Contains(Pair("buffers.edges.memory.huge_pages", "true")));
  EXPECT_THAT(fields, Contains(Pair("buffers.frames", "{}")));
  EXPECT_THAT(fields, Contains(Pair("tasks.detector.params.text", "\"true\"")));
  EXPECT_THAT(fields, Contains(Pair("tasks.detector.params.list", "[1, \"1\", {a: true}]")));
  EXPECT_THAT(fields, Contains(Pair("tasks.detector.outputs.edges", "edges")));
  EXPECT_THAT(fields, Contains(Pair("tasks.detector.inputs.frames.buffer", "frames")));
  EXPECT_THAT(fields, Contains(Pair("tasks.detector.depends_on.loader", "succeeded")));
  EXPECT_THAT(fields, Contains(Pair("tasks.detector.restart.backoff.max", "1m30s")));
}

}  // namespace
}  // namespace puma::client
