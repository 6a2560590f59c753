#ifndef PUMA_WORKER_LOGGING_HUB_SINK_H_
#define PUMA_WORKER_LOGGING_HUB_SINK_H_
// The child's end of a hub's ring.
#include <atomic>
#include <map>
#include <memory>
#include <string_view>
#include <tuple>

#include "absl/status/statusor.h"
#include "worker/buffer/segment.h"
#include "worker/control/log_ring.h"
#include "worker/logging/hub.h"
#include "worker/logging/hub_layout.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"

namespace puma::logging {

class HubSink : public RecordSink {
 public:
  static absl::StatusOr<std::unique_ptr<HubSink>> Open(HubDescriptors descriptors);
  void Write(const Record& record) override;

 private:
  HubSink(Segment page, Segment ring, UniqueFd doorbell, const HubRingMap& map);
  HubRingHeader& header() { return *reinterpret_cast<HubRingHeader*>(ring_.data()); }
  uint32_t SourceOf(const Record& record);
  uint32_t InternSource(const Record& record) PUMA_EXCLUDES(mutex_);
  void RingIfAsleep();

  const Segment page_;
  Segment ring_;
  const UniqueFd doorbell_;
  const HubRingMap map_;
  std::unique_ptr<control::LogRing> logs_;
  control::KnownSites known_;
  std::atomic<uint32_t> rung_{0};  // the hub's sleep that was rung for
  Mutex mutex_;
  control::StringArena arena_ PUMA_GUARDED_BY(mutex_);
  using Key = std::tuple<uint32_t, std::string_view, std::string_view, std::string_view, std::string_view>;  // views of the arena
  std::map<Key, uint32_t> sources_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_HUB_SINK_H_
