#include "server/access/access_control.h"

#include <utility>

#include "absl/memory/memory.h"
#include "server/config/trusted_path.h"

namespace puma::server {

absl::StatusOr<std::unique_ptr<AccessControl>> AccessControl::Open(const std::string& file) {
  auto control = absl::WrapUnique(new AccessControl(file));
  if (file.empty()) return control;
  if (absl::Status read = control->Read(); !read.ok()) return read;
  return control;
}

std::shared_ptr<const AccessPolicy> AccessControl::policy() const {
  MutexLock lock(mutex_);
  return policy_;
}

std::optional<absl::Status> AccessControl::Refresh() {
  if (file_.empty() || FileStamp::Of(file_) == stamp_) return std::nullopt;
  return Read();
}

absl::Status AccessControl::Read() {
  stamp_ = FileStamp::Of(file_);  // before reading: what is written meanwhile is read again
  absl::StatusOr<std::string> text = ReadTrusted("access file", file_);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<Rule>> rules = ParseRules(file_, *text);
  if (!rules.ok()) return rules.status();
  auto policy = std::make_shared<const AccessPolicy>(*std::move(rules));
  MutexLock lock(mutex_);
  policy_ = std::move(policy);
  return absl::OkStatus();
}

}  // namespace puma::server
