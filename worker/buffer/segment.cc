#include "worker/buffer/segment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "worker/platform/system.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MADV_POPULATE_READ  // Linux 5.14
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace puma {
namespace {

namespace ipc = boost::interprocess;

// What Boost.Interprocess calls a memory mappable: something with a descriptor.
class Memfd {
 public:
  explicit Memfd(int fd) : fd_(fd) {}
  ipc::mapping_handle_t get_mapping_handle() const { return ipc::ipcdetail::mapping_handle_from_file_handle(fd_); }

 private:
  int fd_;
};

int WantedSeals(Seals seals) {
  const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  return seals == Seals::kSize ? size : size | F_SEAL_FUTURE_WRITE;
}

constexpr size_t kHugePage = 2 << 20;  // of x86-64, and of aarch64 with pages of 4 KiB

// An address where huge pages of a file can lie, or null. Nobody holds it: if another thread is faster, the mapping lies elsewhere.
void* AlignedHint(size_t bytes) {
  void* const probe = ::mmap(nullptr, bytes + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) return nullptr;
  ::munmap(probe, bytes + kHugePage);
  return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(probe) + kHugePage - 1) / kHugePage * kHugePage);
}

std::unique_ptr<ipc::mapped_region> MapAt(void* hint, int fd, size_t bytes, ipc::mode_t mode, std::string& error) {
  try {  // the door to Boost
    return std::make_unique<ipc::mapped_region>(Memfd(fd), mode, 0, bytes, hint);
  } catch (const ipc::interprocess_exception& e) {
    error = e.what();
    return nullptr;
  }
}

// A forked child would keep the mapping, and of a writable one be a second writer: it gets none.
absl::StatusOr<std::unique_ptr<ipc::mapped_region>> Map(int fd, size_t bytes, ipc::mode_t mode, SegmentMemory memory = {}) {
  std::string error;
  std::unique_ptr<ipc::mapped_region> region;
  if (memory.huge_pages && bytes >= kHugePage) {
    if (void* const hint = AlignedHint(bytes)) region = MapAt(hint, fd, bytes, mode, error);
  }
  if (region == nullptr) region = MapAt(nullptr, fd, bytes, mode, error);
  if (region == nullptr) return absl::ResourceExhaustedError(absl::StrCat("mmap of a segment of ", bytes, " bytes: ", error));
  if (::madvise(region->get_address(), bytes, MADV_DONTFORK) != 0) return ErrnoStatus(errno, "madvise(MADV_DONTFORK) of a segment");
  if (memory.huge_pages) ::madvise(region->get_address(), bytes, MADV_HUGEPAGE);  // refused: ordinary pages
  return region;
}

// False: this kernel can't, or has not enough memory; pages come when they are touched.
bool Populate(const ipc::mapped_region& region, size_t bytes, int advice) {
  int result;
  do result = ::madvise(region.get_address(), bytes, advice);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

// fallocate of a memfd takes pages until the kernel starts to kill processes: it is never asked for more than there is.
absl::Status FitsMemory(size_t bytes) {
  constexpr size_t kNoQuestion = 16 << 20;
  if (bytes <= kNoQuestion) return absl::OkStatus();
  std::ifstream file("/proc/meminfo");
  std::string word;
  size_t available_kib = 0;
  while (file >> word && word != "MemAvailable:") file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  file >> available_kib;
  if (bytes / 1024 <= available_kib / 10 * 9) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("segment: ", bytes, " bytes, but only ", available_kib, " KiB of memory are available"));
}

absl::Status Reserve(int fd, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  int result;
  do result = ::fallocate(fd, 0, 0, static_cast<off_t>(bytes));
  while (result != 0 && errno == EINTR);
  if (result != 0) return ErrnoStatus(errno, absl::StrCat("fallocate of ", bytes, " bytes of a memfd"));
  return absl::OkStatus();
}

}  // namespace

Segment::Segment() noexcept = default;
Segment::Segment(Segment&&) noexcept = default;
Segment& Segment::operator=(Segment&&) noexcept = default;
Segment::~Segment() = default;

