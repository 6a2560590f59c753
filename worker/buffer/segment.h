#ifndef PUMA_WORKER_BUFFER_SEGMENT_H_
#define PUMA_WORKER_BUFFER_SEGMENT_H_
// A memfd mapped into this process. Only its maker writes; it is sealed before anybody else sees it.
#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/platform/unique_fd.h"

namespace boost::interprocess {
class mapped_region;
}

namespace puma {

enum class Seals {
  kSize,      // shrink, grow, seal: others may map it writable (the host's H, which the next host maps again)
  kOneWriter  // and future_write: nobody can map it writable any more
};

// Wishes about a mapping's memory; what the machine can't do is left out, and the segment says what it got. No NUMA policy is ever set: a
// page lies on the node of the thread that touches it first (with `prefault` the maker's, which is the writer's), unless the process or its
// cgroup has a policy of its own. Readers on another node read from there; nothing is copied or moved.
struct SegmentMemory {
  bool huge_pages = false;  // 2 MiB pages where the kernel gives them to shared memory (transparent_hugepage/shmem_enabled is not "never")
  bool prefault = false;    // every page is present and mapped from the start: no fault, and no lack of memory, at the first touch
};

// Thread-compatible. Movable; the destructor unmaps. The mapping is MADV_DONTFORK; the descriptor is CLOEXEC.
class Segment {
 public:
  Segment() noexcept;
  Segment(Segment&&) noexcept;
  Segment& operator=(Segment&&) noexcept;
  ~Segment();

  // Makes, allocates (the first `reserve_bytes`, with `prefault` all; the rest on touch), maps writable and seals. RESOURCE_EXHAUSTED: no
  // memory or descriptors.
  static absl::StatusOr<Segment> Create(std::string_view name, size_t bytes, Seals seals, size_t reserve_bytes, SegmentMemory memory = {});
  // Checks seals, file system and size before it maps read-only. DATA_LOSS says what is wrong with a foreign segment. (With `prefault` the
  // holes of a foreign segment take memory at once, instead of when they are read.)
  static absl::StatusOr<Segment> MapReadOnly(UniqueFd fd, Seals seals, size_t min_bytes, SegmentMemory memory = {});
  // The same, writable: only for segments with Seals::kSize.
  static absl::StatusOr<Segment> MapWritable(UniqueFd fd, size_t min_bytes);
  // The checks alone, for who keeps descriptors without mapping them (the shim has its own copy of this rule).
  static absl::Status Check(int fd, Seals seals, size_t min_bytes);

  std::byte* data() const;  // null: empty
  size_t size() const;
  bool prefaulted() const { return prefaulted_; }  // asked for, and done
  size_t HugeBytes() const;                        // how much of the mapping lies on huge pages now; reads /proc/self/smaps, 0 if it can't
  int fd() const { return fd_.get(); }
  UniqueFd TakeFd() { return std::move(fd_); }  // to hand it over; the mapping stays

 private:
  std::unique_ptr<boost::interprocess::mapped_region> region_;
  UniqueFd fd_;
  bool prefaulted_ = false;
};

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_SEGMENT_H_
