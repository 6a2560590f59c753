#ifndef PUMA_SERVER_CONFIG_TRUSTED_PATH_H_
#define PUMA_SERVER_CONFIG_TRUSTED_PATH_H_
// What decides which code this host runs, and for whom, can be written by root and the host's own user only.
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace puma::server {

// Each message begins with `catalogue`, as "module catalogue", and holds the command that fixes it. FAILED_PRECONDITION: others can write.

// `path` itself, whose `info` is known.
absl::Status CheckTrusted(const std::string& catalogue, const std::string& path, const struct stat& info);
// The same. NOT_FOUND: nothing is known of it.
absl::Status CheckTrusted(const std::string& catalogue, const std::string& path);
// Nobody can put another file in the place of `path` or of a directory above it. A sticky one (/tmp) protects what is in it.
absl::Status CheckTrustedAbove(const std::string& catalogue, const std::filesystem::path& path);
// The text of a file, which its group can't write either; what is read is what was checked. INVALID_ARGUMENT: it is larger than 4 MiB.
absl::StatusOr<std::string> ReadTrusted(const std::string& catalogue, const std::string& path);

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_TRUSTED_PATH_H_
