#include "photo.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "file.h"
#include "jpeg_photo.h"
#include "png_photo.h"

namespace edges {

absl::StatusOr<std::unique_ptr<Photo>> Photo::Open(const std::string& path) {
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) return absl::NotFoundError(absl::StrCat("photograph ", path, ": ", std::strerror(errno)));
  unsigned char head[8] = {};
  const size_t got = std::fread(head, 1, sizeof(head), file.get());
  std::rewind(file.get());
  if (got >= 3 && head[0] == 0xFF && head[1] == 0xD8 && head[2] == 0xFF) return OpenJpeg(path, std::move(file));
  if (got == 8 && std::memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0) return PngPhoto::Open(path, std::move(file));
  return absl::InvalidArgumentError(absl::StrCat("photograph ", path, ": neither JPEG nor PNG"));
}

absl::StatusOr<std::vector<std::string>> ListPhotos(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string extension = absl::AsciiStrToLower(entry->path().extension().string());
    if (extension == ".jpg" || extension == ".jpeg" || extension == ".png") paths.push_back(entry->path().string());
  }
  if (error) return absl::NotFoundError(absl::StrCat("directory ", directory, ": ", error.message()));
  if (paths.empty()) return absl::NotFoundError(absl::StrCat("directory ", directory, " holds no .jpg, .jpeg or .png file"));
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace edges
