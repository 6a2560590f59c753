#ifndef PUMA_WORKER_RUNNABLE_OUTPUT_CORE_H_
#define PUMA_WORKER_RUNNABLE_OUTPUT_CORE_H_
// An output of a runnable: its lanes, and what to do when they are full.
#include <puma/buffer.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"
#include "worker/buffer/task_page.h"
#include "worker/control/gate_change.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/run_context.h"

namespace puma::internal {

enum class FullPolicy { kBlock, kError, kWarn, kIgnore, kOverwrite };
absl::StatusOr<FullPolicy> FullPolicyOf(std::string_view on_full);  // the spec's word; "" is block

struct LaneOptions {
  uint64_t lane = 1;
  uint32_t epoch = 1;
  uint64_t capacity = 64;
  uint64_t payload_bytes = 0;  // 0: 16 MiB
  uint64_t base = 0;           // number of the first message
  bool lossy = false;
  bool stream = false;  // wakes asymmetrically
  bool huge_pages = false, prefault = false;
  std::vector<uint64_t> subscriptions;  // gate from the beginning
};

// Where an output goes on when a message is too large: a larger lane for each of its lanes, together.
struct Growth {
  uint64_t max_bytes = 0;                     // payload of the last part
  std::vector<std::vector<uint64_t>> spares;  // for each lane: the ids of its next parts; all lists have one length
};

// A reader's page that is to gate a lane.
struct PageAttachment {
  uint64_t lane = 0, subscription = 0;
  UniqueFd fd;
  uint32_t page_slot = 0;
  bool lossy = false;   // it only says whom to wake
  bool newest = false;  // a subscription that is new here begins with what comes from now on
};

// One lane: its segment, its writer, and the pages of those who read it. The publisher's thread writes; the control thread changes gates.
class OutputLane {
 public:
  static absl::StatusOr<std::unique_ptr<OutputLane>> Create(const LaneOptions& options, const TypeInfo& type);
  // `page`'s slot is the position of the subscription from now on. Returns the first message that it will get.
  absl::StatusOr<uint64_t> SetGate(PageAttachment page) PUMA_EXCLUDES(mutex_);
  // The same for a reader that sleeps on another page's word and says there how far it has seen.
  struct ReaderPages {
    UniqueFd position, sleep;  // position: none, `floor` gates
    uint32_t slot = 0;
    uint64_t floor = 0;
    bool from_now = false;  // the floor is the tail
    bool gates = true;
  };
  absl::StatusOr<uint64_t> SetGate(uint64_t subscription, ReaderPages pages) PUMA_EXCLUDES(mutex_);
  void GateDown(uint64_t subscription, control::GateChange change) PUMA_EXCLUDES(mutex_);
  // A larger lane that goes on where this one ends; who gates here gates there from its beginning.
  absl::StatusOr<std::unique_ptr<OutputLane>> Larger(uint64_t lane, uint64_t payload_bytes, const TypeInfo& type) PUMA_EXCLUDES(mutex_);
  RingWriter& writer() { return *writer_; }
  Segment& segment() { return segment_; }
  uint64_t id() const { return writer_->constants().lane_id; }
  bool living() const { return living_.load(std::memory_order_acquire); }  // no reader is known to be down

 private:
  OutputLane(Segment segment, std::unique_ptr<RingWriter> writer, LaneOptions options);
  void Follow(const std::map<uint64_t, bool>& gates, bool out) PUMA_EXCLUDES(mutex_);  // takes over how the smaller one's readers are
  void Judge() PUMA_REQUIRES(mutex_);                                                  // living?
  Segment segment_;
  std::unique_ptr<RingWriter> writer_;
  const LaneOptions options_;
  std::atomic<bool> living_{true};
  Mutex mutex_;
  std::map<uint64_t, TaskPageView> pages_ PUMA_GUARDED_BY(mutex_);
  std::map<uint64_t, TaskPageView> sleep_pages_ PUMA_GUARDED_BY(mutex_);
  std::map<uint64_t, bool> gates_ PUMA_GUARDED_BY(mutex_);  // reliable subscriptions; false: its process has ended
  bool out_ PUMA_GUARDED_BY(mutex_) = false;                // the replica that it leads to has ended for good
};

// Inert, until Open; after Close each use is FAILED_PRECONDITION. One publishing thread at a time.
class OutputCore {
 public:
  OutputCore(std::string port, TypeInfo type, RunContext* context);
  const std::string& port() const { return port_; }
  const TypeInfo& type() const { return type_; }

