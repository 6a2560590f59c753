#ifndef PUMA_WORKER_PROCESS_MODULE_LOADER_H_
#define PUMA_WORKER_PROCESS_MODULE_LOADER_H_
// Loads modules. Each once; they are never closed, since runnables, types of exceptions and thread-locals may outlive their task.
#include <puma/module.h>

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/platform/mutex.h"

namespace puma::process {

// Thread-safe.
class ModuleLoader {
 public:
  // NOT_FOUND: no such file. FAILED_PRECONDITION: it can't be loaded, has no PUMA_MODULE(name), or was built for another SDK.
  absl::StatusOr<const Module*> Load(const std::string& path, const std::string& name) PUMA_EXCLUDES(mutex_);
  // NOT_FOUND lists what there is.
  static absl::StatusOr<Module::Factory> Find(const Module& module, const std::string& module_name, const std::string& type);

 private:
  Mutex mutex_;
  std::map<std::string, std::unique_ptr<Module>> modules_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace puma::process
#endif  // PUMA_WORKER_PROCESS_MODULE_LOADER_H_
