#include "worker/runnable/stack.h"

#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include "worker/platform/mutex.h"

namespace puma::internal {
namespace {

struct UnwindState {
  RawStack* stack;
  size_t skip;
};

_Unwind_Reason_Code OnFrame(_Unwind_Context* context, void* argument) {
  auto* state = static_cast<UnwindState*>(argument);
  if (state->skip > 0) {
    --state->skip;
    return _URC_NO_REASON;
  }
  int before = 0;
  uintptr_t address = _Unwind_GetIPInfo(context, &before);
  if (address == 0) return _URC_END_OF_STACK;
  if (state->stack->count == RawStack::kMaxFrames) return _URC_END_OF_STACK;
  state->stack->addresses[state->stack->count++] = address - (before ? 0 : 1);  // within the call, not behind it
  return _URC_NO_REASON;
}

// The last throws. A ring: an object's address may be used again, so the newest entry counts.
struct Throws {
  Mutex mutex;
  struct Entry {
    const void* object = nullptr;
    RawStack stack;
  };
  std::array<Entry, 64> entries PUMA_GUARDED_BY(mutex);
  size_t next PUMA_GUARDED_BY(mutex) = 0;

  void Note(const void* object, const RawStack& stack) {
    MutexLock lock(mutex);
    for (Entry& entry : entries) {
      if (entry.object == object) entry.object = nullptr;
    }
    entries[next] = {object, stack};
    next = (next + 1) % entries.size();
  }
  RawStack Find(const void* object) {
    MutexLock lock(mutex);
    for (const Entry& entry : entries) {
      if (entry.object == object) return entry.stack;
    }
    return {};
  }
};

Throws& TheThrows() {
  static Throws* const throws = new Throws;  // never destroyed: destructors throw, too
  return *throws;
}

}  // namespace

RawStack CaptureStack(size_t skip) {
  RawStack stack;
  UnwindState state{&stack, skip + 1};
  _Unwind_Backtrace(OnFrame, &state);
  return stack;
}

RawStack StackOfThrow(const void* object) { return TheThrows().Find(object); }

void NoteThrowOf(const void* object) noexcept { TheThrows().Note(object, CaptureStack(1)); }

Frame Symbolise(uintptr_t address) {
  Frame frame;
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0) {
    frame.offset = address;
    return frame;
  }
  frame.module = info.dli_fname != nullptr ? info.dli_fname : "";
  frame.offset = address - (map != nullptr ? map->l_addr : reinterpret_cast<uintptr_t>(info.dli_fbase));
  if (info.dli_sname != nullptr) frame.function = Demangle(info.dli_sname);
  if (frame.function.empty()) {
    bool program = map != nullptr && map->l_name[0] == '\0';
    frame.function = FunctionInFile(program ? "/proc/self/exe" : frame.module, frame.offset);
  }
  return frame;
}

std::vector<Frame> Symbolise(std::span<const uintptr_t> addresses) {
  std::vector<Frame> frames;
  frames.reserve(addresses.size());
  for (uintptr_t address : addresses) frames.push_back(Symbolise(address));
  return frames;
}

}  // namespace puma::internal
