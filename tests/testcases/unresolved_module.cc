// A module that needs a function which nobody has.
#include <puma/module.h>

void NobodyHasThis();

PUMA_MODULE(unresolved_module) { NobodyHasThis(); }
