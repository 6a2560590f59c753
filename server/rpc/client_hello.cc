#include "server/rpc/client_hello.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace puma::server {
namespace {

constexpr uint8_t kHandshake = 22, kClientHello = 1;
constexpr uint16_t kTls13 = 0x0304, kSupportedVersions = 43;
constexpr size_t kMaxRecordBytes = 16 << 10;

// Takes big-endian numbers and blocks from the front. What is too short leaves nothing, and says so.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> rest) : rest_(rest) {}
  size_t size() const { return rest_.size(); }

  std::optional<uint32_t> Number(size_t bytes) {
    if (rest_.size() < bytes) return std::nullopt;
    uint32_t number = 0;
    for (size_t i = 0; i < bytes; ++i) number = number << 8 | static_cast<uint8_t>(rest_[i]);
    rest_ = rest_.subspan(bytes);
    return number;
  }
  std::optional<Bytes> Block(size_t bytes) {
    if (rest_.size() < bytes) return std::nullopt;
    const Bytes block(rest_.first(bytes));
    rest_ = rest_.subspan(bytes);
    return block;
  }
  // A block that begins with its length.
  std::optional<Bytes> Counted(size_t length_bytes) {
    const std::optional<uint32_t> length = Number(length_bytes);
    return length ? Block(*length) : std::nullopt;
  }
  std::span<const std::byte> all() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

bool Offers13(Bytes hello) {
  // Version and random, session, ciphers, compressions: of no interest.
  if (!hello.Block(2 + 32) || !hello.Counted(1) || !hello.Counted(2) || !hello.Counted(1)) return false;
  std::optional<Bytes> extensions = hello.Counted(2);
  while (extensions && extensions->size() != 0) {
    const std::optional<uint32_t> type = extensions->Number(2);
    std::optional<Bytes> body = extensions->Counted(2);
    if (!type || !body) return false;
    if (*type != kSupportedVersions) continue;
    std::optional<Bytes> versions = body->Counted(1);
    while (versions) {
      const std::optional<uint32_t> version = versions->Number(2);
      if (!version) return false;
      if (*version == kTls13) return true;
    }
    return false;
  }
  return false;
}

}  // namespace

Hello ReadHello(std::span<const std::byte> bytes) {
  std::vector<std::byte> handshake;  // what the records hold
  Bytes stream(bytes);
  bool whole_record = true;
  while (whole_record && stream.size() != 0) {
    const std::optional<uint32_t> type = stream.Number(1);
    if (*type != kHandshake) return Hello::kNoHello;
    const std::optional<uint32_t> major = stream.Number(1);
    if (major && *major != 3) return Hello::kNoHello;
    const std::optional<uint32_t> minor = stream.Number(1), length = stream.Number(2);
    if (!minor || !length) break;
    if (*length == 0 || *length > kMaxRecordBytes) return Hello::kNoHello;
    whole_record = stream.size() >= *length;
    const Bytes part = *stream.Block(whole_record ? *length : stream.size());
    handshake.insert(handshake.end(), part.all().begin(), part.all().end());
    if (handshake.size() >= 4 && whole_record) {
      Bytes message{handshake};
      if (*message.Number(1) != kClientHello) return Hello::kNoHello;
      const uint32_t size = *message.Number(3);
      if (size > kMaxHelloBytes) return Hello::kNoHello;
      if (const std::optional<Bytes> hello = message.Block(size)) return Offers13(*hello) ? Hello::kTls13 : Hello::kOlder;
    }
  }
  return bytes.size() >= kMaxHelloBytes ? Hello::kNoHello : Hello::kUnfinished;
}

std::span<const std::byte> ProtocolVersionAlert() {
  static constexpr std::byte kAlert[] = {std::byte{21}, std::byte{3}, std::byte{3}, std::byte{0},
                                         std::byte{2},  std::byte{2}, std::byte{70}};
  return kAlert;
}

}  // namespace puma::server