  // Wiring, by the runner, before Open.
  void Connect(std::string buffer, FullPolicy policy, std::vector<std::unique_ptr<OutputLane>> lanes, Growth growth = {});
  bool connected() const { return connected_; }
  std::vector<std::unique_ptr<OutputLane>>& lanes() { return lanes_; }
  void Open() PUMA_EXCLUDES(mutex_);  // unless it has been refused
  void Close();                       // leaves without completing
  // In a program of one's own: what a use gets while it is not open, and what is called when it has been completed and when its user ends
  // it. Before Open.
  void ForProgram(absl::Status not_open, std::function<void()> completed, std::function<void()> end);
  void Refuse(absl::Status not_open) PUMA_EXCLUDES(mutex_);  // closes, for this reason; any thread
  absl::Status NotOpen() const PUMA_EXCLUDES(mutex_);
  absl::Status status() const;  // OK, or NotOpen
  void End();
  void Cancel();  // a publisher that waits for room, now or later, gets CANCELLED; any thread
  // Some gate has changed: a publisher that waits looks again.
  void GatesChanged();
  // By another thread, at any time; what waits for room looks again. NOT_FOUND: the lane is not ours, or the output has gone on in a larger
  // one (whose messages stay without gates).
  absl::StatusOr<uint64_t> SetGate(PageAttachment page) PUMA_EXCLUDES(lanes_mutex_);
  void GateDown(uint64_t lane, uint64_t subscription, control::GateChange change) PUMA_EXCLUDES(lanes_mutex_);
  bool HasLane(uint64_t lane) PUMA_EXCLUDES(lanes_mutex_);

  // Publishing.
  absl::StatusOr<MutableBytes> Reserve(size_t bytes, Timeout timeout, OnFull on_full);
  bool reserved_is_scratch() const { return current_ == nullptr; }
  absl::Status Commit();
  absl::StatusOr<size_t> PublishMany(Bytes messages, size_t each, Timeout timeout, OnFull on_full);  // how many, from the first on
  void Abandon();
  absl::Status Complete(const absl::Status& error);
  bool completed() const { return completed_.load(std::memory_order_acquire); }

 private:
  OutputLane* FindLane(uint64_t lane) PUMA_REQUIRES(lanes_mutex_);
  Annotation NewAnnotation();
  absl::Status Grow(size_t bytes) PUMA_EXCLUDES(lanes_mutex_);
  absl::Status TooLarge(size_t bytes) const;
  OutputLane* Choose(size_t bytes);
  absl::StatusOr<OutputLane*> WaitForLane(size_t bytes, absl::Duration at_most);
  bool LetTake(absl::Duration give_up);
  absl::StatusOr<MutableBytes> Full(size_t bytes, OnFull on_full, absl::Duration waited);
  absl::StatusOr<MutableBytes> TakeScratch(size_t bytes);
  absl::StatusOr<MutableBytes> Take(OutputLane* lane, size_t bytes);

  std::string Place() const;  // for texts

  const std::string port_;  // "": a program's own publisher
  const TypeInfo type_;
  RunContext* const context_;
  std::string buffer_;
  FullPolicy policy_ = FullPolicy::kBlock;
  bool connected_ = false;
  Mutex lanes_mutex_;                               // held while lanes_ changes, and by other threads that look
  std::vector<std::unique_ptr<OutputLane>> lanes_;  // only the publishing thread changes it
  Growth growth_;
  size_t part_ = 0;
  std::atomic<bool> open_{false}, completed_{false};
  std::atomic<uint32_t> gates_version_{0};
  OutputLane* current_ = nullptr;  // where the reserved message goes; null: nowhere
  bool reserved_ = false;
  size_t reserved_bytes_ = 0;
  size_t turn_ = 0;          // round robin among equals
  Spin spin_{Spin::kUsual};  // while it waits for room
  int64_t last_published_ns_ = 0;
  int64_t last_warning_ns_ = 0;
  uint64_t dropped_ = 0;
  mutable Mutex mutex_;
  absl::Status not_open_ PUMA_GUARDED_BY(mutex_);
  bool refused_ PUMA_GUARDED_BY(mutex_) = false;
  std::function<void()> when_completed_, end_;
  std::vector<std::byte> scratch_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_OUTPUT_CORE_H_
