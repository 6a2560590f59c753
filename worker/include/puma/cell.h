#ifndef PUMA_CELL_H_
#define PUMA_CELL_H_
// One lock-free word that several threads or processes see as a T: what Shared (<puma/attributes.h>) and Atomic (<puma/primitives.h>) are.
#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace puma::internal {

template <class T>
inline constexpr bool FitsCell = std::is_trivially_copyable_v<T> && sizeof(T) <= 8;

// `Self` has cell(), the word. Thread-safe. What was written before a store, an exchange or a sum is seen by who has loaded its value.
template <class Self, class T>
class CellOperations {
 public:
  T load() const { return Value(word()->load(std::memory_order_acquire)); }
  void store(T value) { word()->store(Word(value), std::memory_order_release); }
  T exchange(T value) { return Value(word()->exchange(Word(value), std::memory_order_acq_rel)); }
  // False: it was another value, which `expected` is now.
  bool compare_exchange(T& expected, T desired) {
    static_assert(std::has_unique_object_representations_v<T> || std::floating_point<T>,
                  "puma: compare_exchange compares bytes; this type has some that mean nothing");
    uint64_t seen = Word(expected);
    if (word()->compare_exchange_strong(seen, Word(desired), std::memory_order_acq_rel, std::memory_order_acquire)) return true;
    expected = Value(seen);
    return false;
  }
  T fetch_add(T by) {  // returns the value before; whole numbers wrap
    static_assert((std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T>, "puma: only numbers can be added to");
    T before = load();
    while (!compare_exchange(before, Sum(before, by))) {
    }
    return before;
  }

 protected:
  static uint64_t Word(const T& value) {
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
  static T Value(uint64_t word) {
    std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), &word, sizeof bytes);
    return std::bit_cast<T>(bytes);
  }

 private:
  static T Sum(T a, T b) {
    if constexpr (std::integral<T>) {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  }
  std::atomic<uint64_t>* word() const { return static_cast<const Self*>(this)->cell(); }
};

}  // namespace puma::internal
#endif  // PUMA_CELL_H_
