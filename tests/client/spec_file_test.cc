// How YAML becomes a spec, and what is said about mistakes.
#include "client/lib/spec_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"

namespace puma::client {
namespace {

using ::testing::HasSubstr;

std::optional<std::string> SomeVariables(const std::string& name) {
  if (name == "DIR") return "/srv/frames";
  if (name == "COUNT") return "3";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

absl::StatusOr<SpecFile> Parse(const std::string& text) { return SpecFile::Parse("typo.yaml", text, SomeVariables); }

v1::PipelineSpec Spec(const std::string& text) {
  const auto file = Parse(text);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? file->spec() : v1::PipelineSpec();
}

// The task of a spec whose task "t" has these fields (flow style, without braces).
v1::TaskSpec TaskWith(const std::string& fields) {
  const v1::PipelineSpec spec = Spec("pipeline: p\ntasks:\n  t: {" + fields + "}\n");
  return spec.tasks().count("t") ? spec.tasks().at("t") : v1::TaskSpec();
}

constexpr char kEdges[] = R"(pipeline: edges
modules: [edges]
buffers:
  frames: {capacity: 64MiB, on_full: block}
  edges:  {capacity: 16MiB, on_full: drop_oldest}
tasks:
  loader:
    type: edges.ImageLoader
    placement: process
    outputs: {frames: frames}
    params: {directory: /usr/share/backgrounds, rate: 30Hz}
  detector:
    type: edges.EdgeDetector
    placement: process
    replicas: 2
    inputs: {frames: frames}
    outputs: {edges: edges}
    restart: {policy: on_failure, backoff: {initial: 100ms, max: 30s}, max_restarts: 5, within: 30s}
    stop: {grace: 5s}
    watchdog: 2s
    resources: {memory: 512MiB, cpu: 1.5, pids: 64}
    depends_on: {loader: running}
  sink:
    type: edges.ContactSheet
    placement: thread
    inputs: {edges: edges}
    params: {output: edges.png, columns: 8}
strategy: one_for_one
)";

TEST(SpecFileTest, ReadsAWholePipeline) {
  const v1::PipelineSpec spec = Spec(kEdges);
  EXPECT_EQ(spec.pipeline(), "edges");
  EXPECT_EQ(spec.modules(0), "edges");
  EXPECT_EQ(spec.strategy(), v1::STRATEGY_ONE_FOR_ONE);
  EXPECT_EQ(spec.buffers().at("frames").capacity().bytes(), 64u << 20);
  EXPECT_EQ(spec.buffers().at("edges").on_full(), v1::ON_FULL_DROP_OLDEST);
  const v1::TaskSpec& detector = spec.tasks().at("detector");
  EXPECT_EQ(detector.replicas(), 2u);
  EXPECT_EQ(detector.inputs().at("frames").buffer(), "frames");
  EXPECT_EQ(detector.restart().policy(), v1::RESTART_POLICY_ON_FAILURE);
  EXPECT_EQ(detector.restart().backoff().initial().nanos(), 100'000'000);
  EXPECT_EQ(detector.restart().backoff().max().seconds(), 30);
  EXPECT_EQ(detector.stop().grace().seconds(), 5);
  EXPECT_EQ(detector.watchdog().seconds(), 2);
  EXPECT_EQ(detector.resources().memory().bytes(), 512u << 20);
  EXPECT_EQ(detector.resources().cpu(), 1.5);
  EXPECT_EQ(detector.depends_on().at("loader"), v1::CONDITION_RUNNING);
  EXPECT_EQ(spec.tasks().at("loader").params().at("rate").string_value(), "30Hz");
  EXPECT_EQ(spec.tasks().at("sink").params().at("columns").number_value(), 8);
}

TEST(SpecFile, AnInputIsABuffersNameOrAMap) {
  const auto file = Parse("tasks:\n  t:\n    inputs:\n      a: one\n      b: {buffer: two, lossy: true, from: newest}\n");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto& inputs = file->spec().tasks().at("t").inputs();
  EXPECT_EQ(inputs.at("a").buffer(), "one");
  EXPECT_FALSE(inputs.at("a").lossy());
  EXPECT_EQ(inputs.at("b").buffer(), "two");
  EXPECT_TRUE(inputs.at("b").lossy());
  EXPECT_EQ(inputs.at("b").from(), v1::JOIN_NEWEST);
  EXPECT_EQ(file->Explain("tasks.t.inputs.b.lossy", "x"), "typo.yaml:5:24: tasks.t.inputs.b.lossy: x");
  EXPECT_EQ(file->Explain("tasks.t.inputs.a.lossy", "x"), "typo.yaml:4:7: tasks.t.inputs.a.lossy: x");
}

struct Mistake {
  const char* what;
  const char* yaml;
  const char* told;  // exactly, without the final newline
};

class MistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsToldWithFileLineAndColumn) {
  const auto file = Parse(GetParam().yaml);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(file.status().message()), GetParam().told);
}

