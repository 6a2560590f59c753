#ifndef PUMA_WORKER_ENVIRONMENT_KEEPER_H_
#define PUMA_WORKER_ENVIRONMENT_KEEPER_H_
// Keeps the buffers of one environment, in the process that made it: who publishes, who reads and how far, what those who left have left.
// No value passes through it. Thread-safe.
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"
#include "worker/buffer/task_page.h"
#include "worker/environment/orders.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

class Keeper {
 public:
  // `wake_at` is told the earliest CLOCK_MONOTONIC time at which Tick is needed; any thread, with the keeper's lock held.
  explicit Keeper(std::function<void(int64_t)> wake_at);
  ~Keeper();

  // `party`: whose end is the buffer's end; null: this process's own.
  absl::StatusOr<BufferFacts> CreateBuffer(const Party* party, uint64_t maker, std::string_view name, const BufferType& type,
                                           const BufferOptions& options) PUMA_EXCLUDES(mutex_);
  // The error of a completion that was discarded and not yet told.
  absl::Status DestroyBuffer(uint64_t buffer) PUMA_EXCLUDES(mutex_);

  absl::StatusOr<BufferFacts> FindBuffer(uint64_t maker, std::string_view name) PUMA_EXCLUDES(mutex_);
  absl::StatusOr<uint64_t> ReserveSeat(Party& party, uint64_t buffer) PUMA_EXCLUDES(mutex_);
  void LeaveSeat(uint64_t seat) PUMA_EXCLUDES(mutex_);
  absl::Status OpenPublisher(Party& party, uint64_t buffer, uint64_t lane, UniqueFd fd, uint64_t seat) PUMA_EXCLUDES(mutex_);
  void PublisherCompleted(uint64_t lane) PUMA_EXCLUDES(mutex_);
  void ClosePublisher(uint64_t lane) PUMA_EXCLUDES(mutex_);
  // `answer` is called once, when every publisher has granted its start: mostly before this returns.
  void OpenSubscription(Party& party, SubscriptionRequest request, Answer answer) PUMA_EXCLUDES(mutex_);
  void Granted(uint64_t lane, uint64_t gate, uint64_t start) PUMA_EXCLUDES(mutex_);
  void LaneDone(uint64_t subscription, uint64_t lane, bool completed) PUMA_EXCLUDES(mutex_);
  void Delivered(uint64_t subscription) PUMA_EXCLUDES(mutex_);
  void CloseSubscription(uint64_t subscription) PUMA_EXCLUDES(mutex_);
  // The process is proven dead, or will say no more: its ends are left, nothing else is lost.
  void PartyGone(Party& party) PUMA_EXCLUDES(mutex_);
  // Discards what has been abandoned for long enough.
  void Tick(int64_t now_ns) PUMA_EXCLUDES(mutex_);

 private:
  struct Lane;
  struct Reading;
  struct Position;
  struct Kept;
  Kept* FindKept(uint64_t buffer) PUMA_REQUIRES(mutex_);
  Kept* FindNamed(uint64_t maker, std::string_view name) PUMA_REQUIRES(mutex_);
  absl::Status Destroy(std::list<Kept>::iterator kept) PUMA_REQUIRES(mutex_);
  std::pair<Kept*, Lane*> FindLane(uint64_t lane) PUMA_REQUIRES(mutex_);
  std::pair<Kept*, Position*> FindHeld(uint64_t subscription) PUMA_REQUIRES(mutex_);
  Position& AddPosition(Kept& kept, std::string name, bool gates) PUMA_REQUIRES(mutex_);
  absl::StatusOr<Position*> PositionFor(Kept& kept, const SubscriptionRequest& request) PUMA_REQUIRES(mutex_);
  absl::StatusOr<Position*> ManyPositionFor(Kept& kept, const SubscribeOptions& options) PUMA_REQUIRES(mutex_);
  void Bind(Kept& kept, Position& position, Lane& lane, bool fresh, bool from_now) PUMA_REQUIRES(mutex_);
  void AttachTo(Kept& kept, Position& position, Lane& lane) PUMA_REQUIRES(mutex_);
  void LeaveLane(Kept& kept, Lane& lane) PUMA_REQUIRES(mutex_);
  void NoteCompletion(Kept& kept, Lane& lane) PUMA_REQUIRES(mutex_);
  void LeavePosition(Kept& kept, Position& position) PUMA_REQUIRES(mutex_);
  void Harvest(Kept& kept, Position& position) PUMA_REQUIRES(mutex_);
  void RemovePosition(Kept& kept, uint64_t gate) PUMA_REQUIRES(mutex_);
  void Done(Kept& kept, Position& position, uint64_t lane, bool completed) PUMA_REQUIRES(mutex_);
  void Settle(Kept& kept) PUMA_REQUIRES(mutex_);  // after each change
  void DropRead(Kept& kept) PUMA_REQUIRES(mutex_);
  void DropLane(Kept& kept, Lane& lane) PUMA_REQUIRES(mutex_);
  void Discard(Kept& kept) PUMA_REQUIRES(mutex_);
  void AnswerIfGranted(Position& position) PUMA_REQUIRES(mutex_);
  static bool InUse(const Kept& kept);

  const std::function<void(int64_t)> wake_at_;
  Mutex mutex_;
  std::list<Kept> buffers_ PUMA_GUARDED_BY(mutex_);
  uint64_t last_id_ PUMA_GUARDED_BY(mutex_) = 0;
  uint64_t clock_ PUMA_GUARDED_BY(mutex_) = 0;  // of openings and leavings
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_KEEPER_H_
