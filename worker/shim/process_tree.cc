#include "worker/shim/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <set>

#include "worker/platform/system.h"
#include "worker/platform/unique_fd.h"

namespace puma::shim {
namespace {

constexpr int kStopPasses = 20;  // a tree that still grows after so many is killed as far as it was seen, and seen again at its orphans

std::string ReadAll(const std::string& path) {
  std::string text;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[4096];
  for (ssize_t n; file.valid() && (n = ::read(file.get(), buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(n));
  return text;
}

std::vector<int> NumbersIn(const std::string& directory) {
  std::vector<int> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = dir == nullptr ? nullptr : ::readdir(dir.get())) {
    if (const int number = std::atoi(entry->d_name); number > 0) numbers.push_back(number);
  }
  return numbers;
}

std::string ProcPath(int pid, const char* file) { return "/proc/" + std::to_string(pid) + "/" + file; }

// 0: there is no such process.
int ParentOf(int pid) {
  const std::string stat = ReadAll(ProcPath(pid, "stat"));
  const size_t name_end = stat.rfind(')');  // a name may have anything in it
  if (name_end == std::string::npos || name_end + 4 > stat.size()) return 0;
  return std::atoi(stat.c_str() + name_end + 4);
}

// Sends to `pid` if it is still the child of `parent`: a number may have been given to a stranger meanwhile.
bool SignalChild(int pid, int parent, int signal) {
  const UniqueFd pidfd = PidfdOpen(pid);
  return pidfd.valid() && ParentOf(pid) == parent && PidfdSendSignal(pidfd.get(), signal) == 0;
}

// A process in the middle of an exec has no environment for a moment: it is found at the second look.
constexpr int kCleanLooks = 2;
constexpr int kBetweenLooksUs = 2000;

struct Member {
  int pid;
  int parent;
};

void Descend(const Member& member, std::vector<Member>& members, std::set<int>& seen) {
  for (int child : ChildrenOf(member.pid)) {
    if (!seen.insert(child).second) continue;
    members.push_back({child, member.pid});
  }
}

bool IsAncestor(int pid) {
  for (int ancestor = ::getpid(); ancestor > 0; ancestor = ParentOf(ancestor)) {
    if (ancestor == pid) return true;
  }
  return false;
}

std::vector<int> FindLeftovers(std::string_view name, std::string_view value) {
  std::vector<int> found;
  for (int pid : NumbersIn("/proc")) {
    struct stat stat {};
    if (::stat(ProcPath(pid, "").c_str(), &stat) != 0 || stat.st_uid != ::geteuid()) continue;
    if (EnvironmentOf(pid, name) == value && !IsAncestor(pid)) found.push_back(pid);
  }
  return found;
}

}  // namespace

std::vector<int> ChildrenOf(int pid) {
  std::vector<int> children;
  for (int thread : NumbersIn(ProcPath(pid, "task"))) {
    const std::string text = ReadAll(ProcPath(pid, "task/") + std::to_string(thread) + "/children");
    const char* at = text.data();
    const char* end = at + text.size();
    for (int child; at < end; ++at) {
      const auto [next, error] = std::from_chars(at, end, child);
      if (error != std::errc()) break;
      children.push_back(child);
      at = next;
    }
  }
  return children;
}

std::string EnvironmentOf(int pid, std::string_view name) {
  const std::string environment = ReadAll(ProcPath(pid, "environ"));
  for (size_t at = 0; at < environment.size();) {
    const std::string_view entry(environment.c_str() + at);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return std::string(entry.substr(name.size() + 1));
    at += entry.size() + 1;
  }
  return "";
}

void EndTree(int pid) {
  std::vector<Member> members{{pid, ParentOf(pid)}};
  std::set<int> seen{pid};
  size_t stopped = 0;
  for (int pass = 0; pass < kStopPasses && stopped < members.size(); ++pass) {
    for (; stopped < members.size(); ++stopped) SignalChild(members[stopped].pid, members[stopped].parent, SIGSTOP);
    // Those that are stopped now may have forked before.
    for (size_t i = 0, count = members.size(); i < count; ++i) Descend(Member(members[i]), members, seen);
  }
  // Leaves first: so everybody's parent is still the one that was seen.
  for (auto member = members.rbegin(); member != members.rend(); ++member) SignalChild(member->pid, member->parent, SIGKILL);
}

bool EndLeftovers(std::string_view name, std::string_view value, int seconds, std::string& left) {
  const int64_t deadline = MonotonicNanos() + seconds * int64_t{1'000'000'000};
  std::vector<int> found;
  for (int clean = 0; clean < kCleanLooks;) {
    found = FindLeftovers(name, value);
    clean = found.empty() ? clean + 1 : 0;
    if (!found.empty() && MonotonicNanos() >= deadline) break;
    for (int pid : found) {
      const UniqueFd pidfd = PidfdOpen(pid);
      // Looked at again, now that the number can't change its owner unseen.
      if (!pidfd.valid() || EnvironmentOf(pid, name) != value) continue;
      PidfdSendSignal(pidfd.get(), SIGKILL);
      pollfd wait{pidfd.get(), POLLIN, 0};
      ::poll(&wait, 1, 1000);
    }
    if (found.empty()) ::usleep(kBetweenLooksUs);
  }
  left.clear();
  for (int pid : found) left += (left.empty() ? "" : ", ") + std::to_string(pid);
  return found.empty();
}

}  // namespace puma::shim
