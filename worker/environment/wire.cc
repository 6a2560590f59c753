#include "worker/environment/wire.h"

#include <cstring>
#include <span>
#include <utility>

namespace puma::internal {
namespace {

struct Head {
  uint32_t kind, texts;
  uint64_t call;
  std::array<uint64_t, 7> numbers;
};

}  // namespace

int SendWire(int socket, const WirePacket& packet) {
  const Head head{static_cast<uint32_t>(packet.kind), static_cast<uint32_t>(packet.texts.size()), packet.call, packet.numbers};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  for (const std::string& text : packet.texts) {
    const auto length = static_cast<uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += text;
  }
  std::vector<int> fds;
  fds.reserve(packet.fds.size());
  for (const UniqueFd& fd : packet.fds) fds.push_back(fd.get());
  return SendPacket(socket, std::as_bytes(std::span(bytes)), fds);
}

absl::StatusOr<WirePacket> ReadWire(Packet packet) {
  std::span<const std::byte> rest = packet.bytes;
  Head head;
  if (rest.size() < sizeof head) return absl::DataLossError("a packet without a head");
  std::memcpy(&head, rest.data(), sizeof head);
  rest = rest.subspan(sizeof head);
  WirePacket read;
  read.kind = static_cast<PacketKind>(head.kind);
  read.call = head.call;
  read.numbers = head.numbers;
  for (uint32_t i = 0; i < head.texts; ++i) {
    uint32_t length;
    if (rest.size() < sizeof length) return absl::DataLossError("a packet that ends within its texts");
    std::memcpy(&length, rest.data(), sizeof length);
    rest = rest.subspan(sizeof length);
    if (rest.size() < length) return absl::DataLossError("a packet that ends within a text");
    read.texts.emplace_back(reinterpret_cast<const char*>(rest.data()), length);
    rest = rest.subspan(length);
  }
  read.fds = std::move(packet.fds);
  return read;
}

}  // namespace puma::internal
