#include <unistd.h>

#include <limits>

#include "tests/primitives/waiting.h"

namespace puma::testing {
namespace {

class AtomicTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(AtomicTest);

struct Point {
  int16_t x, y;
  bool operator==(const Point&) const = default;
};

// {count}: adds to "count" in one step, and to "doubled" in two, under its lock.
absl::Status Add(Environment& environment, const std::vector<std::string>& arguments) {
  auto count = environment.OpenAtomic<int64_t>("count");
  auto other = environment.OpenAtomic<double>("other");
  for (int i = std::stoi(arguments[0]); i > 0; --i) {
    count.fetch_add(1);
    Locked held = other.Acquire();
    PUMA_RETURN_IF_ERROR(held.status());
    const double before = other.load();
    if (i % 16 == 0) std::this_thread::yield();
    other.store(before + 0.5);
  }
  return absl::OkStatus();
}
absl::Status SetThemAll(Environment& environment, const std::vector<std::string>&) {
  environment.OpenAtomic<bool>("flag").store(true);
  environment.OpenAtomic<double>("rate").store(2.5);
  environment.OpenAtomic<Point>("point").store({3, -4});
  return absl::OkStatus();
}
absl::Status DieWithIt(Environment& environment, const std::vector<std::string>&) {
  Locked held = environment.OpenAtomic<int>("count").Acquire();
  ::_exit(7);
}

TEST_P(AtomicTest, BothEndsSeeOneValueOfWhateverTypeOfEightBytes) {
  SharedBool flag = env_->CreateAtomic<bool>("flag");
  auto rate = env_->CreateAtomic<double>("rate", 1.5);
  auto point = env_->CreateAtomic<Point>("point", {1, 2});
  EXPECT_FALSE(flag.load());
  EXPECT_EQ(rate.load(), 1.5);
  EXPECT_EQ(point.load(), (Point{1, 2}));
  EXPECT_TRUE(env_->Launch("setter", &SetThemAll).Join().ok());
  EXPECT_TRUE(flag.load());
  EXPECT_EQ(rate.load(), 2.5);
  EXPECT_EQ(point.load(), (Point{3, -4}));
}

TEST_P(AtomicTest, ExchangesComparesAndAdds) {
  auto count = env_->CreateAtomic<int32_t>("count", 5);
  EXPECT_EQ(count.exchange(7), 5);
  int32_t expected = 6;
  EXPECT_FALSE(count.compare_exchange(expected, 8));
  EXPECT_EQ(expected, 7);
  EXPECT_TRUE(count.compare_exchange(expected, 8));
  EXPECT_EQ(count.fetch_add(-9), 8);
  EXPECT_EQ(count.load(), -1);
  count.store(std::numeric_limits<int32_t>::max());
  count.fetch_add(1);
  EXPECT_EQ(count.load(), std::numeric_limits<int32_t>::min());
  auto rate = env_->CreateAtomic<float>("rate", 0.5f);
  EXPECT_EQ(rate.fetch_add(0.25f), 0.5f);
  EXPECT_EQ(rate.load(), 0.75f);
}

TEST_P(AtomicTest, ALockGoesAroundReadingChangingAndWriting) {
  SharedInt count = env_->CreateAtomic<int64_t>("count");
  auto other = env_->CreateAtomic<double>("other");
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(env_->Launch("adder", &Add, {"100"}));
  EXPECT_TRUE(Add(*env_, {"100"}).ok());
  for (Job& job : jobs) EXPECT_TRUE(job.Join().ok());
  EXPECT_EQ(count.load(), 400);
  EXPECT_EQ(other.load(), 200);
}

TEST(AtomicDeathTest, ItsLockTellsThatItsHolderDied) {
  ProcessEnvironment env;
  auto count = env.CreateAtomic<int>("count");
  EXPECT_FALSE(env.Launch("holder", &DieWithIt).Join().ok());
  count.store(3);  // the cell asks nobody
  EXPECT_TRUE(absl::IsAborted(count.Acquire(kLong).status()));
  EXPECT_TRUE(count.Acquire(kLong).status().ok());
  EXPECT_EQ(count.load(), 3);
}

}  // namespace
}  // namespace puma::testing
