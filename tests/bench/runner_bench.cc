// Runners: what the SDK's loop adds to a bare lane for each message, and what a start costs.
#include <puma/environment.h>
#include <spawn.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/buffer_cases.h"

namespace puma::bench {
namespace {

constexpr int64_t kMessages = 60'000;
constexpr int64_t kPause = -1;

[[noreturn]] void Fail(const absl::Status& status) {
  std::fprintf(stderr, "runner_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}
void Take(const absl::Status& status) {
  if (!status.ok()) Fail(status);
}

// Says how long it took from the first message to the last. They wait in the buffer by then: before them comes one that lets the publisher
// get ahead.
class Reader : public Runnable {
 public:
  explicit Reader(Setup& setup) : took_(setup.Output<double>("took")) { setup.Input("numbers", &Reader::OnNumber); }

 private:
  absl::Status OnNumber(const int64_t& number) {
    if (number == kPause) absl::SleepFor(absl::Milliseconds(50));
    if (number == 0) began_ = NowSeconds();
    sum_ += number;
    if (number != kMessages - 1) return absl::OkStatus();
    return took_.PublishValue(NowSeconds() - began_);
  }
  double began_ = 0;
  int64_t sum_ = 0;
  puma::Output<double> took_;
};

// Nanoseconds a message. The first round finds the pages of the lane cold.
double LoopNanos(const char* kind) {
  auto environment = CreateEnvironment(kind);
  auto numbers = environment->CreateBuffer<int64_t>("numbers", {.capacity = kMessages + 8});
  auto took = environment->CreateBuffer<double>("took");
  auto reader = environment->CreateRunner<Reader>("reader", {.inputs = {{"numbers", numbers}}, .outputs = {{"took", took}}});
  Take(reader.StartBlocking());
  auto publisher = numbers.Publish();
  Event event;
  auto subscription = took.Subscribe(event);
  double last = 0;
  for (int round = 0; round < 4; ++round) {
    Take(publisher.PublishValue(kPause));
    for (int64_t i = 0; i < kMessages; ++i) Take(publisher.PublishValue(i, kInfinite));
    Take(event.Wait(absl::Seconds(60)));
    Take(subscription.Drain([&](const double& seconds) { last = seconds; }).status());
  }
  Take(reader.Close());
  return last / kMessages * 1e9;
}

// The same messages, read in place from a bare lane, with the position stored as often as the loop does.
double BareNanos() {
  Lane lane(OptionsOf({.bytes = 16, .depth = 65536}));
  Subscription subscription(lane, 0);
  double took = 0;
  for (int round = 0; round < 4; ++round) {
    for (int64_t i = 0; i < kMessages; ++i) {
      std::byte* room = Reserve(*lane.writer, sizeof(i));
      std::memcpy(room, &i, sizeof(i));
      lane.writer->Commit(sizeof(i));
    }
    const double began = NowSeconds();
    int64_t sum = 0;
    for (uint64_t read = 0; read < kMessages;) {
      read += ReadBatch(*subscription.reader, 256, [&](const RingItem& item) {
        int64_t number;
        std::memcpy(&number, item.bytes.data(), sizeof(number));
        sum += number;
      });
    }
    took = NowSeconds() - began;
    sink += static_cast<uint64_t>(sum);
  }
  return took / kMessages * 1e9;
}

class Idle : public Runnable {
 public:
  explicit Idle(Setup&) {}

 protected:
  absl::Status Execute() override { return Service(); }
};

// Milliseconds until it runs, one after another.
double StartMillis(const char* kind) {
  constexpr int kStarts = 50;
  auto environment = CreateEnvironment(kind);
  double took = 0;
  for (int i = 0; i < kStarts; ++i) {
    auto idle = environment->CreateRunner<Idle>("idle");
    const double began = NowSeconds();
    Take(idle.StartBlocking());
    took += NowSeconds() - began;
    Take(idle.Close());
  }
  return took / kStarts * 1e3;
}

double ThreadMillis() {
  constexpr int kStarts = 50;
  double took = 0;
  for (int i = 0; i < kStarts; ++i) {
    std::atomic<bool> runs{false};
    const double began = NowSeconds();
    std::jthread thread([&] {
      runs.store(true);
      runs.notify_one();
    });
    runs.wait(false);
    took += NowSeconds() - began;
  }
  return took / kStarts * 1e3;
}

double TrueMillis() {
  constexpr int kStarts = 50;
  const double began = NowSeconds();
  for (int i = 0; i < kStarts; ++i) {
    char path[] = "/bin/true";
    char* const arguments[] = {path, nullptr};
    int pid = 0, status = 0;
    if (posix_spawn(&pid, path, nullptr, nullptr, arguments, environ) != 0 || waitpid(pid, &status, 0) != pid) std::exit(1);
  }
  return (NowSeconds() - began) / kStarts * 1e3;
}

}  // namespace
}  // namespace puma::bench

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  using namespace puma::bench;
  Bench bench;
  bench.Add("bare lane, read", "ns", "", BareNanos);
  bench.Add("runnable on a thread, a message", "ns", "bare lane, read", [] { return LoopNanos("threads"); });
  bench.Add("runnable in a process, a message", "ns", "bare lane, read", [] { return LoopNanos("processes"); });
  bench.Add("std::thread until it runs", "ms", "", ThreadMillis);
  bench.Add("thread runner until RUNNING", "ms", "std::thread until it runs", [] { return StartMillis("threads"); });
  bench.Add("posix_spawn of /bin/true until its end", "ms", "", TrueMillis);
  bench.Add("process runner until RUNNING", "ms", "posix_spawn of /bin/true until its end", [] { return StartMillis("processes"); });
  return bench.Run(argc, argv);
}
