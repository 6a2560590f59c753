#ifndef PUMA_WORKER_LOGGING_HUB_CHILD_H_
#define PUMA_WORKER_LOGGING_HUB_CHILD_H_
// The hub's end of one child's ring. What the child has written is not trusted: looked at once, then checked.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"
#include "worker/control/control_segments.h"
#include "worker/logging/hub_layout.h"

namespace puma::logging {

// Thread-compatible.
class HubChild {
 public:
  HubChild(uint64_t token, uint32_t slot, std::string_view name, Segment ring, const HubRingMap& map, Word64& position);
  uint64_t token() const { return token_; }
  uint32_t slot() const { return slot_; }
  // Is there a record? Its time; and off with it to the output.
  bool Peek();
  int64_t time() const { return entry_.time_unix_ns; }
  void Deliver();
  // What was delivered may be overwritten.
  void Acknowledge();
  // A record of how many were dropped since the last such.
  void ReportDropped();

 private:
  struct Texts {
    std::string process, logger, file, function;
    int line = 0;
  };
  const HubRingHeader& header() const { return *reinterpret_cast<const HubRingHeader*>(ring_.data()); }
  bool OpenRing();
  bool TakeApart(const RingItem& item);
  const Texts& ReadSource(uint32_t index);
  bool Spoiled(std::string_view why);  // never looked at again; false
  void Say(std::string_view text);

  const uint64_t token_;
  const uint32_t slot_;
  const std::string name_;
  const Segment ring_;
  const HubRingMap map_;
  Word64& position_;
  RingReader reader_;
  bool open_ = false, spoiled_ = false;
  uint64_t next_ = 0;
  bool waiting_ = false;  // entry_ and text_ are the record `next_`
  control::LogEntry entry_{};
  std::string_view text_;
  uint64_t reported_[6] = {};
  std::deque<Texts> sources_;  // by index; read once
};

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_HUB_CHILD_H_
