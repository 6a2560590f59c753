// A host for tests of the shim: hands its socket to the test over a Unix socket and then only lives, until it is killed or asked to end.
// hollow_host --serve SOCKET   or   hollow_host --serve exit CODE
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "worker/platform/seqpacket.h"
#include "worker/shim/protocol.h"

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[2], "exit") == 0) return std::atoi(argv[3]);
  if (argc != 3) return 2;
  const int to_test = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, argv[2], sizeof(address.sun_path) - 1);
  if (::connect(to_test, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return 3;
  const int pid = ::getpid();
  const int socket = puma::shim::kHostSocket;
  if (puma::SendPacket(to_test, std::as_bytes(std::span(&pid, 1)), std::span(&socket, 1)) != 0) return 4;
  while (true) ::pause();
}
