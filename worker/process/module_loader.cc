#include "worker/process/module_loader.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "worker/runnable/door.h"
#include "worker/runnable/runnable_core.h"

namespace puma::process {
namespace {

absl::StatusOr<std::unique_ptr<Module>> Open(const std::string& path, const std::string& name) {
  if (access(path.c_str(), R_OK) != 0) {
    const auto code = errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kFailedPrecondition;
    return absl::Status(code, fmt::format("module \"{}\": {}: {}", name, path, std::strerror(errno)));
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return absl::FailedPreconditionError(fmt::format("module \"{}\" can't be loaded: {}", name, dlerror()));
  const auto* abi = static_cast<const int*>(dlsym(library, ("puma_abi_" + name).c_str()));
  auto* list = reinterpret_cast<void (*)(Module&)>(dlsym(library, ("puma_module_" + name).c_str()));
  if (abi == nullptr || list == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("module \"{0}\": {1} has no PUMA_MODULE({0}): its name must be the module's and the file's", name, path));
  }
  if (*abi != kModuleAbi) {
    return absl::FailedPreconditionError(fmt::format(
        "module \"{}\": {} was built for version {} of the SDK, this worker has {}: build it anew", name, path, *abi, kModuleAbi));
  }
  auto module = std::make_unique<Module>();
  list(*module);
  return module;
}

}  // namespace

absl::StatusOr<const Module*> ModuleLoader::Load(const std::string& path, const std::string& name) {
  MutexLock lock(mutex_);
  const std::string key = name + "@" + path;
  if (auto at = modules_.find(key); at != modules_.end()) return at->second.get();
  // Its initialisers are user code.
  auto opened = internal::ThroughDoor([&] { return Open(path, name); });
  if (!opened.ok()) return opened.status();
  return modules_.emplace(key, *std::move(opened)).first->second.get();
}

absl::StatusOr<Module::Factory> ModuleLoader::Find(const Module& module, const std::string& module_name, const std::string& type) {
  std::vector<std::string> names;
  for (const auto& [name, factory] : module.types()) {
    if (name == type) return factory;
    names.push_back(name);
  }
  return absl::NotFoundError(fmt::format("module \"{}\": {}", module_name, internal::UnknownName("type", type, names)));
}

}  // namespace puma::process
