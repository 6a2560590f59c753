// Runnables that come and go: whatever one of them took, it gives back.
#include <malloc.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

size_t EntriesOf(const char* directory) {
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++entries;
  return entries;
}

size_t LinesOf(const char* file, std::string_view containing) {
  std::ifstream in(file);
  size_t lines = 0;
  for (std::string line; std::getline(in, line);) lines += line.find(containing) != std::string::npos ? 1 : 0;
  return lines;
}

size_t Children() {
  std::ifstream in("/proc/thread-self/children");
  size_t children = 0;
  for (std::string pid; in >> pid;) ++children;
  return children;
}

// What can be counted exactly.
struct Taken {
  size_t descriptors, threads, segments, children;
  bool operator<=(const Taken& other) const {
    return descriptors <= other.descriptors && threads <= other.threads && segments <= other.segments && children <= other.children;
  }
  friend void PrintTo(const Taken& taken, std::ostream* out) {
    *out << taken.descriptors << " descriptors, " << taken.threads << " threads, " << taken.segments << " mapped segments, "
         << taken.children << " children";
  }
};
Taken Now() { return {EntriesOf("/proc/self/fd"), EntriesOf("/proc/self/task"), LinesOf("/proc/self/maps", "memfd:"), Children()}; }

class SoakTest : public BothKinds {
 protected:
  // PUMA_SOAK: how many. The sanitizers take their time.
  static int Count() {
    if (const char* count = std::getenv("PUMA_SOAK")) return std::atoi(count);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 100;
#else
    return 10'000;
#endif
  }
  // Two that work together, through buffers of their own; every tenth fails, every tenth is stopped in the middle.
  void Pair(int i) {
    auto numbers = env_->CreateBuffer<int>("numbers");
    auto scaled = env_->CreateBuffer<int>("scaled");
    const char* end = i % 10 == 1 ? "fail" : i % 10 == 2 ? "wait" : "complete";
    auto counter = env_->CreateRunner<Counter>("counter", {.outputs = {{"numbers", numbers}}, .params = {{"end", end}}});
    auto scaler = env_->CreateRunner<Scaler>("scaler", {.inputs = {{"numbers", numbers}}, .outputs = {{"scaled", scaled}}});
    ASSERT_TRUE(counter.Start().ok());
    ASSERT_TRUE(scaler.Start().ok());
    Event event;
    auto subscription = scaled.Subscribe(event);
    std::vector<int> values;
    while (values.size() < 3) {
      ASSERT_TRUE(event.Wait(absl::Seconds(60)).ok());
      ASSERT_TRUE(subscription.Drain([&](const int& value) { values.push_back(value); }, [](const absl::Status&) {}).ok());
    }
    ASSERT_THAT(values, ::testing::ElementsAre(2, 4, 6));
    ASSERT_EQ(counter.Close().ok(), i % 10 != 1);
    (void)scaler.Close();  // completed by now, or stopped, or told of the counter's error
  }
};

TEST_P(SoakTest, RunnablesThatComeAndGoLeaveNothingBehind) {
  const int pairs = Count() / 2;
  for (int i = 0; i < 50; ++i) ASSERT_NO_FATAL_FAILURE(Pair(i));  // what is made once, and malloc's first arenas
  ASSERT_TRUE(Eventually([] { return Children() == 0; }));
  const Taken before = Now();  // at most what one pair more takes that is still on its way out
  const size_t heap_before = mallinfo2().uordblks;
  for (int i = 0; i < pairs; ++i) ASSERT_NO_FATAL_FAILURE(Pair(i)) << "pair " << i;
  EXPECT_TRUE(Eventually([&] { return Now() <= before; }))
      << ::testing::PrintToString(Now()) << "; allowed: " << ::testing::PrintToString(before);
  const size_t heap_after = mallinfo2().uordblks;
  RecordProperty("heap_growth", std::to_string(static_cast<int64_t>(heap_after) - static_cast<int64_t>(heap_before)));
  EXPECT_LE(heap_after, heap_before + (256 << 10) + static_cast<size_t>(pairs)) << "less than one byte for each";
}

PUMA_IN_BOTH_KINDS(SoakTest);

}  // namespace
}  // namespace puma::testing
