// A publisher that changes its words while they are being read.
#include <thread>

#include "tests/fuzz/hostile_ring.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;  // NOLINT(google-build-using-namespace)
  fuzz::Input input(data, size);
  fuzz::HostileRing ring(input);
  const auto reader = RingReader::Open(ring.memory()).value();
  const auto lies = fuzz::LiesAbout(input, ring.memory(), sizeof(RingHeader) + 256);
  std::jthread liar([&](const std::stop_token& over) {
    while (!over.stop_requested()) {
      fuzz::Tell(lies);
      fuzz::TakeBack(lies);
    }
  });
  for (int i = 0; i < 50; ++i) {
    ring.Read(reader);
    if (auto late = RingReader::Open(ring.memory()); late.ok()) ring.Read(*late);
  }
  return 0;
}
