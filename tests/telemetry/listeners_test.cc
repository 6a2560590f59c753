#include "server/telemetry/listeners.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace puma::server {
namespace {

TEST(Listeners, AreCalledUntilTheirHandleIsGone) {
  Listeners listeners;
  int first = 0, second = 0;
  auto a = listeners.Add([&] { ++first; });
  auto b = listeners.Add([&] { ++second; });
  listeners.Notify();
  a.reset();
  listeners.Notify();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
}

TEST(Listeners, DoNotRunAnyMoreOnceTheirHandleIsGone) {
  Listeners listeners;
  std::atomic<bool> done = false;
  std::thread notifier([&] {
    while (!done) listeners.Notify();
  });
  for (int i = 0; i < 2000; ++i) {
    auto value = std::make_unique<std::atomic<int>>(0);
    auto handle = listeners.Add([&v = *value] { ++v; });
    handle.reset();  // what it captured may go now
  }
  done = true;
  notifier.join();
}

}  // namespace
}  // namespace puma::server
