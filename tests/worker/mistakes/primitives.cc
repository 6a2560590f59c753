// Mistakes with primitives that the compiler refuses, each with one short text (cmake/PumaMistakes.cmake).
#include <puma/environment.h>
#include <puma/primitives.h>

struct Twelve {
  int numbers[3];
};
struct Padded {
  char letter;
  int number;
};

void Use(puma::Environment& env) {
  auto count = env.CreateAtomic<int>("count");
  count.fetch_add(1);
  auto padded = env.CreateAtomic<Padded>("padded");
  padded.store({'a', 1});
#if defined(ATOMIC_TOO_LARGE)  // puma: Atomic<T> is one lock-free cell: T is trivially copyable and has at most 8 bytes
  env.OpenAtomic<Twelve>("numbers").store({});
#elif defined(ADDED_TO_A_BOOL)        // puma: only numbers can be added to
  env.OpenAtomic<bool>("flag").fetch_add(true);
#elif defined(COMPARED_WITH_PADDING)  // puma: compare_exchange compares bytes; this type has some that mean nothing
  Padded expected{};
  padded.compare_exchange(expected, {});
#endif
}
