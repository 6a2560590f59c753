#include "client/cli/diagnosis.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

using Verdict = Finding::Verdict;

std::string FirstLine(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

int64_t AvailableMemory(const std::string& file) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lld kB", &kilobytes) == 1) return kilobytes * 1024;
  }
  return -1;
}

}  // namespace

MachineFacts ReadMachine(const std::string& root) {
  MachineFacts facts;
  std::sscanf(FirstLine(root + "/proc/sys/kernel/osrelease").c_str(), "%d.%d", &facts.kernel_major, &facts.kernel_minor);
  if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.descriptors = limit.rlim_max;
  facts.memory_bytes = AvailableMemory(root + "/proc/meminfo");
  facts.clock = FirstLine(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  facts.governor = FirstLine(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  facts.processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return facts;
}

std::vector<Finding> JudgeMachine(const MachineFacts& facts) {
  constexpr uint64_t kDescriptors = 65536;
  constexpr int64_t kLittleMemory = int64_t{512} << 20;
  static const std::set<std::string> kFastClocks = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"};
  std::vector<Finding> findings;
  if (facts.kernel_major != 0) {
    const bool old = facts.kernel_major < 5 || (facts.kernel_major == 5 && facts.kernel_minor < 10);
    findings.push_back({old ? Verdict::kWrong : Verdict::kGood, "kernel", absl::StrCat(facts.kernel_major, ".", facts.kernel_minor),
                        old ? "PUMA needs Linux 5.10 or newer: pidfds, sealed memory, close_range" : ""});
  }
  const bool few = facts.descriptors < kDescriptors;
  findings.push_back({few ? Verdict::kBetter : Verdict::kGood, "descriptors", absl::StrCat(facts.descriptors, " (hard limit)"),
                      few ? "each worker and lane takes some: LimitNOFILE=1048576 in the host's unit, or ulimit -Hn" : ""});
  if (facts.memory_bytes >= 0) {
    const bool little = facts.memory_bytes < kLittleMemory;
    findings.push_back({little ? Verdict::kBetter : Verdict::kGood, "memory",
                        absl::StrCat(Bytes(static_cast<uint64_t>(facts.memory_bytes)), " available"),
                        little ? "buffers are allocated as a whole: smaller capacities, or more memory" : ""});
  }
  if (facts.processors > 0) {
    const bool one = facts.processors < 2;
    findings.push_back({one ? Verdict::kBetter : Verdict::kGood, "processors", absl::StrCat(facts.processors),
                        one ? "publisher and reader take turns on one: each message costs two switches" : ""});
  }
  if (!facts.clock.empty()) {
    const bool slow = !kFastClocks.contains(facts.clock);
    findings.push_back({slow ? Verdict::kBetter : Verdict::kGood, "clock", facts.clock,
                        slow ? "reading it is a system call, for each message: clocksource=tsc on the kernel's command line" : ""});
  }
  if (!facts.governor.empty()) {
    const bool slow = facts.governor == "powersave";
    findings.push_back({slow ? Verdict::kBetter : Verdict::kGood, "governor", facts.governor,
                        slow ? "latencies are higher while processors sleep deeply: cpupower frequency-set -g performance" : ""});
  }
  return findings;
}

std::vector<Finding> JudgeHost(const v1::Host& host, const std::string& own_version, int64_t disk_bytes_free) {
  constexpr int64_t kFullDisk = int64_t{64} << 20, kLittleDisk = int64_t{1} << 30;
  std::vector<Finding> findings;
  const bool other = host.version() != own_version;
  findings.push_back({other ? Verdict::kBetter : Verdict::kGood, "version", host.version(),
                      other ? absl::StrCat("puma-ctl is ", own_version, "; install the same version of both") : ""});
  const std::set<std::string> isolation(host.isolation().begin(), host.isolation().end());
  std::vector<std::string> missing;
  for (const char* feature : {"cgroup:kill", "cgroup:memory", "cgroup:cpu", "cgroup:pids"}) {
    if (!isolation.contains(feature)) missing.emplace_back(feature);
  }
  findings.push_back({missing.empty() ? Verdict::kGood : Verdict::kBetter, "isolation", absl::StrJoin(isolation, ", "),
                      missing.empty() ? ""
                                      : absl::StrCat("not in force: ", absl::StrJoin(missing, ", "),
                                                     "; give the host control groups: Delegate=yes in its unit")});
  if (disk_bytes_free >= 0) {
    const bool full = disk_bytes_free < kFullDisk, little = disk_bytes_free < kLittleDisk;
    findings.push_back({full     ? Verdict::kWrong
                        : little ? Verdict::kBetter
                                 : Verdict::kGood,
                        "disk", absl::StrCat(Bytes(static_cast<uint64_t>(disk_bytes_free)), " free in ", host.state_directory()),
                        little ? "journal and log need room there: what is changed is refused, what is logged is lost without" : ""});
  }
  return findings;
}

}  // namespace puma::client
