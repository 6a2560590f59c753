#include "worker/shim/state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace puma::shim {
namespace {

constexpr int kLocked = 1, kConfig = 78;  // EX_CONFIG
constexpr size_t kIdBytes = 16;

std::string ReadSmall(int fd) {
  char text[64];
  const ssize_t n = ::pread(fd, text, sizeof(text), 0);
  std::string read(text, n > 0 ? static_cast<size_t>(n) : 0);
  while (!read.empty() && read.back() == '\n') read.pop_back();
  return read;
}

bool WriteSmall(int fd, const std::string& text) {
  return ::ftruncate(fd, 0) == 0 && ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::string RandomId() {
  unsigned char bytes[kIdBytes];
  if (::getrandom(bytes, sizeof(bytes), 0) != static_cast<ssize_t>(sizeof(bytes))) return "";
  std::string id;
  for (unsigned char byte : bytes) {
    for (int nibble : {byte >> 4, byte & 15}) id += "0123456789abcdef"[nibble];
  }
  return id;
}

std::string DirectoryFault(const std::string& path) {
  struct stat stat {};
  if (::stat(path.c_str(), &stat) != 0) return std::strerror(errno);
  if (!S_ISDIR(stat.st_mode)) return "not a directory";
  if (stat.st_uid != ::geteuid()) return "belongs to another user";
  if ((stat.st_mode & 0027) != 0) return "others can write or read it; run: chmod 750 " + path;
  if (::access(path.c_str(), W_OK | X_OK) != 0) return std::strerror(errno);
  return "";
}

// An open, locked file that still has its name; or why not.
UniqueFd Lock(const std::string& path, std::string& error, int& code) {
  while (true) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (!file.valid()) return error = "state directory: " + path + ": " + std::strerror(errno), code = kConfig, UniqueFd();
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      error = "state directory: " + path + " is held by another puma-shim, process " + ReadSmall(file.get()) +
              "; stop it, or use another directory";
      return code = kLocked, UniqueFd();
    }
    struct stat opened {
    }, named{};
    if (::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino) return file;
  }  // its former owner removed it while we came
}

}  // namespace

std::unique_ptr<StateDir> StateDir::Take(const std::string& path, std::string& error, int& code) {
  auto dir = std::make_unique<StateDir>();
  dir->path_ = path;
  dir->made_directory_ = ::mkdir(path.c_str(), 0750) == 0;
  code = kConfig;
  if (const std::string fault = DirectoryFault(path); !fault.empty()) return error = "state directory: " + path + ": " + fault, nullptr;
  dir->lock_ = Lock(path + "/lock", error, code);
  if (!dir->lock_.valid()) return nullptr;
  if (!WriteSmall(dir->lock_.get(), std::to_string(::getpid()) + "\n")) {
    return error = "state directory: " + path + "/lock: " + std::strerror(errno), code = kConfig, nullptr;
  }
  const UniqueFd id(::open((path + "/id").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  dir->id_ = id.valid() ? ReadSmall(id.get()) : "";
  if (dir->id_.size() != 2 * kIdBytes) {
    dir->made_id_ = true;
    dir->id_ = RandomId();
    if (!id.valid() || !WriteSmall(id.get(), dir->id_ + "\n")) {
      return error = "state directory: " + path + "/id: " + std::strerror(errno), code = kConfig, nullptr;
    }
  }
  return dir;
}

void StateDir::Undo() {
  if (!made_id_) return;
  ::unlink((path_ + "/id").c_str());
  ::unlink((path_ + "/lock").c_str());
  if (made_directory_) ::rmdir(path_.c_str());
}

}  // namespace puma::shim
