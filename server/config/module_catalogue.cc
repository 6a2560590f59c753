#include "server/config/module_catalogue.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/config/suggest.h"
#include "server/config/trusted_path.h"

namespace puma::server {
namespace {

namespace fs = std::filesystem;

constexpr char kCatalogue[] = "module catalogue";

absl::Status CheckPath(const std::string& path) { return CheckTrusted(kCatalogue, path); }

absl::StatusOr<std::string> CheckDirectory(const std::string& given) {
  std::error_code error;
  const fs::path path = fs::canonical(given, error);
  if (error) return absl::NotFoundError(absl::StrCat("module catalogue: ", given, ": ", error.message()));
  if (!fs::is_directory(path, error)) return absl::FailedPreconditionError(absl::StrCat("module catalogue: ", given, " is no directory"));
  if (absl::Status status = CheckPath(path.string()); !status.ok()) return status;
  if (absl::Status status = CheckTrustedAbove(kCatalogue, path); !status.ok()) return status;
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