constexpr Mistake kMistakes[] = {
    {"UnknownField", "pipeline: p\ntasks:\n  loader:\n    type: a.B\n    placment: thread\n",
     R"(typo.yaml:5:5: unknown field "placment" in task "loader"; did you mean "placement"?)"},
    {"UnknownTopField", "pipline: p\n", R"(typo.yaml:1:1: unknown field "pipline"; did you mean "pipeline"?)"},
    {"UnknownFieldDeepInside", "tasks:\n  t:\n    restart: {backoff: {initail: 1s}}\n",
     R"(typo.yaml:3:25: unknown field "initail" in "backoff" of "restart" of task "t"; did you mean "initial"?)"},
    {"UnknownEnum", "tasks:\n  t: {placement: nowhere}\n",
     R"(typo.yaml:2:18: unknown value "nowhere" for "placement" of task "t"; known are: process, thread)"},
    {"MisspelledEnum", "buffers:\n  b: {on_full: drop_oldst}\n",
     R"(typo.yaml:2:16: unknown value "drop_oldst" for "on_full" of buffer "b"; did you mean "drop_oldest"?)"},
    {"LongEnum", "strategy: STRATEGY_ONE_FOR_ONE\n",
     R"(typo.yaml:1:11: unknown value "STRATEGY_ONE_FOR_ONE" for "strategy"; known are: one_for_one, one_for_all, rest_for_one)"},
    {"TextForNumber", "tasks:\n  t: {replicas: many}\n",
     R"(typo.yaml:2:17: "replicas" of task "t" must be a whole number from 0 to 4294967295, not "many")"},
    {"QuotedNumber", "tasks:\n  t: {replicas: '2'}\n",
     R"(typo.yaml:2:17: "replicas" of task "t" must be a whole number from 0 to 4294967295, not the text "2")"},
    {"NegativeNumber", "tasks:\n  t: {replicas: -1}\n",
     R"(typo.yaml:2:17: "replicas" of task "t" must be a whole number from 0 to 4294967295, not "-1")"},
    {"NotBool", "tasks:\n  t: {stopped: yes}\n", R"(typo.yaml:2:16: "stopped" of task "t" must be true or false, not "yes")"},
    {"DurationWithoutUnit", "tasks:\n  t: {watchdog: 2}\n",
     R"(typo.yaml:2:17: "watchdog" of task "t" must be a duration with a unit, as 2s or 100ms, not "2")"},
    {"SizeWithUnknownUnit", "buffers:\n  b: {capacity: 64Mb}\n",
     R"(typo.yaml:2:17: "capacity" of buffer "b" must be a size, as 64MiB, 100MB or 4096 (bytes), not "64Mb")"},
    {"MapForWord", "pipeline: {name: p}\n", R"(typo.yaml:1:11: "pipeline" must be text, not a map)"},
    {"WordForMap", "tasks: loader\n", R"(typo.yaml:1:8: "tasks" must be a map, as {name: ...})"},
    {"WordForList", "modules: edges\n", R"(typo.yaml:1:10: "modules" must be a list, as [a, b])"},
    {"WordForTask", "tasks:\n  t: a.B\n", R"(typo.yaml:2:6: task "t" must be a map of fields, as {type: ...})"},
    {"ListForInput", "tasks:\n  t: {inputs: {in: [a, b]}}\n",
     R"(typo.yaml:2:20: "in" in "inputs" of task "t" must be a buffer's name, or a map, as {buffer: ...}, not a list)"},
    {"UnknownFieldOfInput", "tasks:\n  t: {inputs: {in: {bufer: a}}}\n",
     R"(typo.yaml:2:21: unknown field "bufer" in "in" in "inputs" of task "t"; did you mean "buffer"?)"},
    {"UnknownJoin", "tasks:\n  t: {inputs: {in: {buffer: a, from: newst}}}\n",
     R"(typo.yaml:2:38: unknown value "newst" for "from" of "in" in "inputs" of task "t"; did you mean "newest"?)"},
    {"DuplicateKey", "tasks:\n  s: {type: a.B}\n  s: {type: a.B}\n",
     R"(typo.yaml:3:3: duplicate key "s" in "tasks"; it is already in line 2)"},
    {"UnsetVariable", "pipeline: ${NOBODY}\n",
     R"(typo.yaml:1:11: variable NOBODY is not set; set it, or give a default: ${NOBODY:-value})"},
    {"OpenVariable", "pipeline: ${NOBODY\n", R"(typo.yaml:1:11: "${" without "}"; write $${ for a plain ${)"},
    {"Empty", "# nothing\n", R"(typo.yaml:1:1: the file is empty; a spec begins with "pipeline: NAME")"},
    {"TwoDocuments", "pipeline: a\n---\npipeline: b\n", R"(typo.yaml:2:1: a second document; a spec file has one pipeline)"},
    {"NoDocument", ", ", R"(typo.yaml:1:1: not valid YAML: a document can't begin like this)"},  // YAML::LoadAll never came back
    {"NoUtf8", "pipeline: p\xff\n", R"(typo.yaml:1:11: "pipeline" is not UTF-8)"},
    {"KeyWithoutUtf8", "tasks: {\"\xc3\": {type: a.B}}\n", R"(typo.yaml:1:9: a key in "tasks" is not UTF-8)"},
    {"ListForSpec", "- pipeline\n", R"(typo.yaml:1:1: a spec must be a map of fields, as {pipeline: ...})"},
    {"NumberThatIsNotExact", "tasks:\n  t: {params: {n: 9007199254740993}}\n",
     R"(typo.yaml:2:19: "n" in "params" of task "t": 9007199254740993 can't be passed exactly as a number; quote it to pass it as text)"},
};

