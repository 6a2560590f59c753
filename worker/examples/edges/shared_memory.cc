#include "shared_memory.h"

#include <cinttypes>
#include <cstdio>

#include "file.h"

namespace edges {

uint64_t SharedMemory::Copied(std::span<const std::byte> bytes) {
  if (Knows(bytes)) return 0;
  ReadMaps();
  return Knows(bytes) ? 0 : bytes.size();
}

bool SharedMemory::Knows(std::span<const std::byte> bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  for (const Range& range : shared_) {
    if (begin >= range.begin && begin + bytes.size() <= range.end) return true;
  }
  return false;
}

void SharedMemory::ReadMaps() {
  shared_.clear();
  File maps(std::fopen("/proc/self/maps", "r"));
  char line[4352];  // a path and what stands before it
  while (maps && std::fgets(line, sizeof(line), maps.get()) != nullptr) {
    Range range{};
    char permissions[5] = {};
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &range.begin, &range.end, permissions) != 3 || permissions[3] != 's') continue;
    if (!shared_.empty() && shared_.back().end == range.begin) {
      shared_.back().end = range.end;  // one lane may be mapped in several pieces
    } else {
      shared_.push_back(range);
    }
  }
}

}  // namespace edges
