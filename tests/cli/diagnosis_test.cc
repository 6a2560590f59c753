#include "client/cli/diagnosis.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace puma::client {
namespace {

using Verdict = Finding::Verdict;

Verdict VerdictOn(const std::vector<Finding>& findings, const std::string& subject) {
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.verdict == Verdict::kGood, finding.advice.empty()) << finding.subject << ": advice goes with what is not good";
  }
  for (const Finding& finding : findings) {
    if (finding.subject == subject) return finding.verdict;
  }
  ADD_FAILURE() << "nothing is said of " << subject;
  return Verdict::kGood;
}

constexpr int64_t kGiB = int64_t{1} << 30;

TEST(Diagnosis, OfAMachine) {
  const MachineFacts good{6, 1, 1 << 20, 8 * kGiB, "tsc", "performance", 8};
  for (const Finding& finding : JudgeMachine(good)) EXPECT_EQ(finding.verdict, Verdict::kGood) << finding.subject;
  const auto with = [&](auto MachineFacts::*fact, auto value) {
    MachineFacts facts = good;
    facts.*fact = value;
    return JudgeMachine(facts);
  };
  EXPECT_EQ(VerdictOn(with(&MachineFacts::kernel_major, 4), "kernel"), Verdict::kWrong);
  EXPECT_EQ(VerdictOn(with(&MachineFacts::descriptors, 1024), "descriptors"), Verdict::kBetter);
  EXPECT_EQ(VerdictOn(with(&MachineFacts::memory_bytes, 1 << 20), "memory"), Verdict::kBetter);
  EXPECT_EQ(VerdictOn(with(&MachineFacts::clock, "hpet"), "clock"), Verdict::kBetter);
  EXPECT_EQ(VerdictOn(with(&MachineFacts::governor, "powersave"), "governor"), Verdict::kBetter);
  EXPECT_EQ(VerdictOn(with(&MachineFacts::processors, 1), "processors"), Verdict::kBetter);
  MachineFacts older = good;
  older.kernel_major = 5;
  older.kernel_minor = 9;
  EXPECT_EQ(VerdictOn(JudgeMachine(older), "kernel"), Verdict::kWrong);
}

TEST(Diagnosis, ReadsTheMachine) {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("puma-doctor-" + std::to_string(getpid()));
  const auto write = [&](const fs::path& file, const std::string& text) {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  };
  write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
  write("proc/meminfo", "MemTotal: 100 kB\nMemAvailable:    42 kB\n");
  write("sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n");
  const MachineFacts facts = ReadMachine(root);
  fs::remove_all(root);
  EXPECT_EQ(facts.kernel_major, 6);
  EXPECT_EQ(facts.kernel_minor, 1);
  EXPECT_EQ(facts.memory_bytes, 42 * 1024);
  EXPECT_EQ(facts.clock, "acpi_pm");
  EXPECT_EQ(facts.governor, "");
  EXPECT_EQ(ReadMachine(root).memory_bytes, -1) << "it is gone";
}

TEST(Diagnosis, OfAHost) {
  v1::Host host;
  host.set_version("1.2.3");
  for (const char* feature : {"cgroup:kill", "cgroup:memory", "cgroup:cpu", "cgroup:pids"}) host.add_isolation(feature);
  for (const Finding& finding : JudgeHost(host, "1.2.3", 100 * kGiB)) EXPECT_EQ(finding.verdict, Verdict::kGood) << finding.subject;
  EXPECT_EQ(VerdictOn(JudgeHost(host, "1.2.4", -1), "version"), Verdict::kBetter);
  EXPECT_EQ(VerdictOn(JudgeHost(host, "1.2.3", kGiB / 2), "disk"), Verdict::kBetter);
  EXPECT_EQ(VerdictOn(JudgeHost(host, "1.2.3", 0), "disk"), Verdict::kWrong);
  host.clear_isolation();
  EXPECT_EQ(VerdictOn(JudgeHost(host, "1.2.3", -1), "isolation"), Verdict::kBetter);
}

}  // namespace
}  // namespace puma::client
