#include "server/supervisor/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "worker/platform/system.h"

namespace puma::server {
namespace {

TEST(EventLoop, RunsPostedWorkInOrderAndStops) {
  auto loop = *EventLoop::Create();
  std::vector<int> order;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) loop->Post([&order, i] { order.push_back(i); });
    loop->Stop();
  });
  loop->Run([] { return int64_t{0}; });
  poster.join();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(EventLoop, CallsWhoWatchesAReadableDescriptor) {
  auto loop = *EventLoop::Create();
  UniqueFd event(eventfd(1, EFD_CLOEXEC));
  loop->Watch(event.get(), [&] {
    loop->Unwatch(event.get());
    loop->Stop();
  });
  loop->Run([] { return int64_t{0}; });
}

TEST(EventLoop, IsIdleAgainWhenItsTimeHasCome) {
  auto loop = *EventLoop::Create();
  const int64_t due = BootNanos() + 20'000'000;
  loop->Run([&] {
    if (BootNanos() < due) return due;
    loop->Stop();
    return int64_t{0};
  });
  EXPECT_GE(BootNanos(), due);
}

}  // namespace
}  // namespace puma::server
