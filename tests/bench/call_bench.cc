// Calls there and back: commands of runnables, facades, references, jobs; beside a raw futex there and back.
#include <linux/futex.h>
#include <puma/parallel.h>
#include <puma/proxy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "tests/bench/bench.h"

namespace puma::bench {

class Counter {
 public:
  virtual ~Counter() = default;
  int Next() { return ++count_; }

 private:
  int count_ = 0;
};

}  // namespace puma::bench

template <>
struct puma::Interface<puma::bench::Counter> {
  static void Describe(puma::Methods<puma::bench::Counter>& methods) { methods.Add("next", &puma::bench::Counter::Next); }
};

namespace puma::bench {
namespace {

constexpr int kCalls = 5'000;
constexpr const char* kFutex = "futex there and back, two cores";
constexpr const char* kFutexOneCore = "futex there and back, one core";

template <class F>
double MicrosecondsEach(int count, F&& call) {
  const double start = NowSeconds();
  for (int i = 0; i < count; ++i) call();
  return (NowSeconds() - start) / count * 1e6;
}

double FutexRoundTrip(unsigned echo_core) {
  alignas(128) std::atomic<uint32_t> there{0};
  alignas(128) std::atomic<uint32_t> back{0};
  const auto pass = [](std::atomic<uint32_t>& word, uint32_t value) {
    word.store(value, std::memory_order_release);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  };
  const auto await = [](std::atomic<uint32_t>& word, uint32_t value) {
    while (word.load(std::memory_order_acquire) != value) ::syscall(SYS_futex, &word, FUTEX_WAIT, value - 1, nullptr, nullptr, 0);
  };
  std::jthread echo([&] {
    PinTo(echo_core);
    for (uint32_t i = 1; i <= kCalls; ++i) {
      await(there, i);
      pass(back, i);
    }
  });
  uint32_t i = 0;
  return MicrosecondsEach(kCalls, [&] {
    pass(there, ++i);
    await(back, i);
  });
}

// What it starts, threads and processes, stays there too: nothing is gained by spinning.
double OnFirstCore(const std::function<double()>& measure) {
  double value = 0;
  std::thread([&] {
    PinTo(0);
    value = measure();
  }).join();
  return value;
}

class Server : public Runnable {
 public:
  explicit Server(Setup& setup) {
    setup.Command("next", &Server::Next);
    setup.Command("counter", &Server::Own);
  }
  int Next() { return counter_.Next(); }
  Counter& Own() { return counter_; }

 private:
  Counter counter_;
};

// Calls a facade from where it runs.
class Caller : public Runnable {
 public:
  explicit Caller(Setup& setup) : counter_(setup.UseFacade<Counter>("counter")) { setup.Command("measure", &Caller::Measure); }
  double Measure() {
    return MicrosecondsEach(kCalls, [&] { PUMA_CHECK_OK(counter_.Call(&Counter::Next).status()); });
  }

 private:
  Facade<Counter> counter_;
};

double Commands(const char* kind) {
  auto env = CreateEnvironment(kind);
  auto server = env->CreateRunner<Server>("server");
  PUMA_CHECK_OK(server.StartBlocking());
  return MicrosecondsEach(kCalls, [&] { PUMA_CHECK_OK(server.Call(&Server::Next).status()); });
}

double References(const char* kind) {
  auto env = CreateEnvironment(kind);
  auto server = env->CreateRunner<Server>("server");
  PUMA_CHECK_OK(server.StartBlocking());
  auto counter = server.Call(&Server::Own);
  PUMA_CHECK_OK(counter.status());
  return MicrosecondsEach(kCalls, [&] { PUMA_CHECK_OK(counter->Call(&Counter::Next).status()); });
}

double Facades(const char* kind) {
  auto env = CreateEnvironment(kind);
  Counter object;
  Proxy<Counter> proxy(*env, "counter", object);
  auto caller = env->CreateRunner<Caller>("caller", {.facades = {{"counter", proxy.facade()}}});
  PUMA_CHECK_OK(caller.StartBlocking());
  return *caller.CallWithin(kInfinite, &Caller::Measure);
}

double Jobs(const char* kind) {
  auto env = CreateEnvironment(kind);
  Executor executor(*env, 1);
  PUMA_CHECK_OK(executor.Submit([](int n) { return n; }, 0).Get().status());  // the worker is there
  return MicrosecondsEach(kCalls, [&] { PUMA_CHECK_OK(executor.Submit([](int n) { return n; }, 1).Get().status()); });
}

}  // namespace
}  // namespace puma::bench

int main(int argc, char** argv) {
  using namespace puma::bench;  // NOLINT(google-build-using-namespace): this program's own
  puma::Init(argc, argv);
  Bench bench;
  bench.Add(kFutex, "us", "", [] { return OnFirstCore([] { return FutexRoundTrip(1); }); });
  bench.Add(kFutexOneCore, "us", "", [] { return OnFirstCore([] { return FutexRoundTrip(0); }); });
  for (const char* kind : {"threads", "processes"}) {
    const auto add = [&](const std::string& name, double (*measure)(const char* kind)) {
      bench.Add(name + ", " + kind, "us", kFutex, [=] { return measure(kind); });
      bench.Add(name + ", " + kind + ", one core", "us", kFutexOneCore, [=] { return OnFirstCore([=] { return measure(kind); }); });
    };
    add("command of a runnable", Commands);
    add("method of a reference", References);
    add("method of a facade", Facades);
    add("job of an executor", Jobs);
  }
  return bench.Run(argc, argv);
}
