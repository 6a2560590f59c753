#ifndef PUMA_WORKER_BUFFER_RING_WORDS_H_
#define PUMA_WORKER_BUFFER_RING_WORDS_H_
// Numbers, words and the barrier of the busy side: what the paths of every message need. Private to the room.
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "worker/buffer/layout.h"

namespace puma::internal {

// Positions, tails and floors are numbers that wrap: which of two is earlier is a question of their difference.
inline bool Before(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b) < 0; }
inline constexpr uint64_t RoundUp(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// The low half of a number: what the kernel compares.
static_assert(std::endian::native == std::endian::little, "the futex word is the half at the number's address");
inline const Word32* LowHalf(const Word64* word) { return reinterpret_cast<const Word32*>(word); }
inline uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }

// Bytes of the payload ring that a message takes. Never 0, so that "head equals oldest" means full.
inline uint64_t PayloadNeed(uint64_t bytes) { return RoundUp(bytes == 0 ? 1 : bytes, kPayloadAlignment); }

// The barrier between "I stored what you wait for" and "do you sleep?" (P3, R4).
inline void BarrierOfTheBusy(WakeMode mode) {
  if (mode == WakeMode::kFenced) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  } else {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the other side's membarrier does the rest
  }
}

// Descriptors and annotations are written and read word by word: lossy readers may look while they are overwritten. A torn copy is thrown
// away afterwards, but it is no data race.
inline uint64_t LoadWord(const void* word) {
  return std::atomic_ref<uint64_t>(*static_cast<uint64_t*>(const_cast<void*>(word))).load(std::memory_order_relaxed);
}
template <typename T>
T LoadWords(const T& from) {
  static_assert(sizeof(T) % 8 == 0);
  uint64_t words[sizeof(T) / 8];
  for (size_t i = 0; i < std::size(words); ++i) words[i] = LoadWord(reinterpret_cast<const std::byte*>(&from) + 8 * i);
  T to;
  memcpy(&to, words, sizeof to);
  return to;
}
template <typename T>
void StoreWords(T& to, const T& value) {
  static_assert(sizeof(T) % 8 == 0);
  uint64_t words[sizeof(T) / 8];
  memcpy(words, &value, sizeof words);
  auto* at = reinterpret_cast<uint64_t*>(&to);
  for (size_t i = 0; i < std::size(words); ++i) std::atomic_ref<uint64_t>(at[i]).store(words[i], std::memory_order_relaxed);
}

}  // namespace puma::internal
#endif  // PUMA_WORKER_BUFFER_RING_WORDS_H_
