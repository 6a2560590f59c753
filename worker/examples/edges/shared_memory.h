#ifndef EDGES_SHARED_MEMORY_H_
#define EDGES_SHARED_MEMORY_H_
// Tells whether bytes lie in shared memory, as the kernel sees it (/proc/self/maps): whether they were written or read in place, or copied.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edges {

// Thread-compatible. Keeps what it has read and reads again only for an address that it does not know.
class SharedMemory {
 public:
  // How many of these bytes had to be copied: none if they lie in shared memory, else all.
  uint64_t Copied(std::span<const std::byte> bytes);

 private:
  struct Range {
    uintptr_t begin, end;
  };
  bool Knows(std::span<const std::byte> bytes) const;
  void ReadMaps();
  std::vector<Range> shared_;
};

}  // namespace edges
#endif  // EDGES_SHARED_MEMORY_H_
