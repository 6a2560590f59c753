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
