// Publishers and consumers that are killed at random under load: nothing is lost, nothing is from nowhere, the order is kept, what comes
// twice is marked, and afterwards nothing is left over. And the same storm over broken builds, which the checker must find.
//   PUMA_SEED=n repeats a storm (as far as the machine repeats itself); PUMA_KILLS=n makes it longer (a release: 10000).
#include "tests/runner/storm.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace puma::testing {
namespace {

using ::testing::IsEmpty;

uint64_t Number(const char* name, uint64_t otherwise) {
  const char* given = getenv(name);
  return given != nullptr ? std::stoull(given) : otherwise;
}

// What this process holds, and whom.
struct Holdings {
  std::vector<std::string> descriptors;  // what each is
  uint64_t segments = 0;                 // mapped
  bool children = false;
  bool operator==(const Holdings&) const = default;
};
Holdings Held() {
  Holdings held;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the iterator's own
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone && target.string().find("/proc/") == std::string::npos) held.descriptors.push_back(target);
  }
  std::sort(held.descriptors.begin(), held.descriptors.end());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) held.segments += line.find("memfd:") != std::string::npos;
  held.children = ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD;
  return held;
}
std::ostream& operator<<(std::ostream& out, const Holdings& held) {
  out << held.descriptors.size() << " descriptors (";
  for (const std::string& what : held.descriptors) out << what << " ";
  return out << "), " << held.segments << " segments, children: " << held.children;
}

TEST(KillStorm, LosesNothingAndLeavesNothing) {
  const uint64_t seed = Number("PUMA_SEED", std::random_device()()), kills = Number("PUMA_KILLS", PUMA_STORM_KILLS);
  printf("PUMA_SEED=%lu PUMA_KILLS=%lu\n", seed, kills);
  SCOPED_TRACE("PUMA_SEED=" + std::to_string(seed));
  const Holdings before = Held();
  {
    Storm storm({.task = PUMA_STORM_TASK, .seed = seed});
    storm.Kill(kills);
    EXPECT_THAT(storm.FinishAndCheck(), IsEmpty());
    printf("%lu kills, %lu messages handled, %lu of them again\n", storm.kills(), storm.messages(), storm.duplicates());
    EXPECT_GT(storm.messages(), kills);
    EXPECT_LE(storm.duplicates(), 2 * storm.kills());  // at most one for each lane that the dead consumer read
  }
  EXPECT_EQ(Held(), before);
}

#ifdef PUMA_STORM_MUTANTS
struct Mutant {
  const char* name;
  const char* program;
};
std::ostream& operator<<(std::ostream& out, const Mutant& mutant) { return out << mutant.name; }

class Mutants : public ::testing::TestWithParam<Mutant> {};
INSTANTIATE_TEST_SUITE_P(Broken, Mutants, ::testing::Values(PUMA_STORM_MUTANTS), [](const auto& info) { return info.param.name; });

TEST_P(Mutants, AreFound) {
  const uint64_t seed = Number("PUMA_SEED", std::random_device()());
  printf("PUMA_SEED=%lu\n", seed);
  std::vector<std::string> faults;
  for (uint64_t round = 0; faults.empty() && round < 50; ++round) {
    Storm storm({.task = GetParam().program, .seed = seed + round, .patience = std::chrono::milliseconds(1000)});
    storm.Kill(20);
    faults = storm.FinishAndCheck();
  }
  ASSERT_FALSE(faults.empty()) << "the checker sees nothing wrong with " << GetParam().name;
  printf("found: %s\n", faults[0].c_str());
}
#endif

}  // namespace
}  // namespace puma::testing
