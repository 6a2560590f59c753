#ifndef PUMA_TESTS_FUZZ_FUZZ_INPUT_H_
#define PUMA_TESTS_FUZZ_FUZZ_INPUT_H_
// How a fuzzer's bytes become a hostile peer: an honest segment is made, then words of it are overwritten as the bytes say. So the fuzzer
// begins behind all the checks, and its corpus needs no files: the empty input is the honest segment.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

namespace puma::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}
  // The next bytes as a number; 0 behind the end.
  template <typename T>
  T Take() {
    T value{};
    const size_t bytes = left_.size() < sizeof value ? left_.size() : sizeof value;
    if (bytes != 0) memcpy(&value, left_.data(), bytes);
    left_ = left_.subspan(bytes);
    return value;
  }
  bool empty() const { return left_.empty(); }
  std::span<const uint8_t> rest() const { return left_; }

 private:
  std::span<const uint8_t> left_;
};

// One word of a segment, and what a liar writes there.
struct Lie {
  uint64_t* at;
  uint64_t honest, value;
};

inline void StoreWord(uint64_t* at, uint64_t value) { std::atomic_ref<uint64_t>(*at).store(value, std::memory_order_relaxed); }

// What the rest of the input says about `memory`; every second lie is about its first `front` bytes.
inline std::vector<Lie> LiesAbout(Input& input, std::span<std::byte> memory, size_t front) {
  static constexpr uint64_t kExtremes[] = {0,
                                           1,
                                           ~uint64_t{0},
                                           ~uint64_t{0} - 9,
                                           uint64_t{1} << 63,
                                           (uint64_t{1} << 63) - 1,
                                           1 << 20,
                                           0xffffffff,
                                           uint64_t{1} << 40,
                                           uint64_t{1} << 32,
                                           63,
                                           64};
  std::vector<Lie> lies;
  while (!input.empty() && lies.size() < 64) {
    const auto how = input.Take<uint8_t>();
    const size_t words = (how % 2 == 0 ? std::min(front, memory.size()) : memory.size()) / 8;
    uint64_t* at = reinterpret_cast<uint64_t*>(memory.data()) + input.Take<uint32_t>() % words;
    uint64_t honest;
    memcpy(&honest, at, 8);
    uint64_t value = honest;
    switch (how / 2 % 5) {
      case 0:
        value = input.Take<uint64_t>();
        break;
      case 1:
        value ^= uint64_t{1} << input.Take<uint8_t>() % 64;
        break;
      case 2:
        value = kExtremes[input.Take<uint8_t>() % std::size(kExtremes)];
        break;
      case 3:
        value += static_cast<uint64_t>(int64_t{input.Take<int8_t>()});
        break;
      default: {  // one half
        const uint64_t half = input.Take<uint32_t>();
        value = how % 3 == 0 ? (value & 0xffffffff) | half << 32 : (value & ~uint64_t{0xffffffff}) | half;
      }
    }
    lies.push_back({at, honest, value});
  }
  return lies;
}
inline void Tell(std::span<const Lie> lies) {
  for (const Lie& lie : lies) StoreWord(lie.at, lie.value);
}
inline void TakeBack(std::span<const Lie> lies) {
  for (size_t i = lies.size(); i > 0; --i) StoreWord(lies[i - 1].at, lies[i - 1].honest);
}

// Fails the run.
inline void Must(bool so, const char* what) {
  if (so) return;
  fprintf(stderr, "must not be: %s\n", what);
  abort();
}
// Every byte is read: the sanitizer judges.
inline void Touch(std::span<const std::byte> bytes) {
  volatile uint64_t sum = 0;
  for (std::byte b : bytes) sum = sum + static_cast<uint64_t>(b);
}

}  // namespace puma::fuzz
#endif  // PUMA_TESTS_FUZZ_FUZZ_INPUT_H_
