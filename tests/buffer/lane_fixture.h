#ifndef PUMA_TESTS_BUFFER_LANE_FIXTURE_H_
#define PUMA_TESTS_BUFFER_LANE_FIXTURE_H_
// Lanes and pages in real segments.
#include <fcntl.h>

#include <memory>
#include <utility>

#include "worker/buffer/lane_reader.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"
#include "worker/buffer/task_page.h"

namespace puma::testing {

inline UniqueFd Duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

struct Lane {
  Segment segment;
  std::unique_ptr<RingWriter> writer;

  explicit Lane(const RingOptions& options) {
    const size_t bytes = RingWriter::BytesNeeded(options).value();
    segment = Segment::Create("puma-lane", bytes, Seals::kOneWriter, bytes).value();
    writer = RingWriter::Create({segment.data(), segment.size()}, options).value();
  }
  UniqueFd Fd() const { return Duplicate(segment.fd()); }
};

// The gate that `slot` of a page is, in whichever mapping.
inline Gate GateOf(uint64_t subscription, const PageHeader& header, const PageSlot& slot, uint64_t floor) {
  return {.subscription = subscription, .position = &slot.position, .tag = &slot.tag, .sleep = &header.sleep, .floor = floor};
}

}  // namespace puma::testing
#endif  // PUMA_TESTS_BUFFER_LANE_FIXTURE_H_
