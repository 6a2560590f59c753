#ifndef PUMA_WORKER_SHIM_SEGMENTS_H_
#define PUMA_WORKER_SHIM_SEGMENTS_H_
// What the shim does with segments: looks whether an offered one is as it must be, and wakes who sleeps on a dead run's. Maps nothing
// writable.
#include <cstdint>

#include "worker/shim/protocol.h"

namespace puma::shim {

// "" if a worker's segment is acceptable: one writer (all four seals, no other), tmpfs, not empty, at most `max_bytes`. Else what is wrong.
const char* OfferFault(int fd, uint64_t max_bytes, uint64_t& bytes);
// The same for H, which the next host maps writable again.
const char* HostSegmentFault(int fd);

// Wakes all who sleep on a lane's tail or on a page's positions. They find that nothing has changed, unless the dead writer stored and did
// not come to the wake.
void WakeSleepers(int fd, SegmentKind kind);

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_SEGMENTS_H_
