// Which descriptors a reader maps, and which it refuses before touching them.
#include "worker/buffer/segment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace puma {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

UniqueFd RawMemfd(size_t bytes, int seals) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}
UniqueFd Duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }
absl::StatusCode Refusal(const UniqueFd& fd, Seals seals = Seals::kOneWriter) { return Segment::Check(fd.get(), seals, 4096).code(); }

TEST(Segment, IsSeenThroughEveryMapping) {
  auto made = Segment::Create("test", 8192, Seals::kOneWriter, 8192);
  ASSERT_TRUE(made.ok()) << made.status();
  auto seen = Segment::MapReadOnly(Duplicate(made->fd()), Seals::kOneWriter, 8192);
  ASSERT_TRUE(seen.ok()) << seen.status();
  made->data()[8191] = std::byte{42};
  EXPECT_EQ(seen->data()[8191], std::byte{42});
  EXPECT_EQ(seen->size(), 8192u);
}

TEST(Segment, OfOneWriterCanBeMappedWritableByNobodyElse) {
  auto made = Segment::Create("test", 4096, Seals::kOneWriter, 0);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, made->fd(), 0), MAP_FAILED);
  EXPECT_EQ(::write(made->fd(), "x", 1), -1);
  EXPECT_EQ(::ftruncate(made->fd(), 0), -1);
  EXPECT_EQ(Segment::MapWritable(Duplicate(made->fd()), 4096).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Segment, SealedForSizeIsMappedWritableBySuccessors) {
  auto made = Segment::Create("test", 4096, Seals::kSize, 4096);
  ASSERT_TRUE(made.ok());
  auto again = Segment::MapWritable(Duplicate(made->fd()), 4096);
  ASSERT_TRUE(again.ok()) << again.status();
  again->data()[0] = std::byte{1};
  EXPECT_EQ(made->data()[0], std::byte{1});
  EXPECT_EQ(Segment::MapReadOnly(Duplicate(made->fd()), Seals::kOneWriter, 4096).status().code(), absl::StatusCode::kDataLoss);
}

// How many of the mapping's pages are in memory.
size_t PresentPages(const Segment& segment) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> present((segment.size() + page - 1) / page);
  EXPECT_EQ(::mincore(segment.data(), segment.size(), present.data()), 0);
  return static_cast<size_t>(std::count_if(present.begin(), present.end(), [](unsigned char p) { return (p & 1) != 0; }));
}
// How much of it the page tables of this process have: what is touched without a fault.
size_t MappedBytes(const Segment& segment) {
  std::ifstream file("/proc/self/smaps");
  std::string line;
  bool ours = false;
  size_t kib = 0;
  while (std::getline(file, line)) {
    unsigned long start = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) ours = start == reinterpret_cast<uintptr_t>(segment.data());
    if (ours && std::sscanf(line.c_str(), "Rss: %zu kB", &kib) == 1) return kib * 1024;
  }
  return 0;
}

TEST(Segment, PrefaultedIsThereBeforeItIsTouched) {
  constexpr size_t kBytes = 4 << 20;
  auto made = Segment::Create("test", kBytes, Seals::kOneWriter, 0, {.prefault = true});
  ASSERT_TRUE(made.ok()) << made.status();
  auto seen = Segment::MapReadOnly(Duplicate(made->fd()), Seals::kOneWriter, kBytes, {.prefault = true});
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(PresentPages(*made), kBytes / static_cast<size_t>(::sysconf(_SC_PAGESIZE)));
  if (!made->prefaulted() || !seen->prefaulted()) GTEST_SKIP() << "this kernel has no MADV_POPULATE";
  EXPECT_EQ(MappedBytes(*made), kBytes);
  EXPECT_EQ(MappedBytes(*seen), kBytes);
}

TEST(Segment, IsTakenOnTouchUnlessAskedFor) {
  auto made = Segment::Create("test", 4 << 20, Seals::kOneWriter, 0);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(PresentPages(*made), 0u);
  EXPECT_EQ(MappedBytes(*made), 0u);
  EXPECT_FALSE(made->prefaulted());
  EXPECT_EQ(made->HugeBytes(), 0u);
}

