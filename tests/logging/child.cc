// The child processes of hub_test.cc and one_output_test.cc: RING PAGE DOORBELL NAME LEVELS MODE [ARGUMENTS].
#include <fmt/format.h>
#include <puma/log.h>
#include <puma/logging.h>
#include <puma/testing/log_capture.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/logging/child_process.h"
#include "worker/logging/hub.h"

namespace puma {
namespace {

using Arguments = std::vector<std::string>;

// {records}: "record 0" and so on, at info, as "work.child".
int Log(const Arguments& arguments) {
  const Logger logger("work.child");
  for (int i = 0; i < std::stoi(arguments[0]); ++i) logger.info("record {}", i);
  return 0;
}

// {threads, records, bytes of each}.
int LogFromThreads(const Arguments& arguments) {
  std::vector<std::thread> threads;
  const std::string padding(std::stoul(arguments[2]), 'x');
  for (int t = 0; t < std::stoi(arguments[0]); ++t) {
    threads.emplace_back([&, t] {
      const Logger logger(fmt::format("thread{}", t));
      for (int i = 0; i < std::stoi(arguments[1]); ++i) logger.warn("{} {} end", i, padding);
    });
  }
  for (auto& thread : threads) thread.join();
  return 0;
}

// {records}: logs and dies of SIGKILL.
int LogAndDie(const Arguments& arguments) {
  Log(arguments);
  log().error("last words");
  kill(getpid(), SIGKILL);
  return 1;
}

// {filtered, relevant}.
int LogMostlyFiltered(const Arguments& arguments) {
  for (int i = 0; i < std::stoi(arguments[0]); ++i) log().debug("filtered {}", i);
  for (int i = 0; i < std::stoi(arguments[1]); ++i) log().warn("relevant {}", i);
  return 0;
}

// Takes new levels from standard input, up to '#' each; says '.' and logs from all levels after each.
int FollowLevels(const Arguments&) {
  std::string text;
  for (char c; read(0, &c, 1) == 1;) {
    if (c != '#') {
      text += c;
      continue;
    }
    if (!logging::ApplyLevels(text).ok()) return 1;
    text.clear();
    const Logger section("section.x"), other("other");
    section.debug("section debug");
    other.info("other info");
    other.error("other error");
    if (write(1, ".", 1) != 1) return 1;
  }
  return 0;
}

// {program, mode and arguments of a grandchild}.
int Nest(const Arguments& arguments) {
  auto hub = logging::Hub::Create();
  if (!hub.ok()) return 1;
  log().info("before the grandchild");
  tests::ChildProcess grandchild(**hub, arguments[0], "grandchild", Arguments(arguments.begin() + 1, arguments.end()));
  const int status = grandchild.Wait();
  log().info("after the grandchild");
  return status == 0 ? 0 : 1;
}

// Captures what it logs itself.
int Capture(const Arguments&) {
  testing::LogCapture capture({.shield = true});
  log().debug("only here");
  return capture.Count({.text = "only here"}) == 1 && capture.Records()[0].process == "worker" ? 0 : 1;
}

// A level of its own, below what the parent has said.
int OwnLevel(const Arguments&) {
  SetLevel("own", Level::kDebug);
  Logger("own").debug("by the child's own wish");
  return InitLogging().code() == absl::StatusCode::kFailedPrecondition ? 0 : 1;
}

// One text of {bytes}.
int LogLong(const Arguments& arguments) {
  log().error("{}", std::string(std::stoul(arguments[0]), 'y'));
  return 0;
}

int Run(const std::string& mode, const Arguments& arguments) {
  static const std::map<std::string, int (*)(const Arguments&)> kModes = {{"log", Log},
                                                                          {"threads", LogFromThreads},
                                                                          {"die", LogAndDie},
                                                                          {"filtered", LogMostlyFiltered},
                                                                          {"levels", FollowLevels},
                                                                          {"nest", Nest},
                                                                          {"capture", Capture},
                                                                          {"own", OwnLevel},
                                                                          {"long", LogLong}};
  return kModes.at(mode)(arguments);
}

}  // namespace
}  // namespace puma

int main(int argc, char** argv) {
  if (argc < 7) return 2;
  puma::logging::HubDescriptors descriptors;
  descriptors.ring.reset(std::atoi(argv[1]));
  descriptors.page.reset(std::atoi(argv[2]));
  descriptors.doorbell.reset(std::atoi(argv[3]));
  if (absl::Status s = puma::logging::AttachToHub(std::move(descriptors), argv[4], argv[5]); !s.ok()) {
    puma::log().error("{}", s.ToString());
    return 3;
  }
  return puma::Run(argv[6], {argv + 7, argv + argc});
}
