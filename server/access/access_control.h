#ifndef PUMA_SERVER_ACCESS_ACCESS_CONTROL_H_
#define PUMA_SERVER_ACCESS_ACCESS_CONTROL_H_
// The policy as it is now: what was changed in its file holds from the next call on.
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/access/access_policy.h"
#include "server/access/file_stamp.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe; Refresh from one thread.
class AccessControl {
 public:
  // "": no rules, so only root and the host's own user may do anything. FAILED_PRECONDITION: others can write the file. INVALID_ARGUMENT:
  // it is not right. NOT_FOUND.
  static absl::StatusOr<std::unique_ptr<AccessControl>> Open(const std::string& file);

  std::shared_ptr<const AccessPolicy> policy() const PUMA_EXCLUDES(mutex_);

  // Reads the file again if it has changed. Nothing: it has not. An error (as in Open): the rules stay as they were.
  std::optional<absl::Status> Refresh() PUMA_EXCLUDES(mutex_);

 private:
  explicit AccessControl(std::string file) : file_(std::move(file)) {}
  absl::Status Read() PUMA_EXCLUDES(mutex_);

  const std::string file_;
  FileStamp stamp_;  // of what was read last, or could not be
  mutable Mutex mutex_;
  std::shared_ptr<const AccessPolicy> policy_ PUMA_GUARDED_BY(mutex_) = std::make_shared<const AccessPolicy>(std::vector<Rule>{});
};

}  // namespace puma::server
#endif  // PUMA_SERVER_ACCESS_ACCESS_CONTROL_H_
