#ifndef PUMA_WORKER_ENVIRONMENT_WIRE_H_
#define PUMA_WORKER_ENVIRONMENT_WIRE_H_
// The packets between a child process and the broker of the program that launched it.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/platform/seqpacket.h"
#include "worker/platform/unique_fd.h"

namespace puma::internal {

enum class PacketKind : uint32_t {
  // To the child.
  // numbers: range, offset, is a ChildMain, descriptors of the log; texts: name, object file, build id, levels of logs, arguments...;
  // fds: to the keeper, of the log, others
  kStart = 1,
  kReply,  // call; texts: error
  kSetGate,
  kRemoveGate,
  kAttach,
  kLaneLeft,
  kRoundOver,
  kInvalidate,
  kLevels,  // texts: levels of logs
  // To the broker.
  kFindBuffer = 32,
  kOpenPublisher,
  kPublisherCompleted,
  kClosePublisher,
  kOpenSubscription,
  kLaneDone,
  kDelivered,
  kCloseSubscription,
  kGranted,
  kCreateBuffer,
  kDestroyBuffer,
  kReserveSeat,
  kLeaveSeat,
  kNewParty,
  kKeepPage,
  kFindPage,
  kDropPage,
  // To who has started the child.
  kRunning = 64,
  kNews,   // look at what the child has written
  kEnded,  // the function has returned; texts: error
};

struct WirePacket {
  PacketKind kind{};
  uint64_t call = 0;  // what a kReply answers; 0: no answer is wanted
  std::array<uint64_t, 7> numbers{};
  std::vector<std::string> texts;
  std::vector<UniqueFd> fds;
};

// errno, as SendPacket; EMSGSIZE: too much text.
int SendWire(int socket, const WirePacket& packet);
absl::StatusOr<WirePacket> ReadWire(Packet packet);  // DATA_LOSS

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_WIRE_H_
