#ifndef PUMA_WORKER_LOGGING_HUB_LAYOUT_H_
#define PUMA_WORKER_LOGGING_HUB_LAYOUT_H_
// The memory between a hub and its children, byte for byte. One page of the hub's for all of them, and a segment for each child, which only
// the child writes (but for the header's first line, which the hub fills in before the child is there).
#include <cstdint>

#include "worker/buffer/layout.h"
#include "worker/buffer/ring.h"
#include "worker/control/control_segments.h"

namespace puma::logging {

inline constexpr uint64_t kHubMagic = 0x62754800616d50;      // "Pma\0Hub"
inline constexpr uint64_t kHubRingMagic = 0x676f4c00616d50;  // "Pma\0Log"
inline constexpr uint32_t kHubVersion = 1;
inline constexpr uint32_t kHubSlots = 4096;  // children at a time

struct HubPage {
  alignas(kLine) uint64_t magic;
  uint32_t version, reserved;
  uint64_t ring_records, ring_bytes;
  alignas(kLine) Word32 sleeping;  // a generation; odd: the hub sleeps or is about to, ring the doorbell, once a generation
};
struct HubSlot {
  alignas(kLine) Word64 position;  // gates the child's ring
};
// Then: HubSlot[kHubSlots].
inline constexpr size_t kHubPageBytes = sizeof(HubPage) + kHubSlots * sizeof(HubSlot);
inline HubSlot* SlotsOf(std::byte* page) { return reinterpret_cast<HubSlot*>(page + sizeof(HubPage)); }

struct HubRingHeader {
  alignas(kLine) uint64_t magic;
  uint32_t version;
  uint32_t slot;  // of the hub's page
  alignas(kLine) Word64 dropped[6];
  alignas(kLine) Word32 source_count;  // release after the entry; 0 is "unknown"
  Word32 ready;                        // release; 1: the ring has been made
  // then: HubSource[control::kMaxSources], the sources' arena, the log ring (control::LogEntry, text)
};
// Offsets into the arena. An empty process is the child itself; else the record is its child's.
struct HubSource {
  uint32_t line;
  uint32_t process, process_length, logger, logger_length, file, file_length, function, function_length;
};
// LogEntry::stream in these rings.
inline constexpr uint32_t kForAll = 0, kForCaptures = 1;

struct HubRingMap {
  size_t sources, arena, ring, bytes;
};
HubRingMap MapOfHubRing(const RingOptions& options);
RingOptions HubRingOptions(uint64_t records, uint64_t bytes);

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_HUB_LAYOUT_H_
