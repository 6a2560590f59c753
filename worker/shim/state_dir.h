#ifndef PUMA_WORKER_SHIM_STATE_DIR_H_
#define PUMA_WORKER_SHIM_STATE_DIR_H_
// The state directory: at most one shim at a time has it, and with it the right to start anything.
#include <memory>
#include <string>

#include "worker/platform/unique_fd.h"

namespace puma::shim {

class StateDir {
 public:
  // Makes the directory (0750) if it is missing and takes its lock. Null: `error` says what is wrong and what to do; `code` is what the
  // process should exit with (1: another shim has it; 78: the directory is not as it must be). Then nothing was touched.
  static std::unique_ptr<StateDir> Take(const std::string& path, std::string& error, int& code);
  // Random, kept in the directory: labels the processes that belong to it.
  const std::string& id() const { return id_; }
  // Removes what this object has made, if nothing else has come to depend on it.
  void Undo();

 private:
  std::string path_, id_;
  UniqueFd lock_;
  bool made_directory_ = false, made_id_ = false;
};

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_STATE_DIR_H_
