#include "client/lib/probe.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace puma::client {
namespace {

// 0: someone listens there. Else an errno.
int ConnectOnce(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return EINVAL;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const int error = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  close(fd);
  return error == EAGAIN ? 0 : error;
}

std::string PathOf(const std::string& target) { return std::string(absl::StripPrefix(absl::StripPrefix(target, "unix:"), "//")); }
bool IsUnix(const std::string& target) { return absl::StartsWith(target, "unix:"); }

}  // namespace

std::string NoHost(const std::string& target) { return absl::StrCat("no host at ", target, "; start one with: puma-host"); }

absl::Status ProbeHost(const std::string& target) {
  if (target.empty()) return absl::InvalidArgumentError("no target given; it is unix:/path or address:port");
  if (!IsUnix(target)) return absl::OkStatus();
  switch (const int error = ConnectOnce(PathOf(target))) {
    case 0:
      return absl::OkStatus();
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return absl::UnavailableError(NoHost(target));
    case EINVAL:
      return absl::InvalidArgumentError(absl::StrCat("\"", target, "\" is not unix: and a path of at most 107 bytes"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat("no permission for the host at ", target, "; become a member of the group that the socket belongs to, or root"));
    default:
      return absl::UnavailableError(absl::StrCat("can't reach a host at ", target, ": ", std::strerror(error)));
  }
}

bool MayComeBack(const std::string& target) { return IsUnix(target) && ConnectOnce(PathOf(target)) == ECONNREFUSED; }

}  // namespace puma::client
