#include "worker/testing/fiber.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace puma::testing::internal {
namespace {

TEST(FiberTest, RunsInPiecesOnItsCallersThread) {
  std::vector<int> seen;
  Fiber* self = nullptr;
  Fiber fiber([&] {
    EXPECT_TRUE(self->inside());
    for (int i = 0; i < 3; ++i) {
      seen.push_back(i);
      self->Pause();
    }
  });
  self = &fiber;
  EXPECT_FALSE(fiber.inside());
  for (size_t i = 1; i <= 3; ++i) {
    fiber.Resume();
    EXPECT_EQ(seen.size(), i);
    EXPECT_FALSE(fiber.finished());
  }
  fiber.Resume();
  EXPECT_TRUE(fiber.finished());
}

TEST(FiberTest, BothSidesThrowAndCatchWhileTheOtherHandlesAnException) {
  Fiber* self = nullptr;
  std::string outside, inside;
  Fiber fiber([&] {
    try {
      throw std::runtime_error("inner");
    } catch (const std::exception&) {
      self->Pause();
      try {
        throw;  // still the one that is handled here
      } catch (const std::exception& e) {
        inside = e.what();
      }
    }
  });
  self = &fiber;
  try {
    throw std::runtime_error("outer");
  } catch (const std::exception&) {
    fiber.Resume();
    try {
      throw;
    } catch (const std::exception& e) {
      outside = e.what();
    }
    fiber.Resume();
  }
  EXPECT_EQ(inside, "inner");
  EXPECT_EQ(outside, "outer");
  EXPECT_TRUE(fiber.finished());
}

TEST(FiberTest, HasAStackAsLargeAsAThreads) {
  int sum = 0;
  Fiber fiber([&] {
    volatile char large[4 << 20];
    for (size_t i = 0; i < sizeof large; i += 4096) large[i] = 1;
    for (size_t i = 0; i < sizeof large; i += 4096) sum += large[i];
  });
  fiber.Resume();
  EXPECT_EQ(sum, 1024);
}

TEST(FiberTest, ManyTakeTurns) {
  constexpr int kFibers = 20, kTurns = 50;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<int> turns(kFibers);
  for (int f = 0; f < kFibers; ++f) {
    fibers.push_back(std::make_unique<Fiber>([&, f] {
      for (int i = 0; i < kTurns; ++i) {
        ++turns[f];
        fibers[f]->Pause();
      }
    }));
  }
  for (int i = 0; i <= kTurns; ++i) {
    for (auto& fiber : fibers) fiber->Resume();
  }
  for (int f = 0; f < kFibers; ++f) {
    EXPECT_EQ(turns[f], kTurns);
    EXPECT_TRUE(fibers[f]->finished());
  }
}

}  // namespace
}  // namespace puma::testing::internal
