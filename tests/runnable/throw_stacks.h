#ifndef PUMA_TESTS_RUNNABLE_THROW_STACKS_H_
#define PUMA_TESTS_RUNNABLE_THROW_STACKS_H_

namespace puma::testing {

// The address sanitizer's own hook of throws stands before ours: no stacks of throws there.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kThrowsHaveStacks = false;
#else
inline constexpr bool kThrowsHaveStacks = true;
#endif

}  // namespace puma::testing
#endif  // PUMA_TESTS_RUNNABLE_THROW_STACKS_H_
