// A module of another version of the SDK.
#include <puma/module.h>

extern "C" __attribute__((visibility("default"))) const int puma_abi_old_module;
extern "C" __attribute__((visibility("default"))) const int puma_abi_old_module = 0;
extern "C" __attribute__((visibility("default"))) void puma_module_old_module(puma::Module&) {}
