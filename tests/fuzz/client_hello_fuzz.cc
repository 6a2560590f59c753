// The first bytes of a TLS client that sends what it likes. What was read of a beginning does not change with what follows.
#include "server/rpc/client_hello.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using puma::server::Hello;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const Hello whole = puma::server::ReadHello(bytes);
  const Hello half = puma::server::ReadHello(bytes.first(size / 2));
  puma::fuzz::Must(half == Hello::kUnfinished || half == whole, "a hello that was read changed with what came later");
  return 0;
}
