#ifndef PUMA_SERVER_SUPERVISOR_TAPS_H_
#define PUMA_SERVER_SUPERVISOR_TAPS_H_
// Clients that look at the messages of a buffer. A tap is one more lossy reader of the lanes that the host maps anyway: it copies and
// validates on the thread of its stream, gates nothing, and no publisher knows of it. README.md says why it lives here.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/supervisor/engine.h"
#include "server/supervisor/model.h"
#include "server/supervisor/render.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// A lane, shared by the supervisor and the taps of its buffer. Thread-safe.
class SharedLane {
 public:
  SharedLane(v1::TappedLane name, std::shared_ptr<const Renderer> renderer, const LaneRec& lane)
      : name_(std::move(name)), renderer_(std::move(renderer)), ring_(lane.ring), segment_(lane.segment) {}

  const v1::TappedLane& name() const { return name_; }
  const Renderer& renderer() const { return *renderer_; }
  const RingReader& ring() const { return ring_; }  // to be copied; its memory is there only while Map's answer is held
  // Null: it was let go of.
  std::shared_ptr<const Segment> Map() const PUMA_EXCLUDES(mutex_);
  // Nothing more comes: it ends before this number, or, quarantined, nobody knows where.
  void SetEnd(std::optional<uint64_t> end) PUMA_EXCLUDES(mutex_);
  void LetGo() PUMA_EXCLUDES(mutex_);
  struct End {
    bool ended = false;
    std::optional<uint64_t> number;
  };
  End end() const PUMA_EXCLUDES(mutex_);

 private:
  const v1::TappedLane name_;
  const std::shared_ptr<const Renderer> renderer_;
  const RingReader ring_;
  mutable Mutex mutex_;
  std::shared_ptr<const Segment> segment_ PUMA_GUARDED_BY(mutex_);
  End end_ PUMA_GUARDED_BY(mutex_);
};

// Lanes that a tap has yet to meet. A client that does not read gets more and more of them: of the oldest only a count is kept.
struct TapInbox {
  explicit TapInbox(std::string buffer_name) : buffer(std::move(buffer_name)) {}
  const std::string buffer;
  Mutex mutex;
  std::vector<std::shared_ptr<SharedLane>> lanes PUMA_GUARDED_BY(mutex);
  uint64_t forgotten_lanes PUMA_GUARDED_BY(mutex) = 0;
  uint64_t forgotten_messages PUMA_GUARDED_BY(mutex) = 0;
};

// Thread-safe.
class Taps {
 public:
  // A lane that the supervisor has learned of. `buffer` and `publisher` are full names.
  void Add(const std::string& buffer, const std::string& publisher, std::shared_ptr<const Renderer> renderer, const LaneRec& lane)
      PUMA_EXCLUDES(mutex_);
  // The lane is forgotten. Open taps have a few seconds for what they have not read of it; then its memory goes.
  void Remove(const LaneRec& lane, int64_t now_ns) PUMA_EXCLUDES(mutex_);
  void Tick(int64_t now_ns) PUMA_EXCLUDES(mutex_);
  // `request` was checked. `exists` is asked now and then, by whoever calls Take.
  std::unique_ptr<BufferTap> Open(const v1::TapBufferRequest& request, std::function<bool()> exists) PUMA_EXCLUDES(mutex_);

 private:
  struct Known {
    std::string buffer;
    std::shared_ptr<SharedLane> lane;
  };
  Mutex mutex_;
  std::map<uint64_t, Known> lanes_ PUMA_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<TapInbox>> inboxes_ PUMA_GUARDED_BY(mutex_);
  std::multimap<int64_t, std::weak_ptr<SharedLane>> leaving_ PUMA_GUARDED_BY(mutex_);  // by the time when they are let go of
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_TAPS_H_
