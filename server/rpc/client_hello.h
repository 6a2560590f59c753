#ifndef PUMA_SERVER_RPC_CLIENT_HELLO_H_
#define PUMA_SERVER_RPC_CLIENT_HELLO_H_
// The first words of a TLS client (RFC 8446, 4.1.2 and 5.1). gRPC 1.51 would also speak TLS 1.2; who does not offer 1.3 is turned away
// before gRPC hears of it. Who offers it gets it: a server that knows 1.3 takes it, and TLS itself finds out who strips the offer.
#include <cstddef>
#include <span>

namespace puma::server {

enum class Hello {
  kUnfinished,  // there must be more to come
  kTls13,       // offers TLS 1.3
  kOlder,       // is a hello, and does not
  kNoHello,     // is none
};

// A hello has at most so many bytes, in records of any size.
inline constexpr size_t kMaxHelloBytes = 16 << 10;

// What the first bytes of a connection are. Reads nothing beyond them, whatever they say.
Hello ReadHello(std::span<const std::byte> bytes);

// What to answer to kOlder: the fatal alert protocol_version.
std::span<const std::byte> ProtocolVersionAlert();

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_CLIENT_HELLO_H_