// Whether the machine gives huge pages is its own business: the segment works, and says what it got.
TEST(Segment, AskedForHugePagesWorksWithWhateverItGets) {
  constexpr size_t kBytes = (4 << 20) + 4096;
  for (const SegmentMemory memory : {SegmentMemory{.huge_pages = true}, SegmentMemory{.huge_pages = true, .prefault = true}}) {
    auto made = Segment::Create("test", kBytes, Seals::kOneWriter, 1 << 20, memory);
    ASSERT_TRUE(made.ok()) << made.status();
    auto seen = Segment::MapReadOnly(Duplicate(made->fd()), Seals::kOneWriter, kBytes, memory);
    ASSERT_TRUE(seen.ok()) << seen.status();
    made->data()[kBytes - 1] = std::byte{42};
    EXPECT_EQ(seen->data()[kBytes - 1], std::byte{42});
    EXPECT_LE(made->HugeBytes(), kBytes);
    EXPECT_EQ(made->HugeBytes() % (2 << 20), 0u);
    RecordProperty("huge_bytes", std::to_string(made->HugeBytes()));
    auto small = Segment::Create("test", 4096, Seals::kOneWriter, 4096, memory);
    ASSERT_TRUE(small.ok()) << small.status();
    EXPECT_EQ(small->HugeBytes(), 0u);
  }
}

TEST(Segment, RefusesOtherSeals) {
  EXPECT_EQ(Refusal(RawMemfd(4096, kSizeSeals | F_SEAL_FUTURE_WRITE)), absl::StatusCode::kOk);
  EXPECT_EQ(Refusal(RawMemfd(4096, kSizeSeals), Seals::kSize), absl::StatusCode::kOk);
  EXPECT_EQ(Refusal(RawMemfd(4096, 0)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Refusal(RawMemfd(4096, kSizeSeals)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Refusal(RawMemfd(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)), absl::StatusCode::kDataLoss)
      << "more could be added";
  EXPECT_EQ(Refusal(RawMemfd(4096, F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE)), absl::StatusCode::kDataLoss) << "it could shrink";
  EXPECT_EQ(Refusal(RawMemfd(4096, kSizeSeals | F_SEAL_WRITE)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Refusal(RawMemfd(4096, kSizeSeals | F_SEAL_FUTURE_WRITE), Seals::kSize), absl::StatusCode::kDataLoss);
}

TEST(Segment, RefusesAShortOne) {
  EXPECT_EQ(Refusal(RawMemfd(4095, kSizeSeals | F_SEAL_FUTURE_WRITE)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Segment::Check(RawMemfd(0, kSizeSeals | F_SEAL_FUTURE_WRITE).get(), Seals::kOneWriter, 0).code(), absl::StatusCode::kDataLoss);
}

TEST(Segment, RefusesWhatIsNoMemfd) {
  EXPECT_EQ(Refusal(UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC))), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Refusal(UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC))), absl::StatusCode::kDataLoss);
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  UniqueFd in(pipe[0]), out(pipe[1]);
  EXPECT_EQ(Refusal(in), absl::StatusCode::kDataLoss);
  EXPECT_NE(Refusal(UniqueFd()), absl::StatusCode::kOk);
}

TEST(Segment, RefusesHugePages) {
  UniqueFd fd(::memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
  if (!fd.valid()) GTEST_SKIP() << "no huge pages here";
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_FUTURE_WRITE), 0);
  EXPECT_EQ(Segment::Check(fd.get(), Seals::kOneWriter, 0).code(), absl::StatusCode::kDataLoss);
}

TEST(Segment, SaysWhenThereIsNoMemory) {
  EXPECT_FALSE(Segment::Create("test", size_t{1} << 62, Seals::kOneWriter, size_t{1} << 62).ok());
  EXPECT_EQ(Segment::Create("test", 0, Seals::kOneWriter, 0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Segment, DescriptorsDoNotCrossAnExec) {
  auto made = Segment::Create("test", 4096, Seals::kOneWriter, 0);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(::fcntl(made->fd(), F_GETFD), FD_CLOEXEC);
}

// A forked child that kept the mapping would be a second writer.
TEST(Segment, MappingsDoNotCrossAFork) {
  auto made = Segment::Create("test", 4096, Seals::kOneWriter, 4096);
  ASSERT_TRUE(made.ok());
  int probe[2];
  ASSERT_EQ(::pipe2(probe, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(::write(probe[1], made->data(), 1) == -1 && errno == EFAULT ? 0 : 1);  // the kernel reads for us: no fault
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  ::close(probe[0]);
  ::close(probe[1]);
}

TEST(Segment, MovesWithItsMapping) {
  auto made = Segment::Create("test", 4096, Seals::kOneWriter, 4096);
  ASSERT_TRUE(made.ok());
  Segment moved = *std::move(made);
  moved.data()[0] = std::byte{3};
  moved.TakeFd();
  EXPECT_EQ(moved.fd(), -1);
  EXPECT_EQ(moved.data()[0], std::byte{3}) << "the mapping outlives the descriptor";
}

}  // namespace
}  // namespace puma
