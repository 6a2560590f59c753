// Clients that share no code with ours, against a real host: they know the API from reflection alone.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class ApiClientTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
  static std::string InPath(const std::string& program) {
    const char* path = std::getenv("PATH");
    for (const absl::string_view part : absl::StrSplit(path == nullptr ? "" : path, ':')) {
      const std::string directory(part);
      if (access((directory + "/" + program).c_str(), X_OK) == 0) return directory + "/" + program;
    }
    return "";
  }
};

TEST_F(ApiClientTest, NodeAppliesWatchesTailsAndDeletes) {
  const std::string node = InPath("node");
  if (node.empty() || !std::filesystem::exists(PUMA_NPM_DIR "/node_modules/@grpc/grpc-js"))
    GTEST_SKIP() << "no node, or no grpc-js in " PUMA_NPM_DIR;
  const std::string spec = Write("spec.json", R"({"pipeline": "p", "modules": ["flow"], "buffers": {"raw": {"capacityItems": 8}}, "tasks": {
      "counter": {"type": "flow.Counter", "outputs": {"numbers": "raw"}, "params": {"count": 0, "pause": "10ms"}},
      "collector": {"type": "flow.Collector", "placement": "PLACEMENT_THREAD", "inputs": {"in": {"buffer": "raw"}}}}})");
  const Ran ran = RunProgram({node, PUMA_SOURCE "/tests/api_clients/client.mjs", Target(), spec}, {{"PUMA_NPM_DIR", PUMA_NPM_DIR}});
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_EQ(client().ListTasks()->tasks_size(), 0);
}

// The examples: apply, wait, call a command, read the log, delete.
class ExampleTest : public ApiClientTest {
 protected:
  void SetUp() override {
    ApiClientTest::SetUp();
    spec_ = Write("spec.json", R"({"pipeline": "p", "modules": ["flow"], "tasks": {"servant": {"type": "flow.Servant"}}})");
  }
  void Check(const std::vector<std::string>& program, const std::map<std::string, std::string>& environment) {
    const auto run = [&](std::vector<std::string> words) {
      words.insert(words.begin(), program.begin(), program.end());
      return RunProgram(words, environment);
    };
    const Ran added = run({Target(), spec_, "servant", "add", "a=2", "b=40"});
    EXPECT_EQ(added.code, 0) << added.out << added.err;
    EXPECT_TRUE(absl::StrContains(added.out, "add: 42")) << added.out;
    EXPECT_TRUE(Eventually([&] { return client().ListPipelines()->pipelines().empty(); }));

    // The log may come after the command's result.
    EXPECT_TRUE(Eventually([&] {
      return absl::StrContains(run({Target(), spec_, "servant", "say", "text=hello", "times=1"}).out, "log: servant: hello 0");
    }));

    const Ran unknown = run({Target(), spec_, "servant", "ad"});
    EXPECT_EQ(unknown.code, 1) << unknown.out;
    EXPECT_TRUE(absl::StrContains(unknown.err, "INVALID_ARGUMENT") && absl::StrContains(unknown.err, "add")) << unknown.err;
    EXPECT_TRUE(Eventually([&] { return client().ListPipelines()->pipelines().empty(); })) << "it is deleted, too";

    const Ran mistaken = run(
        {Target(), Write("bad.json", R"({"pipeline": "p", "modules": ["flow"], "tasks": {"t": {"type": "flow.Srvant"}}})"), "t", "add"});
    EXPECT_EQ(mistaken.code, 1);
    EXPECT_TRUE(absl::StrContains(mistaken.err, "did you mean \"flow.Servant\"?")) << mistaken.err;
    EXPECT_EQ(run({Target()}).code, 2);
  }

 private:
  std::string spec_;
};

TEST_F(ExampleTest, Cpp) { Check({PUMA_BIN "/puma-example-control"}, {}); }

TEST_F(ExampleTest, Python) {
  const std::string python = "/usr/bin/python3";  // Debian's, which has Debian's grpcio
  if (RunProgram({python, "-c", "import grpc, google.protobuf"}).code != 0) GTEST_SKIP() << "no python3-grpcio";
  const std::string made = Directory() + "/python";
  const Ran generated = RunProgram({PUMA_SOURCE "/client/examples/generate-python", PUMA_SOURCE "/proto", made});
  ASSERT_EQ(generated.code, 0) << generated.err;
  Check({python, PUMA_SOURCE "/client/examples/control.py"}, {{"PYTHONPATH", made}, {"PYTHONDONTWRITEBYTECODE", "1"}});
}

TEST_F(ApiClientTest, BufCallsThroughReflection) {
  const std::string buf = PUMA_NPM_DIR "/node_modules/.bin/buf";
  if (access(buf.c_str(), X_OK) != 0 || InPath("node").empty()) GTEST_SKIP() << "no buf in " PUMA_NPM_DIR;
  const Ran ran = RunProgram({buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--unix-socket", Socket(),
                              "http://localhost/puma.v1.HostService/GetHost"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_TRUE(absl::StrContains(ran.out, "\"stateDirectory\"")) << ran.out;
}

}  // namespace
}  // namespace puma::system_test
