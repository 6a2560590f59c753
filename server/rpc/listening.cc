#include "server/rpc/listening.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace puma::server {
namespace {

constexpr int kBacklog = 1024;
constexpr int kSocketFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

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

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// 0: someone listens. Else the error of connect().
int Probe(const std::string& path) {
  const UniqueFd socket(::socket(AF_UNIX, kSocketFlags, 0));
  if (!socket.valid()) return errno;
  const sockaddr_un address = UnixAddress(path);
  const int error = connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  return error == EAGAIN ? 0 : error;  // a full backlog: someone listens, slowly
}

// Makes room for a socket.
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

bool IsLoopback(const addrinfo& info) {
  if (info.ai_family == AF_INET) return ntohl(reinterpret_cast<const sockaddr_in*>(info.ai_addr)->sin_addr.s_addr) >> 24 == 127;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(info.ai_addr)->sin6_addr);
}

int PortOf(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

absl::StatusOr<Listening> ListenUnix(const std::string& path) {
  if (absl::Status status = PrepareUnixSocket(path); !status.ok()) return status;
  UniqueFd socket(::socket(AF_UNIX, kSocketFlags, 0));
  if (!socket.valid()) return Errno(errno, "a socket can't be made");
  const sockaddr_un address = UnixAddress(path);
  // The mode is right from the first moment on: nobody else can be quicker.
  if (fchmod(socket.get(), 0660) != 0) return Errno(errno, absl::StrCat("can't restrict socket ", path));
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return Errno(errno, absl::StrCat("can't make socket ", path));
  if (chmod(path.c_str(), 0660) != 0) return Errno(errno, absl::StrCat("can't restrict socket ", path));
  if (listen(socket.get(), kBacklog) != 0) return Errno(errno, absl::StrCat("can't listen on ", path));
  return Listening{std::move(socket), absl::StrCat("unix:", path)};
}

absl::StatusOr<Listening> ListenTcp(const std::string& address, bool loopback_only) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == address.npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535)
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not an address; give unix:/path or 127.0.0.1:port"));
  std::string name = address.substr(0, colon);
  if (name == "localhost") name = "127.0.0.1";
  const std::string host(absl::StripSuffix(absl::StripPrefix(name, "["), "]"));
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\": give the number of an address of this machine, as in 127.0.0.1:port"));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> info(found, freeaddrinfo);
  if (loopback_only && !IsLoopback(*info))
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\": without TLS a host listens on a Unix socket or on 127.0.0.1 only"));
  UniqueFd socket(::socket(info->ai_family, kSocketFlags, 0));
  if (!socket.valid()) return Errno(errno, "a socket can't be made");
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));  // no waiting for connections of the last host
  if (bind(socket.get(), info->ai_addr, info->ai_addrlen) != 0 || listen(socket.get(), kBacklog) != 0) {
    const int error = errno;
    const std::string what = absl::StrCat("can't listen on ", address);
    return error == EADDRINUSE ? absl::AlreadyExistsError(absl::StrCat(what, ": it is in use; choose another address"))
                               : Errno(error, what);
  }
  const std::string got = absl::StrCat(name, ":", PortOf(socket.get()));
  return Listening{std::move(socket), got};
}

}  // namespace puma::server
