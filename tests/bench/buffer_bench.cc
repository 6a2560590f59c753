// The data plane against what the machine and the peers do in the same run.
#include "tests/bench/buffer_cases.h"
#include "worker/platform/system.h"

int main(int argc, char** argv) {
  puma::RegisterMembarrier();
  puma::bench::PinTo(0);
  puma::bench::Bench bench;
  puma::bench::AddRates(bench);
  puma::bench::AddRoundTrips(bench);
  puma::bench::AddLarge(bench);
  puma::bench::AddWakes(bench);
  puma::bench::AddPeers(bench);
  return bench.Run(argc, argv);
}
