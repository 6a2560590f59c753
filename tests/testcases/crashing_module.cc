// A module that does not survive being loaded.
#include <puma/module.h>

namespace {
struct CrashesOnLoad {
  CrashesOnLoad() { *static_cast<volatile int*>(nullptr) = 1; }
} crashes_on_load;
}  // namespace

PUMA_MODULE(crashing_module) {}