INSTANTIATE_TEST_SUITE_P(All, MistakeTest, ::testing::ValuesIn(kMistakes), [](const auto& info) { return info.param.what; });

TEST(SpecFileTest, AllMistakesAreToldInTheOrderOfTheFile) {
  const auto file = Parse("pipline: p\ntasks:\n  t: {tpe: a.B, replicas: x}\n");
  ASSERT_FALSE(file.ok());
  const std::string told(file.status().message());
  EXPECT_THAT(told, HasSubstr("typo.yaml:1:1: "));
  EXPECT_THAT(told, HasSubstr("\ntypo.yaml:3:7: "));
  EXPECT_THAT(told, HasSubstr("\ntypo.yaml:3:27: "));
}

TEST(SpecFileTest, WhatIsNotYamlIsToldWithItsPlace) {
  const auto file = Parse("pipeline: p\ntasks: [\n");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(std::string(file.status().message()), ::testing::MatchesRegex("typo.yaml:[0-9]+:[0-9]+: not valid YAML: .*"));
}

TEST(SpecFileTest, EveryEnumHasAShortForm) {
  const auto on_full = [](const std::string& word) { return Spec("buffers:\n  b: {on_full: " + word + "}\n").buffers().at("b").on_full(); };
  EXPECT_EQ(on_full("block"), v1::ON_FULL_BLOCK);
  EXPECT_EQ(on_full("error"), v1::ON_FULL_ERROR);
  EXPECT_EQ(on_full("warn"), v1::ON_FULL_WARN);
  EXPECT_EQ(on_full("ignore"), v1::ON_FULL_IGNORE);
  EXPECT_EQ(on_full("drop_oldest"), v1::ON_FULL_DROP_OLDEST);
  EXPECT_EQ(on_full("latest"), v1::ON_FULL_LATEST);
  EXPECT_EQ(TaskWith("placement: process").placement(), v1::PLACEMENT_PROCESS);
  EXPECT_EQ(TaskWith("placement: thread").placement(), v1::PLACEMENT_THREAD);
  EXPECT_EQ(TaskWith("depends_on: {a: running}").depends_on().at("a"), v1::CONDITION_RUNNING);
  EXPECT_EQ(TaskWith("depends_on: {a: succeeded}").depends_on().at("a"), v1::CONDITION_SUCCEEDED);
  EXPECT_EQ(TaskWith("restart: {policy: never}").restart().policy(), v1::RESTART_POLICY_NEVER);
  EXPECT_EQ(TaskWith("restart: {policy: on_failure}").restart().policy(), v1::RESTART_POLICY_ON_FAILURE);
  EXPECT_EQ(TaskWith("restart: {policy: always}").restart().policy(), v1::RESTART_POLICY_ALWAYS);
  EXPECT_EQ(Spec("strategy: one_for_one\n").strategy(), v1::STRATEGY_ONE_FOR_ONE);
  EXPECT_EQ(Spec("strategy: one_for_all\n").strategy(), v1::STRATEGY_ONE_FOR_ALL);
  EXPECT_EQ(Spec("strategy: rest_for_one\n").strategy(), v1::STRATEGY_REST_FOR_ONE);
  EXPECT_EQ(TaskWith("log_level: trace").log_level(), v1::LOG_LEVEL_TRACE);
  EXPECT_EQ(TaskWith("log_level: debug").log_level(), v1::LOG_LEVEL_DEBUG);
  EXPECT_EQ(TaskWith("log_level: info").log_level(), v1::LOG_LEVEL_INFO);
  EXPECT_EQ(TaskWith("log_level: warn").log_level(), v1::LOG_LEVEL_WARN);
  EXPECT_EQ(TaskWith("log_level: error").log_level(), v1::LOG_LEVEL_ERROR);
}

