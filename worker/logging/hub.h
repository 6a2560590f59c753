#ifndef PUMA_WORKER_LOGGING_HUB_H_
#define PUMA_WORKER_LOGGING_HUB_H_
// One log output for a program and its child processes: each child writes into a ring of its own, the program's hub reads them all.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/logging/levels.h"
#include "worker/platform/unique_fd.h"

namespace puma::logging {

// What a child needs, in this order. All CLOEXEC: they are sent, or inherited on purpose.
struct HubDescriptors {
  UniqueFd ring, page, doorbell;
  std::array<int, 3> fds() const { return {ring.get(), page.get(), doorbell.get()}; }
};

struct HubOptions {
  // What a child's ring holds; what finds no room is dropped and counted.
  uint64_t ring_records = 1 << 13;
  uint64_t ring_bytes = 2 << 20;  // at least 256 KiB
  // After records, the hub looks again so much later before it sleeps: children of a busy log need not wake it for each record.
  absl::Duration linger = absl::Milliseconds(1);
  // Called with LevelsForChildren() after each change, for ApplyLevels in the children that run. On the thread that changes a level.
  std::function<void(const std::string&)> levels_changed;
};

// Owns a thread. Thread-safe. Records go to Dispatch with the metadata that they were made with: in the order of each process, and of times
// where several wait. In a child that has a hub of its own they go on to its parent.
class Hub {
 public:
  static absl::StatusOr<std::unique_ptr<Hub>> Create(HubOptions options = {});
  ~Hub();  // what is in the rings is delivered before
  struct Child {
    uint64_t token = 0;
    HubDescriptors descriptors;
  };
  // Before the child is started; never waits for a reader of the log. RESOURCE_EXHAUSTED: no memory, no descriptors, or kHubSlots children.
  absl::StatusOr<Child> AddChild(std::string_view name);
  // After the child's end, however it came: what it has written is in the output when this returns. Unknown tokens: nothing.
  void ChildEnded(uint64_t token);

 private:
  struct Impl;
  explicit Hub(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// In the child, early in main: records go to the hub from now on, as those of `process_name`, from the levels on that LevelsForChildren()
// gave. DATA_LOSS: not the descriptors of a hub. Again, in a process forked off: to another hub.
absl::Status AttachToHub(HubDescriptors descriptors, std::string_view process_name, std::string_view levels);
// The first thing in a process that was forked off an attached one without exec: the ring is its parent's. Records go to stderr until it
// attaches.
void DetachFromHub();

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_HUB_H_
