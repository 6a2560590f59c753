#include "worker/shim/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

namespace puma::shim {
namespace {

constexpr char kOwnLeaf[] = "/host";  // the shim and the host, when they had to make room
constexpr uint64_t kCpuPeriodUs = 100'000;
constexpr int kKillPasses = 100, kBetweenPassesUs = 10'000;

constexpr struct {
  const char* name;
  uint32_t feature;
} kControllers[] = {{"pids", kFeatureCgroupPids}, {"memory", kFeatureCgroupMemory}, {"cpu", kFeatureCgroupCpu}};

int Write(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

// The number behind a word: "populated 0", "oom_kill 3".
uint64_t NumberOf(const std::string& path, std::string_view word) {
  std::ifstream file(path);
  std::string key;
  uint64_t number = 0;
  while (file >> key >> number) {
    if (key == word) return number;
  }
  return 0;
}

std::set<std::string> Words(std::istream& from, char separator) {
  std::set<std::string> words;
  for (std::string word; std::getline(from, word, separator);) {
    if (!word.empty() && word.back() == '\n') word.pop_back();
    if (!word.empty()) words.insert(word);
  }
  return words;
}
std::set<std::string> Split(const std::string& text, char separator) {
  std::istringstream stream(text);
  return Words(stream, separator);
}

// A mounted hierarchy: where, which part of it, v1's controllers or cgroup2.
struct Mount {
  std::string point, root;
  bool unified = false;
  std::set<std::string> options;
};
std::vector<Mount> Mounts() {
  std::vector<Mount> mounts;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string skip, type, source, options;
    Mount mount;
    fields >> skip >> skip >> skip >> mount.root >> mount.point;
    while (fields >> skip && skip != "-") {
    }
    fields >> type >> source >> options;
    if (type != "cgroup" && type != "cgroup2") continue;
    mount.unified = type == "cgroup2";
    mount.options = Split(options, ',');
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// The directory of the group that we are in: /proc/self/cgroup has a line "number:controllers:path" for each hierarchy. "": not visible.
std::string OwnGroup(const Mount& mount, const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (mount.unified ? !controllers.empty() : !Split(controllers, ',').contains(controller)) continue;
    std::string path = line.substr(second + 1);
    if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
    std::string directory = mount.point + (path == "/" ? "" : path);
    return ::access((directory + "/cgroup.procs").c_str(), W_OK) == 0 ? directory : "";
  }
  return "";
}

// systemd marks what it has handed over; the root of what we see (a container's) is nobody else's either.
bool Delegated(const std::string& directory, const Mount& mount) {
  if (directory == mount.point) return true;
  for (const char* mark : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::getxattr(directory.c_str(), mark, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

std::vector<std::string> Below(const std::string& directory) {
  std::vector<std::string> groups;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = dir == nullptr ? nullptr : ::readdir(dir.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') groups.push_back(directory + "/" + entry->d_name);
  }
  return groups;
}

void RemoveTree(const std::string& directory) {
  for (const std::string& group : Below(directory)) RemoveTree(group);
  ::rmdir(directory.c_str());
}

// What an earlier shim left: killed where that is possible, then removed.
void Clear(const std::string& base) {
  for (const std::string& group : Below(base)) {
    for (int pass = 0; pass < kKillPasses && Write(group + "/cgroup.kill", "1") == 0; ++pass) {
      if (NumberOf(group + "/cgroup.events", "populated") == 0) break;
      ::usleep(kBetweenPassesUs);
    }
  }
  RemoveTree(base);
}

std::string Join(const std::set<std::string>& controllers, char sign) {
  std::string text;
  for (const std::string& name : controllers) text += std::string(text.empty() ? "" : " ") + sign + name;
  return text;
}

}  // namespace

Cgroups Cgroups::Take(const std::string& id) {
  Cgroups taken;
  const std::vector<Mount> mounts = Mounts();
  for (const Mount& mount : mounts) {
    const std::string parent = mount.unified ? OwnGroup(mount, "") : "";
    if (parent.empty() || !Delegated(parent, mount)) continue;
    taken.TakeUnified({parent, parent + "/puma-" + id, 0, true, false});
    break;
  }
  for (const auto& [controller, feature] : kControllers) {
    if ((taken.features_ & feature) != 0) continue;
    for (const Mount& mount : mounts) {
      const std::string parent = !mount.unified && mount.options.contains(controller) ? OwnGroup(mount, controller) : "";
      if (parent.empty()) continue;
      const std::string base = parent + "/puma-" + id;
      Clear(base);
      if (::mkdir(base.c_str(), 0755) != 0) continue;
      taken.hierarchies_.push_back({parent, base, feature, false, false});
      taken.features_ |= feature;
      break;
    }
  }
  return taken;
}

// Controllers are for groups whose parent holds no process: we make room by moving into a leaf of our own. Who else is there keeps them
// off.
void Cgroups::TakeUnified(Hierarchy hierarchy) {
  Clear(hierarchy.base);
  if (::mkdir(hierarchy.base.c_str(), 0755) != 0) return;
  if (::access((hierarchy.base + "/cgroup.kill").c_str(), W_OK) == 0) hierarchy.features = kFeatureCgroupKill;  // since Linux 5.14
  std::ifstream file(hierarchy.parent + "/cgroup.controllers");
  const std::set<std::string> offered = Words(file, ' ');
  std::set<std::string> wanted;
  uint32_t features = 0;
  for (const auto& [controller, feature] : kControllers) {
    if (!offered.contains(controller)) continue;
    wanted.insert(controller);
    features |= feature;
  }
  if (!wanted.empty()) {
    const std::string leaf = hierarchy.base + kOwnLeaf;
    hierarchy.moved = ::mkdir(leaf.c_str(), 0755) == 0 && Write(leaf + "/cgroup.procs", "0") == 0;
    const std::string on = Join(wanted, '+');
    if (Write(hierarchy.parent + "/cgroup.subtree_control", on) == 0 && Write(hierarchy.base + "/cgroup.subtree_control", on) == 0)
      hierarchy.features |= features;
  }
  features_ |= hierarchy.features;
  hierarchies_.push_back(std::move(hierarchy));
}

Cgroups::~Cgroups() {
  for (const Hierarchy& hierarchy : hierarchies_) {
    if (hierarchy.moved) {  // best effort: what stays behind is empty, and cleared by the next shim
      for (const auto& [controller, feature] : kControllers) {
        Write(hierarchy.base + "/cgroup.subtree_control", std::string("-") + controller);
        Write(hierarchy.parent + "/cgroup.subtree_control", std::string("-") + controller);
      }
      Write(hierarchy.parent + "/cgroup.procs", "0");
    }
    RemoveTree(hierarchy.base);
  }
}

const Cgroups::Hierarchy* Cgroups::With(uint32_t feature) const {
  for (const Hierarchy& hierarchy : hierarchies_) {
    if ((hierarchy.features & feature) != 0) return &hierarchy;
  }
  return nullptr;
}

void Cgroups::TakeOver(Limits& limits) const {
  if ((features_ & kFeatureCgroupPids) != 0) limits.processes = 0;
  if ((features_ & kFeatureCgroupMemory) != 0) limits.address_space_bytes = 0;
  if ((features_ & kFeatureCgroupCpu) != 0) limits.cpu_milli = 0;
}

int Cgroups::Make(std::string_view run, const Limits& limits, UniqueFd& home, std::vector<UniqueFd>& doors) {
  const uint32_t limited = (limits.processes != 0 ? kFeatureCgroupPids : 0) | (limits.address_space_bytes != 0 ? kFeatureCgroupMemory : 0) |
                           (limits.cpu_milli != 0 ? kFeatureCgroupCpu : 0);
  for (const Hierarchy& hierarchy : hierarchies_) {
    if (!hierarchy.unified && (hierarchy.features & limited) == 0) continue;  // a group costs a start its time
    const std::string group = hierarchy.base + "/" + std::string(run);
    if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST) return errno;
    const auto set = [&](uint32_t feature, uint64_t limit, const char* file, const std::string& text) {
      return limit == 0 || (hierarchy.features & feature) == 0 ? 0 : Write(group + file, text);
    };
    const std::string quota = std::to_string(limits.cpu_milli * kCpuPeriodUs / 1000);
    int error = set(kFeatureCgroupPids, limits.processes, "/pids.max", std::to_string(limits.processes));
    if (error == 0) {
      error = set(kFeatureCgroupMemory, limits.address_space_bytes, hierarchy.unified ? "/memory.max" : "/memory.limit_in_bytes",
                  std::to_string(limits.address_space_bytes));
    }
    if (error == 0) {
      error = set(kFeatureCgroupCpu, limits.cpu_milli, hierarchy.unified ? "/cpu.max" : "/cpu.cfs_quota_us",
                  hierarchy.unified ? quota + " " + std::to_string(kCpuPeriodUs) : quota);
    }
    if (error != 0) return error;
    if (hierarchy.unified) {
      home.reset(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!home.valid()) return errno;
    } else {
      doors.emplace_back(::open((group + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
      if (!doors.back().valid()) return errno;
    }
  }
  return 0;
}

void Cgroups::Kill(std::string_view run) const {
  if (const Hierarchy* unified = With(kFeatureCgroupKill)) Write(unified->base + "/" + std::string(run) + "/cgroup.kill", "1");
}

bool Cgroups::Empty(std::string_view run) const {
  const Hierarchy* unified = With(kFeatureCgroupKill);
  return unified == nullptr || NumberOf(unified->base + "/" + std::string(run) + "/cgroup.events", "populated") == 0;
}

bool Cgroups::OutOfMemory(std::string_view run) const {
  const Hierarchy* memory = With(kFeatureCgroupMemory);
  if (memory == nullptr) return false;
  return NumberOf(memory->base + "/" + std::string(run) + (memory->unified ? "/memory.events" : "/memory.oom_control"), "oom_kill") != 0;
}

void Cgroups::Remove(std::string_view run) const {
  for (const Hierarchy& hierarchy : hierarchies_) RemoveTree(hierarchy.base + "/" + std::string(run));
}

}  // namespace puma::shim
