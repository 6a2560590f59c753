#ifndef PUMA_SERVER_ACCESS_SHA256_H_
#define PUMA_SERVER_ACCESS_SHA256_H_
#include <string>
#include <string_view>

namespace puma::server {

// The SHA-256 of `bytes` as 64 hexadecimal digits, as sha256sum prints it.
std::string Sha256Hex(std::string_view bytes);

}  // namespace puma::server
#endif  // PUMA_SERVER_ACCESS_SHA256_H_