TEST(SpecFileTest, SizesHaveUnits) {
  const auto size = [](const std::string& text) { return ParseBytes(text).value_or(~0ull); };
  EXPECT_EQ(size("4096"), 4096u);
  EXPECT_EQ(size("1B"), 1u);
  EXPECT_EQ(size("2kB"), 2000u);
  EXPECT_EQ(size("2KiB"), 2048u);
  EXPECT_EQ(size("100MB"), 100'000'000u);
  EXPECT_EQ(size("1.5MiB"), 1536u << 10);
  EXPECT_EQ(size("2GB"), 2'000'000'000u);
  EXPECT_EQ(size("2GiB"), 2ull << 30);
  EXPECT_EQ(size("1TB"), 1'000'000'000'000u);
  EXPECT_EQ(size("1TiB"), 1ull << 40);
  for (const char* wrong : {"", "MiB", "-1", "1 MiB", "1mib", "1.MiB", ".5MiB", "0x10", "1e3", "0.3B", "99999999999TiB", "1,5MiB"}) {
    EXPECT_FALSE(ParseBytes(wrong).ok()) << wrong;
  }
}

TEST(SpecFileTest, DurationsHaveUnits) {
  const auto nanos = [](const std::string& text) {
    const auto duration = ParseDuration(text);
    return duration.ok() ? duration->seconds() * 1'000'000'000 + duration->nanos() : -1;
  };
  EXPECT_EQ(nanos("100ms"), 100'000'000);
  EXPECT_EQ(nanos("1m30s"), 90'000'000'000);
  EXPECT_EQ(nanos("1.5s"), 1'500'000'000);
  EXPECT_EQ(nanos("2h"), 7'200'000'000'000);
  EXPECT_EQ(nanos("7us"), 7'000);
  EXPECT_EQ(nanos("7ns"), 7);
  EXPECT_EQ(nanos("0"), 0);
  for (const char* wrong : {"", "5", "1.5", "-1s", "1 s", "5 sec", "inf", "1d", "900000000h"})
    EXPECT_FALSE(ParseDuration(wrong).ok()) << wrong;
}

TEST(SpecFileTest, VariablesAreExpanded) {
  EXPECT_EQ(Expand("${DIR}/${NOBODY:-a}/${EMPTY:-b}${EMPTY}", SomeVariables).value_or("?"), "/srv/frames/a/b");
  EXPECT_EQ(Expand("$${DIR} $5 $", SomeVariables).value_or("?"), "${DIR} $5 $");
  EXPECT_EQ(Expand("${NOBODY:-}", SomeVariables).value_or("?"), "");
  EXPECT_FALSE(Expand("${1X}", SomeVariables).ok());
  EXPECT_EQ(TaskWith("replicas: \"${COUNT}\"").replicas(), 3u);
  EXPECT_EQ(TaskWith("replicas: \"${NOBODY:-2}\"").replicas(), 2u);
  EXPECT_EQ(TaskWith("placement: \"${NOBODY:-thread}\"").placement(), v1::PLACEMENT_THREAD);
  EXPECT_EQ(Spec("pipeline: ${NOBODY:-p}\n").pipeline(), "p");
  EXPECT_EQ(Spec("pipeline: p\ntasks:\n  t:\n    replicas: ${COUNT}\n").tasks().at("t").replicas(), 3u);
}

TEST(SpecFileTest, ParametersKeepTheirJsonTypes) {
  const auto params =
      TaskWith("params: {a: 1, b: 0.5, c: true, d: null, e: text, f: \"1\", g: [1, x], h: {k: -2e3}, i: 010, j: 30Hz}").params();
  EXPECT_EQ(params.at("a").number_value(), 1);
  EXPECT_EQ(params.at("b").number_value(), 0.5);
  EXPECT_TRUE(params.at("c").bool_value());
  EXPECT_EQ(params.at("d").kind_case(), google::protobuf::Value::kNullValue);
  EXPECT_EQ(params.at("e").string_value(), "text");
  EXPECT_EQ(params.at("f").string_value(), "1");
  EXPECT_EQ(params.at("g").list_value().values(0).number_value(), 1);
  EXPECT_EQ(params.at("g").list_value().values(1).string_value(), "x");
  EXPECT_EQ(params.at("h").struct_value().fields().at("k").number_value(), -2000);
  EXPECT_EQ(params.at("i").string_value(), "010") << "not a JSON number, and nothing octal";
  EXPECT_EQ(params.at("j").string_value(), "30Hz");
}

TEST(SpecFileTest, AnchorsThatExplodeAreRefused) {
  std::string bomb = "tasks:\n  t:\n    params:\n      a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    absl::StrAppend(&bomb, "      a", i, ": &a", i, " [");
    for (int k = 0; k < 10; ++k) absl::StrAppend(&bomb, k ? ", " : "", "*a", i - 1);
    absl::StrAppend(&bomb, "]\n");
  }
  const auto file = Parse(bomb);
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("repeated too often"));
}

TEST(SpecFileTest, DeepNestingIsRefused) {
  const auto file = Parse("tasks:\n  t: {params: {a: " + std::string(300, '[') + std::string(300, ']') + "}}\n");
  EXPECT_FALSE(file.ok());
}

TEST(SpecFileTest, MistakesThatTheHostFindsAreShownInTheFile) {
  const auto file = Parse(kEdges);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->Explain("tasks.detector.inputs.frames", "x"), "typo.yaml:16:14: tasks.detector.inputs.frames: x");
  EXPECT_EQ(file->Explain("spec.tasks.detector.inputs.frames", "x"), "typo.yaml:16:14: tasks.detector.inputs.frames: x");
  EXPECT_EQ(file->Explain("tasks.sink.inputs.other", "x"), "typo.yaml:26:5: tasks.sink.inputs.other: x")
      << "the nearest field that is there";
  EXPECT_EQ(file->Explain("modules[0]", "x"), "typo.yaml:2:11: modules[0]: x");
  EXPECT_EQ(file->Explain("tasks.loader.params.rate", "x"), "typo.yaml:11:49: tasks.loader.params.rate: x");
  EXPECT_EQ(file->Explain("etag", "x"), "typo.yaml: etag: x");
}

TEST(SpecFileTest, FilesThatCannotBeReadAreToldByName) {
  const auto missing = SpecFile::Read("/nonexistent/spec.yaml");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nonexistent/spec.yaml"));
  EXPECT_FALSE(SpecFile::Read("/tmp").ok());
  char directory[] = "/tmp/puma-spec.XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/p.yaml";
  std::ofstream(path) << "pipeline: p\n";
  const auto file = SpecFile::Read(path);
  EXPECT_TRUE(file.ok() && file->spec().pipeline() == "p") << file.status();
  std::filesystem::remove_all(directory);
}

// Files by their path.
absl::StatusOr<SpecFile> ParseWith(const std::string& text, const std::map<std::string, std::string>& others) {
  return SpecFile::Parse("specs/main.yaml", text, SomeVariables, [&](const std::string& path) -> absl::StatusOr<std::string> {
    const auto it = others.find(path);
    if (it == others.end()) return absl::NotFoundError("no such file");
    return it->second;
  });
}

TEST(SpecFileTest, WhatAFileSaysIsPutOverWhatItIncludes) {
  const auto file = ParseWith(R"(include: [base.yaml, parts/sink.yaml]
pipeline: mine
modules: [c]
tasks:
  loader: {type: a.Loader, params: {rate: 5Hz}}
)",
                              {{"specs/base.yaml",
                                "include: ../common.yaml\npipeline: base\nmodules: [a, c]\nstrategy: one_for_all\n"
                                "tasks:\n  loader: {type: a.Loader, params: {directory: /x}, replicas: 2}\n"},
                               {"common.yaml", "buffers: {frames: {capacity: 64MiB}}\n"},
                               {"specs/parts/sink.yaml", "modules: [b]\ntasks:\n  sink: {type: b.Sink, inputs: {in: frames}}\n"}});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->spec().pipeline(), "mine");
  EXPECT_EQ(file->spec().strategy(), v1::STRATEGY_ONE_FOR_ALL);
  EXPECT_THAT(file->spec().modules(), ::testing::ElementsAre("a", "c", "b"));
  EXPECT_EQ(file->spec().buffers().at("frames").capacity().bytes(), 64u << 20);
  EXPECT_EQ(file->spec().tasks_size(), 2);
  const v1::TaskSpec& loader = file->spec().tasks().at("loader");
  EXPECT_EQ(loader.replicas(), 0u) << "a task is replaced as a whole";
  EXPECT_EQ(loader.params_size(), 1);
  // Each mistake of the host is shown in its own file.
  EXPECT_EQ(file->Explain("tasks.sink.type", "x"), "specs/parts/sink.yaml:3:10: tasks.sink.type: x");
  EXPECT_EQ(file->Explain("tasks.loader.replicas", "x"), "specs/main.yaml:5:3: tasks.loader.replicas: x") << "not where it was replaced";
}

