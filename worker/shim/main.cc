// puma-shim: the root process. Started by puma-host; starts puma-host --serve and all workers.
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>
#include <string>

#include "worker/shim/process_tree.h"
#include "worker/shim/shim.h"
#include "worker/shim/state_dir.h"

namespace {

constexpr int kUsage = 64;  // EX_USAGE
constexpr int kLeftoverSeconds = 10;
constexpr char kHelp[] =
    "usage: puma-shim --state-dir DIR --host PATH [--worker PATH] [--foreground-output] -- [host arguments]\n"
    "  --state-dir          held by one shim at a time; made if it is missing\n"
    "  --host               the puma-host to run as a server\n"
    "  --worker             the puma-worker to run; otherwise the one beside this program\n"
    "  --foreground-output  the host's stdout is this program's; otherwise it goes nowhere. stderr always is\n";

std::string BesideThisProgram(const char* name) {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof(path));
  const std::string self(path, n > 0 ? static_cast<size_t>(n) : 0);
  return self.substr(0, self.rfind('/') + 1) + name;
}

// False: not understood.
bool Parse(int argc, char** argv, std::string& state_dir, puma::shim::Settings& settings) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    std::string* value = argument == "--state-dir" ? &state_dir
                         : argument == "--host"    ? &settings.host
                         : argument == "--worker"  ? &settings.worker
                                                   : nullptr;
    if (argument == "--") {
      settings.host_arguments.assign(argv + i + 1, argv + argc);
      break;
    }
    if (value != nullptr && i + 1 < argc) {
      *value = argv[++i];
    } else if (argument == "--foreground-output") {
      settings.foreground_output = true;
    } else {
      return false;
    }
  }
  return !state_dir.empty() && !settings.host.empty();
}

}  // namespace

int main(int argc, char** argv) {
  std::string state_dir;
  puma::shim::Settings settings;
  if (!Parse(argc, argv, state_dir, settings)) return std::fputs(kHelp, stderr), kUsage;
  if (settings.worker.empty()) settings.worker = BesideThisProgram("puma-worker");
  puma::shim::PrepareDescriptors();
  std::string error;
  int code = 0;
  const auto dir = puma::shim::StateDir::Take(state_dir, error, code);
  if (dir == nullptr) return std::fprintf(stderr, "puma-shim: %s\n", error.c_str()), code;
  settings.state_id = dir->id();
  if (!puma::shim::EndLeftovers("PUMA_STATE", dir->id(), kLeftoverSeconds, error)) {
    std::fprintf(stderr, "puma-shim: processes of an earlier run can't be ended: %s\n", error.c_str());
    return 1;
  }
  puma::shim::Shim shim(std::move(settings));
  code = shim.Run();
  if (code != 0) dir->Undo();
  return code;
}
