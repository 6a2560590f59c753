#ifndef PUMA_WORKER_ENVIRONMENT_ORDERS_H_
#define PUMA_WORKER_ENVIRONMENT_ORDERS_H_
// What a buffer's keeper and the processes that use it say to each other. Within the keeper's own process these are calls.
#include <puma/environment.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/platform/unique_fd.h"
#include "worker/primitives/page.h"

namespace puma::internal {

// What every user of a buffer knows.
struct BufferFacts {
  uint64_t id = 0;
  std::string name, type;
  uint64_t capacity = 64, payload_bytes = 0;
  OnFull on_full = OnFull::kError;
  bool lossy() const { return on_full == OnFull::kDropOldest || on_full == OnFull::kLatest; }
};

// What a keeper must know of a buffer's type.
struct BufferType {
  std::string name;
  void (*destroy)(void*) = nullptr;  // thread-only types
};

// To the process of a lane's publisher: a position of this page (none: the floor) gates from now on, or only wakes its reader.
struct GateOrder {
  uint64_t lane = 0, gate = 0;
  uint32_t slot = 0;
  uint64_t floor = 0;
  bool from_now = false, gates = true;
  bool answer = false;  // the number from which it gates is asked for (KeeperLink::Granted)
  UniqueFd page, sleep;
};

// To the process of a subscription: read this lane.
struct AttachOrder {
  uint64_t subscription = 0, lane = 0;
  uint32_t slot = 0;
  uint64_t start = 0, deliveries = 0;
  uint64_t handed = 0;  // so many messages from `start` on were handed out before
  uint64_t opened = 0;  // when, on the keeper's clock of openings and leavings
  UniqueFd fd;
};

// A process that has ends of buffers, as the keeper sees it. Nothing here blocks or calls the keeper back.
class Party {
 public:
  virtual ~Party() = default;
  virtual std::optional<uint64_t> SetGate(GateOrder order) = 0;  // the number from which it gates; nothing: it comes later
  virtual void RemoveGate(uint64_t lane, uint64_t gate) = 0;
  virtual void Attach(AttachOrder order) = 0;
  virtual void LaneLeft(uint64_t subscription, uint64_t lane, uint64_t left) = 0;  // nothing more is published there
  // Nobody counts as publisher any more, and at least one has completed: after what is there, the subscription is complete. Or not so.
  virtual void RoundOver(uint64_t subscription, bool over) = 0;
  virtual void Invalidate(uint64_t end, const absl::Status& why) = 0;  // a lane's publisher or a subscription
  virtual bool Alive() = 0;
};

struct SubscriptionRequest {
  uint64_t buffer = 0, subscription = 0;
  SubscribeOptions options;
  UniqueFd page, sleep;
};
// A socket through which another process reaches the keeper, and the range of its numbers.
struct PartySocket {
  UniqueFd socket;
  uint64_t range = 0;
};
// A primitive by its name.
struct KeptPage {
  std::string type;  // "lock", "atomic int", ...
  std::shared_ptr<PrimitivePage> page;
};
using Answer = std::function<void(const absl::Status&)>;

// The keeper, as a process that has ends sees it. The numbers of lanes and subscriptions are given by that process, from its own range.
class KeeperLink {
 public:
  virtual ~KeeperLink() = default;
  // Names are the makers' own: the program's (0), or those of one run of a runnable, which also finds the program's.
  virtual absl::StatusOr<BufferFacts> CreateBuffer(uint64_t maker, std::string_view name, const BufferType& type,
                                                   const BufferOptions& options) = 0;
  virtual absl::Status DestroyBuffer(uint64_t buffer) = 0;
  virtual absl::StatusOr<BufferFacts> FindBuffer(uint64_t maker, std::string_view name) = 0;
  // A seat counts as a publisher that has not completed, until a publisher opens with it or it is left.
  virtual absl::StatusOr<uint64_t> ReserveSeat(uint64_t buffer) = 0;
  virtual void LeaveSeat(uint64_t seat) = 0;
  virtual absl::Status OpenPublisher(uint64_t buffer, uint64_t lane, UniqueFd fd, uint64_t seat) = 0;  // seat 0: without one
  virtual void PublisherCompleted(uint64_t lane) = 0;
  virtual void ClosePublisher(uint64_t lane) = 0;
  virtual absl::Status OpenSubscription(SubscriptionRequest request) = 0;
  virtual void LaneDone(uint64_t subscription, uint64_t lane, bool completed) = 0;  // read to its end
  virtual void Delivered(uint64_t subscription) = 0;                                // its completion
  virtual void CloseSubscription(uint64_t subscription) = 0;
  // The page of a primitive, which its maker has made. Returns its number, to drop it by.
  virtual absl::StatusOr<uint64_t> KeepPage(uint64_t maker, std::string_view name, KeptPage page) = 0;
  virtual absl::StatusOr<KeptPage> FindPage(uint64_t maker, std::string_view name) = 0;
  virtual void DropPage(uint64_t page) = 0;
  virtual absl::StatusOr<PartySocket> NewParty(int pidfd) = 0;  // for a child process that this one has started
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_ORDERS_H_
