#include "server/config/trusted_path.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "worker/platform/unique_fd.h"

namespace puma::server {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;

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

absl::StatusOr<std::string> ReadTrusted(const std::string& catalogue, const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0)
    return absl::Status(absl::ErrnoToStatusCode(errno), absl::StrCat(catalogue, ": ", path, ": ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(catalogue, ": ", path, " is no file"));
  if (absl::Status trusted = CheckTrusted(catalogue, path, info); !trusted.ok()) return trusted;
  if (info.st_mode & S_IWGRP)
    return absl::FailedPreconditionError(absl::StrCat(
        catalogue, ": ", path, " can be written by its group; who is in there decides what tasks run. Fix it: chmod g-w ", path));
  if (absl::Status above = CheckTrustedAbove(catalogue, path); !above.ok()) return above;
  std::string text;
  char bytes[4096];
  for (ssize_t got; (got = ::read(file.get(), bytes, sizeof(bytes))) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::Status(absl::ErrnoToStatusCode(errno), absl::StrCat(catalogue, ": ", path, ": ", std::strerror(errno)));
    text.append(bytes, static_cast<size_t>(got));
    if (text.size() > kMaxFileBytes) return absl::InvalidArgumentError(absl::StrCat(path, ": larger than 4 MiB"));
  }
  return text;
}

}  // namespace puma::server
