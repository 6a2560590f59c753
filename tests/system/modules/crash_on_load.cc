// A module that kills the process that loads it.
#include <puma/module.h>

#include <cstdlib>

namespace {
[[gnu::constructor]] void Crash() { abort(); }
}  // namespace

PUMA_MODULE(crash_on_load) { (void)module; }
