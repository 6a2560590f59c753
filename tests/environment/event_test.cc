// What a program sleeps on.
#include <thread>

#include "tests/environment/both_kinds.h"

namespace puma::testing {
namespace {

TEST(EventTest, ASetEndsOneWaitAlsoALaterOne) {
  Event event;
  event.Set();
  EXPECT_TRUE(event.Wait(kNoWait).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
  event.Set();
  event.Set();
  EXPECT_TRUE(event.Wait().ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
}

TEST(EventTest, AnotherThreadSetsIt) {
  Event event;
  for (int i = 0; i < 200; ++i) {
    std::thread setter([&] { event.Set(); });
    EXPECT_TRUE(event.Wait().ok());
    setter.join();
  }
}

TEST(EventTest, AWaitNeverEndsBeforeItsTime) {
  Event event;
  for (absl::Duration timeout :
       {absl::Nanoseconds(1), absl::Microseconds(1), absl::Milliseconds(14), absl::Milliseconds(18), absl::Milliseconds(300)}) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(timeout)));
    EXPECT_GE(absl::FromChrono(std::chrono::steady_clock::now() - begin), timeout);
  }
}

class EventOfBuffersTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(EventOfBuffersTest);

TEST_P(EventOfBuffersTest, ItCountsAsSetWhileSomethingIsLeftToTake) {
  auto numbers = env_->CreateBuffer<int>("numbers");
  Event event;
  auto subscription = numbers.Subscribe(event);
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(kNoWait)));
  EXPECT_TRUE(env_->Launch("publisher", &PublishInts, {"numbers", "1", "2", "leave"}).Join().ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(event.Wait(absl::Seconds(60)).ok());
    EXPECT_TRUE(*subscription.CallEvents([](const int&) {}));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(event.Wait(absl::Milliseconds(1))));
}

}  // namespace
}  // namespace puma::testing
