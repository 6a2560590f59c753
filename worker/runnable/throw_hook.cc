// Notes the stack of every throw of the process, those of dlopened modules too: libpuma stands before libstdc++ in the search order.
// Nothing is included here that could throw: the compiler would then declare __cxa_throw itself, with other types.
#include <dlfcn.h>
#include <stdlib.h>

namespace puma::internal {
void NoteThrowOf(const void* object) noexcept;
}

extern "C" {
__attribute__((visibility("default"), noreturn)) void __cxa_throw(void* object, void* type, void (*destructor)(void*));

void __cxa_throw(void* object, void* type, void (*destructor)(void*)) {
  using Throw = void (*)(void*, void*, void (*)(void*));
  static const Throw next = reinterpret_cast<Throw>(dlsym(RTLD_NEXT, "__cxa_throw"));
  puma::internal::NoteThrowOf(object);
  if (next == nullptr) abort();
  next(object, type, destructor);
  __builtin_unreachable();
}
}
