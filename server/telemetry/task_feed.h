#ifndef PUMA_SERVER_TELEMETRY_TASK_FEED_H_
#define PUMA_SERVER_TELEMETRY_TASK_FEED_H_
// One ring of revisioned changes of tasks that feeds all watches. No queue per viewer: each has a position and takes what is new.
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "puma/v1/services.pb.h"
#include "server/telemetry/listeners.h"
#include "server/telemetry/revision.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe.
class TaskFeed {
 public:
  explicit TaskFeed(size_t capacity = 16384);
  // The engine's side: a task as it is now, or gone.
  void Put(const v1::Task& task);
  void Remove(const std::string& name);

  // A viewer's side.
  struct Position {
    uint64_t next = 0;
    bool snapshot_sent = false;
    // The snapshot of which a part is still to be sent: the tasks as they were at `next`. Only TaskFeed looks at these.
    std::shared_ptr<const std::vector<std::shared_ptr<const v1::Task>>> snapshot;
    size_t sent = 0;
  };
  // Begins with a snapshot, or after `revision`. Errors as Revisions::Find.
  absl::StatusOr<Position> Begin(const std::string& revision) const;
  // Fills `batch` (about 64 KiB at most) with what is new for `parent` and moves the position. False: nothing new. A viewer that was
  // overtaken gets a Gap, and then a snapshot as at the beginning; what is not in it is gone. Within a snapshot `revision` is empty.
  bool Take(const std::string& parent, Position& position, v1::WatchTasksResponse& batch) const;
  // Calls `f` (must not block) after each change, until the handle is destroyed.
  std::shared_ptr<void> Subscribe(std::function<void()> f);

  absl::StatusOr<v1::Task> Get(const std::string& name) const;
  // Tasks of `parent` ("" for all) after `after`, by name.
  std::vector<v1::Task> List(const std::string& parent, const std::string& after, size_t at_most) const;

 private:
  struct Change {
    std::string name;
    std::shared_ptr<const v1::Task> task;
  };  // task null: gone
  void Add(Change change) PUMA_REQUIRES(mutex_);
  uint64_t End() const PUMA_REQUIRES(mutex_) { return first_ + changes_.size(); }
  void TakeSnapshot(const std::string& parent, Position& position) const PUMA_REQUIRES(mutex_);
  std::vector<Change> TakeChanges(const std::string& prefix, Position& position) const PUMA_REQUIRES(mutex_);
  void SendSnapshot(Position& position, v1::WatchTasksResponse& batch) const;
  const size_t capacity_;
  const Revisions revisions_;
  mutable Mutex mutex_;
  uint64_t first_ PUMA_GUARDED_BY(mutex_) = 0;  // counter of changes_.front()
  std::deque<Change> changes_ PUMA_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const v1::Task>> tasks_ PUMA_GUARDED_BY(mutex_);
  Listeners listeners_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_TASK_FEED_H_
