#ifndef PUMA_SERVER_CONFIG_MODULE_CATALOGUE_H_
#define PUMA_SERVER_CONFIG_MODULE_CATALOGUE_H_
// Which modules there are: clients name them, only the host's administrator decides which files that means.
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace puma::server {

// Thread-safe: it only looks at the file system.
class ModuleCatalogue {
 public:
  // Earlier directories win. NOT_FOUND: one does not exist. FAILED_PRECONDITION: one of them, a directory above it, or a module in it can
  // be written by others than root and this user; the message holds the chmod that fixes it.
  static absl::StatusOr<ModuleCatalogue> Open(std::vector<std::string> directories);

  // The absolute path of module `name`. INVALID_ARGUMENT: not a name. NOT_FOUND: with those that there are, the likeliest first.
  // FAILED_PRECONDITION: others may write the file by now.
  absl::StatusOr<std::string> Find(const std::string& name) const;
  // Names of all modules, sorted. What became unreadable or unsafe meanwhile is left out.
  std::vector<std::string> List() const;
  const std::vector<std::string>& directories() const { return directories_; }

 private:
  explicit ModuleCatalogue(std::vector<std::string> directories) : directories_(std::move(directories)) {}
  std::vector<std::string> directories_;
};

// A module's or type's name: letters, digits and "_", beginning with a letter or "_".
bool IsIdentifier(const std::string& name);

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_MODULE_CATALOGUE_H_