TEST(SpecFileTest, MistakesOfIncludesAreToldInTheirFile) {
  const auto mistake = [](const std::string& text, const std::map<std::string, std::string>& others = {}) {
    const auto file = ParseWith(text, others);
    EXPECT_FALSE(file.ok()) << text;
    return std::string(file.status().message());
  };
  EXPECT_EQ(mistake("pipeline: p\ninclude: none.yaml\n"), "specs/main.yaml:2:10: can't include none.yaml: no such file");
  EXPECT_EQ(mistake("include: b.yaml\n", {{"specs/b.yaml", "pipelin: p\n"}}),
            "specs/b.yaml:1:1: unknown field \"pipelin\"; did you mean \"pipeline\"?");
  EXPECT_EQ(mistake("include: b.yaml\n", {{"specs/b.yaml", "include: ./main.yaml\n"}}),
            "specs/b.yaml:1:10: can't include ./main.yaml: it includes this file");
  EXPECT_EQ(mistake("include: {a: b}\n"), "specs/main.yaml:1:10: \"include\" must be a file, or a list of files");
  EXPECT_EQ(mistake("include: ${NOBODY}\n"),
            "specs/main.yaml:1:10: variable NOBODY is not set; set it, or give a default: ${NOBODY:-value}");
  EXPECT_EQ(std::string(Parse("include: b.yaml\n").status().message()), "typo.yaml:1:10: can't include b.yaml: files can't be read here");
  std::map<std::string, std::string> tower;  // each file is read for each that includes it
  for (int i = 0; i < 20; ++i)
    tower["specs/" + std::to_string(i)] = "include: [" + std::to_string(i + 1) + ", " + std::to_string(i + 1) + "]\n";
  tower["specs/20"] = "pipeline: p\n";
  EXPECT_THAT(mistake("include: 0\n", tower), HasSubstr("more than 100 files"));
}

}  // namespace
}  // namespace puma::client
