#ifndef PUMA_SERVER_ACCESS_FILE_STAMP_H_
#define PUMA_SERVER_ACCESS_FILE_STAMP_H_
// Whether a file is still the one that was read.
#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace puma::server {

struct FileStamp {
  uint64_t device = 0, inode = 0;
  int64_t size = -1, modified = 0, changed = 0;  // bytes; nanoseconds
  bool operator==(const FileStamp&) const = default;

  // Of what the path leads to now; that of a missing file equals that of any other missing one.
  static FileStamp Of(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return {};
    auto nanos = [](const timespec& time) { return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec; };
    return {info.st_dev, info.st_ino, info.st_size, nanos(info.st_mtim), nanos(info.st_ctim)};
  }
};

}  // namespace puma::server
#endif  // PUMA_SERVER_ACCESS_FILE_STAMP_H_
