#include "worker/examples/edges/shared_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

namespace edges {
namespace {

TEST(SharedMemory, MemoryOfThisProcessOnlyCountsAsCopied) {
  const std::vector<std::byte> own(1 << 20);
  EXPECT_EQ(SharedMemory().Copied(own), own.size());
}

TEST(SharedMemory, WhatLiesInASharedMappingWasNotCopied) {
  constexpr size_t kBytes = 1 << 20;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const std::span<const std::byte> bytes(static_cast<std::byte*>(memory), kBytes);
  SharedMemory shared;
  EXPECT_EQ(shared.Copied(bytes), 0u);
  EXPECT_EQ(shared.Copied(bytes.subspan(1000, 5)), 0u);
  munmap(memory, kBytes);
}

}  // namespace
}  // namespace edges
