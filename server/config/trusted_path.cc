#include "server/config/trusted_path.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace puma::server {
namespace {

absl::Status Unsafe(const std::string& catalogue, const std::string& path, const std::string& why, const std::string& command) {
  return absl::FailedPreconditionError(absl::StrCat(
      catalogue, ": ", path, " ", why, "; whoever can write there can run code in this host's tasks. Fix it: ", command, " ", path));
}

}  // namespace

absl::Status CheckTrusted(const std::string& catalogue, const std::string& path, const struct stat& info) {
  if (info.st_mode & S_IWOTH) return Unsafe(catalogue, path, "can be written by everyone", "chmod o-w");
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return Unsafe(catalogue, path, absl::StrCat("belongs to another user (uid ", info.st_uid, ")"), absl::StrCat("chown ", geteuid()));
  }
  if ((info.st_mode & S_IWGRP) && info.st_gid != 0 && info.st_gid != getegid()) {
    return Unsafe(catalogue, path, absl::StrCat("can be written by group ", info.st_gid), "chmod g-w");
  }
  return absl::OkStatus();
}

absl::Status CheckTrusted(const std::string& catalogue, const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(catalogue, ": ", path, ": ", std::strerror(errno)));
  }
  return CheckTrusted(catalogue, path, info);
}

absl::Status CheckTrustedAbove(const std::string& catalogue, const std::filesystem::path& below) {
  for (std::filesystem::path path = below.parent_path();; path = path.parent_path()) {
    struct stat info;
    if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) && !(info.st_mode & S_ISVTX)) {
      return Unsafe(catalogue, path.string(), "can be written by everyone", "chmod o-w");
    }
    if (path == path.parent_path()) return absl::OkStatus();
  }
}

}  // namespace puma::server
