// A log call: below its level, into the ring of a child process, to a file; beside spdlog.
#include <puma/log.h>
#include <puma/logging.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/logging/child_process.h"
#include "worker/logging/hub.h"
#include "worker/logging/record_sink.h"

namespace puma::bench {
namespace {

constexpr int kBurst = 4096;  // fits into a child's ring
std::string folder;

class Nowhere : public logging::RecordSink {
 public:
  void Write(const logging::Record&) override {}
};

// Nanoseconds per call of `f(i)`, over `calls` calls.
template <class F>
double Nanoseconds(int calls, F f) {
  const double begin = NowSeconds();
  for (int i = 0; i < calls; ++i) f(i);
  return (NowSeconds() - begin) / calls * 1e9;
}

double OneLoad() {
  static std::atomic<uint32_t> word{3};
  return Nanoseconds(100'000'000, [](int) {
    if (word.load(std::memory_order_relaxed) < 1) abort();
    asm volatile("" ::: "memory");
  });
}

double Disabled() {
  const Logger logger("bench");
  return Nanoseconds(100'000'000, [&](int i) {
    logger.debug("frame {} done", i);
    asm volatile("" ::: "memory");
  });
}

double SpdlogDisabled() {
  auto logger = spdlog::basic_logger_st("disabled", folder + "/disabled.log", true);
  logger->set_level(spdlog::level::warn);
  const double ns = Nanoseconds(100'000'000, [&](int i) {
    logger->debug("frame {} done", i);
    asm volatile("" ::: "memory");
  });
  spdlog::drop_all();
  return ns;
}

double Formatting() {
  return Nanoseconds(1'000'000, [](int i) {
    fmt::memory_buffer text;
    fmt::format_to(fmt::appender(text), "frame {} done", i);
    asm volatile("" : : "r"(text.data()) : "memory");
  });
}

double SpdlogSync() {
  auto logger = spdlog::basic_logger_mt("sync", folder + "/sync.log", true);
  const double ns = Nanoseconds(500'000, [&](int i) { logger->info("frame {} done", i); });
  spdlog::drop_all();
  return ns;
}

// What a caller pays while there is room in the queue; and, when there never is.
double SpdlogAsync(int bursts, int burst) {
  spdlog::init_thread_pool(8192, 1);
  auto logger = spdlog::basic_logger_mt<spdlog::async_factory>("async", folder + "/async.log", true);
  double ns = 0;
  for (int b = 0; b < bursts; ++b) {
    ns += Nanoseconds(burst, [&](int i) { logger->info("frame {} done", i); });
    if (bursts > 1) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  spdlog::drop_all();
  spdlog::shutdown();
  return ns / bursts;
}

// The child: bursts that the hub can follow, or one long storm. Prints nanoseconds per call.
int Child(char** argv) {
  logging::HubDescriptors descriptors;
  descriptors.ring.reset(atoi(argv[1]));
  descriptors.page.reset(atoi(argv[2]));
  descriptors.doorbell.reset(atoi(argv[3]));
  if (!logging::AttachToHub(std::move(descriptors), argv[4], argv[5]).ok()) return 1;
  PinTo(1);
  const int bursts = atoi(argv[6]), burst = atoi(argv[7]);
  const Logger logger("bench");
  double ns = 0;
  for (int b = 0; b < bursts; ++b) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    logger.info("a burst begins");  // wakes the hub, which costs this one a system call
    ns += Nanoseconds(burst, [&](int i) { logger.info("frame {} done", i); });
  }
  printf("%f\n", ns / bursts);
  return 0;
}

double InChild(int bursts, int burst) {
  auto hub = logging::Hub::Create();
  if (!hub.ok()) return 0;
  tests::ChildProcess child(**hub, "/proc/self/exe", "child", {std::to_string(bursts), std::to_string(burst)});
  char text[64] = {};
  (void)!read(child.from(), text, sizeof(text) - 1);
  child.Wait();
  return atof(text);
}

double ToSharedMemory(int bursts, int burst) {
  SetLevel("", Level::kInfo);
  Nowhere nowhere;
  logging::RecordSink* const before = logging::InstallSink(&nowhere);
  const double ns = InChild(bursts, burst);
  logging::InstallSink(before);
  ResetLogging();
  return ns;
}

bool InitFile() {
  const std::string yaml = folder + "/log.yaml";
  if (FILE* file = fopen(yaml.c_str(), "we")) {
    fprintf(file, "levels: {root: info}\nsinks: [{type: file, path: %s/ours.log}]\n", folder.c_str());
    fclose(file);
  }
  std::filesystem::remove(folder + "/ours.log");
  return InitLogging(yaml).ok();
}

double ToFileOfTheParent(int bursts, int burst) {
  if (!InitFile()) return 0;
  const double ns = InChild(bursts, burst);
  ResetLogging();
  return ns;
}

double ToFile() {
  if (!InitFile()) return 0;
  const Logger logger("bench");
  const double ns = Nanoseconds(200'000, [&](int i) { logger.info("frame {} done", i); });
  ResetLogging();
  return ns;
}

int Run(int argc, char** argv) {
  std::string pattern = std::filesystem::temp_directory_path() / "puma-log-bench.XXXXXX";
  folder = mkdtemp(pattern.data());
  Bench bench;
  bench.Add("one relaxed load", "ns", "", OneLoad);
  bench.Add("call below its level", "ns", "one relaxed load", Disabled);
  bench.Add("spdlog, below its level", "ns", "one relaxed load", SpdlogDisabled);
  bench.Add("fmt into a stack buffer", "ns", "", Formatting);
  bench.Add("spdlog to a file, sync", "ns", "", SpdlogSync);
  bench.Add("spdlog to a file, async, bursts", "ns", "spdlog to a file, sync", [] { return SpdlogAsync(50, kBurst); });
  bench.Add("spdlog to a file, async, storm", "ns", "spdlog to a file, sync", [] { return SpdlogAsync(1, 500'000); });
  bench.Add("child's call, bursts, hub reads only", "ns", "spdlog to a file, async, bursts", [] { return ToSharedMemory(50, kBurst); });
  bench.Add("child's call, bursts, hub writes a file", "ns", "spdlog to a file, async, bursts",
            [] { return ToFileOfTheParent(50, kBurst); });
  bench.Add("child's call, storm, hub writes a file", "ns", "spdlog to a file, async, storm", [] { return ToFileOfTheParent(1, 500'000); });
  bench.Add("call of the program itself to a file", "ns", "spdlog to a file, sync", ToFile);
  const int result = bench.Run(argc, argv);
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace
}  // namespace puma::bench

int main(int argc, char** argv) { return argc == 8 ? puma::bench::Child(argv) : puma::bench::Run(argc, argv); }
