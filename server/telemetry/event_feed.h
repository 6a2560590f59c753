#ifndef PUMA_SERVER_TELEMETRY_EVENT_FEED_H_
#define PUMA_SERVER_TELEMETRY_EVENT_FEED_H_
// What has happened, newest last: one ring that feeds all watches. No queue per viewer: each has a position and takes what is new.
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "puma/v1/services.pb.h"
#include "server/telemetry/listeners.h"
#include "server/telemetry/revision.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe.
class EventFeed {
 public:
  explicit EventFeed(size_t capacity = 10'000);
  // The engine's side. Time and revision are filled in.
  void Add(v1::Event event);

  // A viewer's side. `parent` is a resource; what happened to it and to what is within it counts. "": everything.
  // A page, oldest first. OUT_OF_RANGE: the page token is too old. INVALID_ARGUMENT: it is none.
  absl::StatusOr<v1::ListEventsResponse> List(const std::string& parent, const std::string& page_token, size_t at_most) const;
  struct Position {
    uint64_t next = 0;
    bool told = false;  // the viewer knows a revision to go on from
  };
  // Where a watch begins: after its revision (errors as Revisions::Find), or so many events of its parent back.
  absl::StatusOr<Position> Begin(const v1::WatchEventsRequest& request) const;
  // Fills `batch` (about 64 KiB at most) with what is new and moves the position. False: nothing new; the first batch comes all the
  // same. A viewer that was overtaken gets a Gap first.
  bool Take(const std::string& parent, Position& position, v1::WatchEventsResponse& batch) const;
  // Calls `f` (must not block) after each event, until the handle is destroyed.
  std::shared_ptr<void> Subscribe(std::function<void()> f) { return listeners_.Add(std::move(f)); }

 private:
  uint64_t End() const PUMA_REQUIRES(mutex_) { return first_ + events_.size(); }
  const size_t capacity_;
  const Revisions revisions_;
  mutable Mutex mutex_;
  uint64_t first_ PUMA_GUARDED_BY(mutex_) = 0;  // counter of events_.front()
  std::deque<std::shared_ptr<const v1::Event>> events_ PUMA_GUARDED_BY(mutex_);
  Listeners listeners_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_EVENT_FEED_H_
