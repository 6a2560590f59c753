#include "server/rpc/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace puma::server {
namespace {

absl::Status Errno(int error, const std::string& what) { return absl::ErrnoToStatus(error, what); }

absl::Status CheckDirectory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0750) == 0) return absl::OkStatus();
  if (errno == ENOENT) {
    return absl::NotFoundError(
        absl::StrCat("directory ", directory, " can't be made since its parent is missing; make it, or choose another socket"));
  }
  if (errno != EEXIST) return Errno(errno, absl::StrCat("can't make directory ", directory, " for the socket"));
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) return Errno(errno, absl::StrCat("can't look at directory ", directory));
  if (!S_ISDIR(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(directory, " is not a directory"));
  if ((info.st_mode & 0007) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("directory %s is open to other users (mode %04o); a host's socket must not be: chmod 0750 %s, or choose another one",
                      directory, info.st_mode & 07777, directory));
}

// 0: someone listens. Else the error of connect().
int Probe(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int error = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  close(fd);
  return error == EAGAIN ? 0 : error;  // a full backlog: someone listens, slowly
}

}  // namespace

absl::Status PrepareUnixSocket(const std::string& path) {
  if (path.empty() || path.front() != '/' || path.back() == '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("\"unix:", path, "\": the path of a socket must be absolute, as in unix:/run/puma/puma.sock"));
  }
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket path ", path, " is longer than ", sizeof(sockaddr_un::sun_path) - 1, " bytes; choose a shorter one"));
  }
  const size_t slash = path.rfind('/');
  if (absl::Status status = CheckDirectory(slash == 0 ? "/" : path.substr(0, slash)); !status.ok()) return status;

  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return errno == ENOENT ? absl::OkStatus() : Errno(errno, absl::StrCat("can't look at ", path));
  if (!S_ISSOCK(info.st_mode))
    return absl::AlreadyExistsError(absl::StrCat(path, " exists and is not a socket; remove it, or choose another socket"));
  const int error = Probe(path);
  if (error == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("socket ", path, " is in use by a living host; end that one first, or choose another socket"));
  }
  if (error != ECONNREFUSED && error != ENOENT) return Errno(error, absl::StrCat("can't find out whether socket ", path, " is in use"));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Errno(errno, absl::StrCat("can't remove the stale socket ", path));
  return absl::OkStatus();
}

absl::Status RestrictUnixSocket(const std::string& path) {
  if (chmod(path.c_str(), 0660) != 0) return Errno(errno, absl::StrCat("can't restrict socket ", path));
  return absl::OkStatus();
}

}  // namespace puma::server
