#ifndef PUMA_WORKER_RUNNABLE_STACK_H_
#define PUMA_WORKER_RUNNABLE_STACK_H_
// Stacks as addresses, cheap to take; they get names only at the door where somebody wants to read them. Thread-safe.
#include <puma/codec.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace puma::internal {

struct RawStack {
  static constexpr size_t kMaxFrames = 48;
  std::array<uintptr_t, kMaxFrames> addresses;  // of the calls, the innermost first
  size_t count = 0;
  std::span<const uintptr_t> view() const { return {addresses.data(), count}; }
};

// The caller's stack without its first `skip` frames. Async-signal-safe enough for a crash handler: it allocates nothing.
__attribute__((noinline)) RawStack CaptureStack(size_t skip = 0);

// The stack at which the exception object at `object` was thrown; empty if its throw wasn't seen. (libpuma's __cxa_throw notes the last
// 64 throws of the process.)
RawStack StackOfThrow(const void* object);

// Module, offset and function of an address: from the dynamic symbols, else from the file's symbol table.
Frame Symbolise(uintptr_t address);
std::vector<Frame> Symbolise(std::span<const uintptr_t> addresses);

// The function that lies at `offset` (an address as the file has it) by the symbol table of the object file; "" if stripped.
std::string FunctionInFile(const std::string& path, uint64_t offset);

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_STACK_H_
