#include "worker/shim/segments.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "worker/buffer/layout.h"

namespace puma::shim {
namespace {

constexpr int kSizeSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int kOneWriterSeals = kSizeSeals | F_SEAL_FUTURE_WRITE;
constexpr int kExecSeal = 0x0020;  // F_SEAL_EXEC, which some kernels set on all memfds; it says nothing about size or writers

const char* Fault(int fd, int seals, uint64_t& bytes) {
  const int found = ::fcntl(fd, F_GET_SEALS);
  if (found < 0) return "not a memfd";
  if ((found & ~kExecSeal) != seals) return "wrong seals";
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0 || system.f_type != TMPFS_MAGIC) return "not in tmpfs";
  struct stat stat {};
  if (::fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0) return "empty";
  bytes = static_cast<uint64_t>(stat.st_size);
  return "";
}

void Wake(const void* word) { ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

}  // namespace

const char* OfferFault(int fd, uint64_t max_bytes, uint64_t& bytes) {
  const char* fault = Fault(fd, kOneWriterSeals, bytes);
  if (*fault == '\0' && bytes > max_bytes) return "larger than granted";
  return fault;
}

const char* HostSegmentFault(int fd) {
  uint64_t bytes;
  return Fault(fd, kSizeSeals, bytes);
}

void WakeSleepers(int fd, SegmentKind kind) {
  struct stat stat {};
  if (::fstat(fd, &stat) != 0) return;
  const auto bytes = static_cast<size_t>(stat.st_size);  // sealed: it can't shrink under the mapping
  const size_t mapped_bytes = kind == SegmentKind::kLane ? std::min(bytes, sizeof(RingHeader)) : bytes;
  if (kind == SegmentKind::kControl || mapped_bytes < std::min(sizeof(RingHeader), sizeof(PageHeader))) return;
  void* mapped = ::mmap(nullptr, mapped_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return;
  const auto* base = static_cast<const std::byte*>(mapped);
  if (kind == SegmentKind::kLane && mapped_bytes >= offsetof(RingHeader, tail) + sizeof(Word64)) Wake(base + offsetof(RingHeader, tail));
  if (kind == SegmentKind::kPage) {
    const size_t slots = std::min<size_t>((mapped_bytes - sizeof(PageHeader)) / sizeof(PageSlot), 1024);
    for (size_t i = 0; i < slots; ++i) Wake(base + sizeof(PageHeader) + i * sizeof(PageSlot) + offsetof(PageSlot, position));
  }
  ::munmap(mapped, mapped_bytes);
}

}  // namespace puma::shim
