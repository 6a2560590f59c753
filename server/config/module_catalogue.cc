#include "server/config/module_catalogue.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/config/suggest.h"

namespace puma::server {
namespace {

namespace fs = std::filesystem;

absl::Status Unsafe(const std::string& path, const std::string& why, const std::string& command) {
  return absl::FailedPreconditionError(absl::StrCat(
      "module catalogue: ", path, " ", why, "; whoever can write there can run code in this host's tasks. Fix it: ", command, " ", path));
}

// Nobody but root and this user can write `path` itself.
absl::Status CheckOwned(const std::string& path, const struct stat& info) {
  if (info.st_mode & S_IWOTH) return Unsafe(path, "can be written by everyone", "chmod o-w");
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return Unsafe(path, absl::StrCat("belongs to another user (uid ", info.st_uid, ")"), absl::StrCat("chown ", geteuid()));
  }
  if ((info.st_mode & S_IWGRP) && info.st_gid != 0 && info.st_gid != getegid()) {
    return Unsafe(path, absl::StrCat("can be written by group ", info.st_gid), "chmod g-w");
  }
  return absl::OkStatus();
}

absl::Status CheckPath(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return absl::NotFoundError(absl::StrCat("module catalogue: ", path, ": ", std::strerror(errno)));
  return CheckOwned(path, info);
}

// Nobody can put another directory in the place of one of these. A sticky one (/tmp) protects what is in it.
absl::Status CheckAbove(const fs::path& directory) {
  for (fs::path path = directory.parent_path();; path = path.parent_path()) {
    struct stat info;
    if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) && !(info.st_mode & S_ISVTX)) {
      return Unsafe(path.string(), "can be written by everyone", "chmod o-w");
    }
    if (path == path.parent_path()) return absl::OkStatus();
  }
}

absl::StatusOr<std::string> CheckDirectory(const std::string& given) {
  std::error_code error;
  const fs::path path = fs::canonical(given, error);
  if (error) return absl::NotFoundError(absl::StrCat("module catalogue: ", given, ": ", error.message()));
  if (!fs::is_directory(path, error)) return absl::FailedPreconditionError(absl::StrCat("module catalogue: ", given, " is no directory"));
  if (absl::Status status = CheckPath(path.string()); !status.ok()) return status;
  if (absl::Status status = CheckAbove(path); !status.ok()) return status;
  return path.string();
}

std::vector<std::string> ModulesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool module = it->path().extension() == ".so" && IsIdentifier(it->path().stem().string()) && it->is_regular_file(ignored);
    if (module) names.push_back(it->path().stem().string());
  }
  return names;
}

}  // namespace

bool IsIdentifier(const std::string& name) {
  if (name.empty() || name.size() > 255 || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return (c < 0x80 && std::isalnum(c)) || c == '_'; });
}

absl::StatusOr<ModuleCatalogue> ModuleCatalogue::Open(std::vector<std::string> directories) {
  std::vector<std::string> checked;
  for (const std::string& given : directories) {
    absl::StatusOr<std::string> path = CheckDirectory(given);
    if (!path.ok()) return path.status();
    for (const std::string& name : ModulesIn(*path)) {
      if (absl::Status status = CheckPath(absl::StrCat(*path, "/", name, ".so")); !status.ok()) return status;
    }
    checked.push_back(*std::move(path));
  }
  return ModuleCatalogue(std::move(checked));
}

absl::StatusOr<std::string> ModuleCatalogue::Find(const std::string& name) const {
  if (!IsIdentifier(name)) return absl::InvalidArgumentError(absl::StrCat("module \"", name, "\": not a name; letters, digits and \"_\""));
  for (const std::string& directory : directories_) {
    const std::string path = absl::StrCat(directory, "/", name, ".so");
    absl::Status status = CheckPath(path);
    if (absl::IsNotFound(status)) continue;
    if (!status.ok()) return status;
    return path;
  }
  return absl::NotFoundError(absl::StrCat("module \"", name, "\": not in the host's catalogue", DidYouMean(name, List())));
}

std::vector<std::string> ModuleCatalogue::List() const {
  std::vector<std::string> names;
  for (const std::string& directory : directories_) {
    for (std::string& name : ModulesIn(directory)) {
      if (CheckPath(absl::StrCat(directory, "/", name, ".so")).ok()) names.push_back(std::move(name));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace puma::server
