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

// Thread-compatible. Movable; the destructor unmaps. The mapping is MADV_DONTFORK; the descriptor is CLOEXEC.
class Segment {
 public:
  Segment() noexcept;
  Segment(Segment&&) noexcept;
  Segment& operator=(Segment&&) noexcept;
  ~Segment();

  // Makes, allocates (the first `reserve_bytes`; the rest on touch), maps writable and seals. RESOURCE_EXHAUSTED: no memory or descriptors.
  static absl::StatusOr<Segment> Create(std::string_view name, size_t bytes, Seals seals, size_t reserve_bytes);
  // Checks seals, file system and size before it maps read-only. DATA_LOSS says what is wrong with a foreign segment.
  static absl::StatusOr<Segment> MapReadOnly(UniqueFd fd, Seals seals, size_t min_bytes);
  // The same, writable: only for segments with Seals::kSize.
  static absl::StatusOr<Segment> MapWritable(UniqueFd fd, size_t min_bytes);
  // The checks alone, for who keeps descriptors without mapping them (the shim has its own copy of this rule).
  static absl::Status Check(int fd, Seals seals, size_t min_bytes);

  std::byte* data() const;  // null: empty
  size_t size() const;
  int fd() const { return fd_.get(); }
  UniqueFd TakeFd() { return std::move(fd_); }  // to hand it over; the mapping stays

 private:
  std::unique_ptr<boost::interprocess::mapped_region> region_;
  UniqueFd fd_;
};

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_SEGMENT_H_
