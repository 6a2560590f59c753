// puma-fake-host SOCKET: serves the API without any process behind it, until its standard input ends. For clients under development.
#include <cstdio>

#include "tests/rpc/fake_host.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: puma-fake-host SOCKET\n"), 2;
  puma::server::FakeHost host({}, argv[1]);
  std::printf("%s\n", host.target().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}