absl::StatusOr<Segment> Segment::Create(std::string_view name, size_t bytes, Seals seals, size_t reserve_bytes, SegmentMemory memory) {
  if (bytes == 0 || reserve_bytes > bytes) return absl::InvalidArgumentError("segment: empty, or a reserve beyond its size");
  if (memory.prefault) reserve_bytes = bytes;
  if (absl::Status fits = FitsMemory(reserve_bytes); !fits.ok()) return fits;
  Segment segment;
  segment.fd_ = UniqueFd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!segment.fd_.valid()) return ErrnoStatus(errno, "memfd_create");
  if (::ftruncate(segment.fd(), static_cast<off_t>(bytes)) != 0)
    return ErrnoStatus(errno, absl::StrCat("ftruncate of a memfd to ", bytes, " bytes"));
  auto region = Map(segment.fd(), bytes, ipc::read_write, memory);
  if (!region.ok()) return region.status();
  segment.region_ = *std::move(region);
  // Huge pages come by touching what was advised: fallocate does not know of the advice, and would put small ones there.
  const bool touched = memory.huge_pages && reserve_bytes != 0 && Populate(*segment.region_, reserve_bytes, MADV_POPULATE_WRITE);
  if (!touched) {
    if (absl::Status status = Reserve(segment.fd(), reserve_bytes); !status.ok()) return status;
  }
  segment.prefaulted_ = memory.prefault && (touched || Populate(*segment.region_, bytes, MADV_POPULATE_WRITE));
  // After the writable mapping: F_SEAL_FUTURE_WRITE spares only those that exist.
  if (::fcntl(segment.fd(), F_ADD_SEALS, WantedSeals(seals)) != 0) return ErrnoStatus(errno, "fcntl(F_ADD_SEALS) of a memfd");
  return segment;
}

absl::Status Segment::Check(int fd, Seals seals, size_t min_bytes) {
  struct statfs file_system {};
  struct stat file {};
  if (::fstatfs(fd, &file_system) != 0 || ::fstat(fd, &file) != 0) return ErrnoStatus(errno, "segment: fstat");
  // Another file system may answer a read of mapped memory with a fault, or a delay, of the peer's choosing.
  if (file_system.f_type != TMPFS_MAGIC || !S_ISREG(file.st_mode)) return absl::DataLossError("segment: not a memfd");
  const int found = ::fcntl(fd, F_GET_SEALS);
  if (found < 0) return absl::DataLossError("segment: it can't have seals");
  if ((found & ~F_SEAL_EXEC) != WantedSeals(seals)) {  // the kernel itself adds F_SEAL_EXEC where vm.memfd_noexec is set
    return absl::DataLossError(absl::StrCat("segment: seals ", found, " instead of ", WantedSeals(seals)));
  }
  if (file.st_size <= 0 || static_cast<size_t>(file.st_size) < min_bytes) {
    return absl::DataLossError(absl::StrCat("segment: ", file.st_size, " bytes, at least ", min_bytes, " needed"));
  }
  return absl::OkStatus();
}

namespace {

absl::StatusOr<size_t> SizeOf(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return ErrnoStatus(errno, "segment: fstat");
  return static_cast<size_t>(file.st_size);
}

}  // namespace

absl::StatusOr<Segment> Segment::MapReadOnly(UniqueFd fd, Seals seals, size_t min_bytes, SegmentMemory memory) {
  if (absl::Status status = Check(fd.get(), seals, min_bytes); !status.ok()) return status;
  auto bytes = SizeOf(fd.get());  // sealed: it stays
  if (!bytes.ok()) return bytes.status();
  auto region = Map(fd.get(), *bytes, ipc::read_only, memory);
  if (!region.ok()) return region.status();
  Segment segment;
  segment.region_ = *std::move(region);
  segment.fd_ = std::move(fd);
  segment.prefaulted_ = memory.prefault && Populate(*segment.region_, *bytes, MADV_POPULATE_READ);
  return segment;
}

absl::StatusOr<Segment> Segment::MapWritable(UniqueFd fd, size_t min_bytes) {
  if (absl::Status status = Check(fd.get(), Seals::kSize, min_bytes); !status.ok()) return status;
  auto bytes = SizeOf(fd.get());
  if (!bytes.ok()) return bytes.status();
  auto region = Map(fd.get(), *bytes, ipc::read_write);
  if (!region.ok()) return region.status();
  Segment segment;
  segment.region_ = *std::move(region);
  segment.fd_ = std::move(fd);
  return segment;
}

std::byte* Segment::data() const { return region_ ? static_cast<std::byte*>(region_->get_address()) : nullptr; }
size_t Segment::size() const { return region_ ? region_->get_size() : 0; }

size_t Segment::HugeBytes() const {
  const auto from = reinterpret_cast<uintptr_t>(data());
  std::ifstream file("/proc/self/smaps");
  std::string line;
  bool ours = false;
  size_t bytes = 0;
  while (std::getline(file, line)) {
    unsigned long start = 0, end = 0, kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) ours = start < from + size() && end > from;
    if (ours && std::sscanf(line.c_str(), "ShmemPmdMapped: %lu kB", &kib) == 1) bytes += kib * 1024;
  }
  return bytes;
}

}  // namespace puma
