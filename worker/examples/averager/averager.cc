#include "averager.h"

PUMA_MODULE(averager) { module.Add<Averager>("Averager"); }
