#ifndef PUMA_TESTS_CLI_CTL_FIXTURE_H_
#define PUMA_TESTS_CLI_CTL_FIXTURE_H_
// The real puma-ctl, run before the real API server with a fake engine behind it.
#include <gtest/gtest.h>
#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "tests/rpc/fake_host.h"

namespace puma::client {

struct Ran {
  int code = -1;
  std::string out, err;
};

// A program that runs; puma-ctl, unless another one is said.
class Running {
 public:
  explicit Running(const std::vector<std::string>& words, const std::string& program = PUMA_CTL);
  // Reads until standard output has `text`; false: it has ended without.
  bool ReadUntil(const std::string& text);
  void Interrupt();
  // Reads to the end. A program that was ended by a signal: code 128 and the signal.
  Ran End();

 private:
  bool ReadSome();
  pid_t pid_ = -1;
  std::array<int, 2> fds_{-1, -1};
  Ran ran_;
};

// A pipeline with all kinds of things.
inline constexpr char kSpec[] = R"(pipeline: edges
modules: [edges]
buffers:
  frames: {capacity: 64MiB}
  edges: {on_full: drop_oldest}
tasks:
  loader: {type: edges.ImageLoader, outputs: {frames: frames}}
  detector: {type: edges.EdgeDetector, replicas: 2, inputs: {frames: frames}, outputs: {edges: edges}}
  sink: {type: edges.ContactSheet, placement: thread, inputs: {edges: edges}}
)";

class CtlTest : public ::testing::Test {
 protected:
  CtlTest();  // nothing of the user's environment says where a host is
  Ran Ctl(std::vector<std::string> words);
  std::string Write(const std::string& text);  // as a spec file
  void Apply() { ASSERT_EQ(Ctl({"apply", "-f", Write(kSpec)}).code, 0); }

  server::FakeHost host_;
};

}  // namespace puma::client
#endif  // PUMA_TESTS_CLI_CTL_FIXTURE_H_
