// diff and expand: what a spec file means to a host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/cli/ctl_fixture.h"

namespace puma::client {
namespace {

using ::testing::HasSubstr;

class SpecTest : public CtlTest {
 protected:
  Ran Diff(const std::string& spec, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"diff", "-f", Write(spec)};
    words.insert(words.end(), more.begin(), more.end());
    return Ctl(words);
  }
};

TEST_F(SpecTest, WhatIsAppliedHasNoDifferences) {
  Apply();
  const Ran ran = Diff(kSpec);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "pipeline edges: no differences\n");
  EXPECT_EQ(Diff(kSpec, {"-o", "json"}).out, "{\n \"pipeline\": \"pipelines/edges\",\n \"differences\": [],\n \"changes\": []\n}\n");
}

TEST_F(SpecTest, DifferencesAreToldFieldByFieldAndAreExitCodeOne) {
  Apply();
  const std::string changed =
      absl::StrReplaceAll(kSpec, {{"64MiB", "32MiB"},
                                  {", placement: thread", ", params: {columns: 8}"},
                                  {"  loader: {type: edges.ImageLoader, outputs: {frames: frames}}\n", ""},
                                  {"  edges: {on_full: drop_oldest}\n", "  edges: {on_full: drop_oldest}\n  spare: {}\n"}});
  const Ran ran = Diff(changed);
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_EQ(ran.out.substr(0, ran.out.find("\n\n") + 1),
            "   FIELD                      NOW                                                   WOULD BE\n"
            "~  buffers.frames.capacity    64MiB                                                 32MiB\n"
            "+  buffers.spare              –                                                     {}\n"
            "-  tasks.loader               {type: edges.ImageLoader, outputs: {frames: frames}}  –\n"
            "+  tasks.sink.params.columns  –                                                     8\n"
            "-  tasks.sink.placement       thread                                                –\n");
  EXPECT_THAT(ran.out, HasSubstr("CHANGE"));
  EXPECT_EQ(Diff(changed, {"-o", "name"}).out,
            "buffers.frames.capacity\nbuffers.spare\ntasks.loader\ntasks.sink.params.columns\ntasks.sink.placement\n");
  const Ran json = Diff(changed, {"-o", "json"});
  EXPECT_EQ(json.code, 1);
  EXPECT_THAT(json.out, HasSubstr("\"before\": \"64MiB\""));
  EXPECT_THAT(json.out, HasSubstr("\"action\": \"ACTION_UPDATE\""));
  EXPECT_THAT(Ctl({"get", "buffers", "edges"}).out, HasSubstr("64MiB")) << "nothing was changed";
}

TEST_F(SpecTest, APipelineThatIsNotThereIsAllDifference) {
  const Ran ran = Diff(kSpec);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("+  tasks.sink"));
  EXPECT_EQ(Ctl({"get", "pipelines"}).err, "no pipelines\n");
}

TEST_F(SpecTest, ADiffThatCanNotBeSaidIsExitCodeTwo) {
  EXPECT_EQ(Diff("pipeline: [").code, 2);
  const Ran refused = Diff("pipeline: p\ntasks:\n  t: {type: a.Unknown}\n");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("spec.yaml:3:7: tasks.t.type: there is no type a.Unknown"));
  EXPECT_EQ(Running({"--host", "unix:/nonexistent/puma.sock", "diff", "-f", Write(kSpec)}).End().code, 2);
  EXPECT_EQ(Ctl({"diff", "-f", "/nonexistent.yaml"}).code, 2);
}

TEST_F(SpecTest, AnExpandedSpecHasItsVariablesAndCanBeApplied) {
  setenv("PUMA_TEST_CAPACITY", "1MiB", 1);
  const Ran ran = Ctl({"expand", "-f", Write(absl::StrReplaceAll(kSpec, {{"64MiB", "\"${PUMA_TEST_CAPACITY}\""}}))});
  unsetenv("PUMA_TEST_CAPACITY");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("buffers:\n  edges: {on_full: drop_oldest}\n  frames: {capacity: 1MiB}\n"));
  EXPECT_THAT(ran.out, HasSubstr("  loader:\n    type: edges.ImageLoader\n    outputs: {frames: frames}\n"));
  EXPECT_EQ(Ctl({"expand", "-f", Write(ran.out)}).out, ran.out);
  EXPECT_EQ(Ctl({"apply", "-f", Write(ran.out)}).code, 0);
  EXPECT_EQ(Diff(ran.out).code, 0);
}

TEST_F(SpecTest, AnUnsetVariableIsAMistakeOfTheFile) {
  const Ran ran = Ctl({"expand", "-f", Write("pipeline: \"${PUMA_TEST_NOT_SET}\"\ntasks: {}\n")});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("spec.yaml:1:11: variable PUMA_TEST_NOT_SET is not set"));
  EXPECT_EQ(ran.out, "");
}

}  // namespace
}  // namespace puma::client
