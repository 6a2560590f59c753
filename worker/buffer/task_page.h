#ifndef PUMA_WORKER_BUFFER_TASK_PAGE_H_
#define PUMA_WORKER_BUFFER_TASK_PAGE_H_
// The page of one run of one runnable: its sleep word, and how far it has read each lane.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/buffer/layout.h"
#include "worker/buffer/segment.h"

namespace puma {

// Where a subscription stood in one lane: copied from a dead page to the next one.
struct ReadState {
  uint64_t lane_id = 0;
  uint64_t next = 0;
  uint64_t deliveries = 0;                            // how often `next` was handed out already, as far as that counts
  uint64_t handed = 0;                                // so many messages from `next` on were handed out before
  uint64_t backlog = 0, redelivered = 0, missed = 0;  // statistics (PageSlot)
};

// The writing end, in the worker. Only the runnable's thread writes (and its maker before hand-out).
class TaskPage {
 public:
  static constexpr uint32_t kSlots = 120;
  // Makes a page whose first slots carry `resume`, so that the newest page always says where everything stands. Sealed kOneWriter.
  static absl::StatusOr<TaskPage> Create(uint64_t task, uint64_t run, std::span<const ReadState> resume);
  PageHeader& header() { return *header_; }
  PageSlot& slot(uint32_t i) { return slots_[i]; }
  Segment& segment() { return segment_; }

 private:
  Segment segment_;
  PageHeader* header_ = nullptr;
  PageSlot* slots_ = nullptr;
};

// Somebody else's page, read-only. The values are not trusted.
class TaskPageView {
 public:
  static absl::StatusOr<TaskPageView> Open(UniqueFd fd);  // DATA_LOSS
  const PageConstants& constants() const { return constants_; }
  const PageHeader& header() const { return *header_; }
  const PageSlot& slot(uint32_t i) const { return slots_[i]; }
  // What the next incarnation must know; call only when the writer is proven dead. A message that was in hand counts as delivered once.
  std::vector<ReadState> States() const;
  std::optional<ReadState> StateOf(uint64_t lane_id) const;  // the same for one lane

 private:
  std::optional<ReadState> StateIn(const PageSlot& slot) const;
  Segment segment_;
  PageConstants constants_{};
  const PageHeader* header_ = nullptr;
  const PageSlot* slots_ = nullptr;
};

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_TASK_PAGE_H_
