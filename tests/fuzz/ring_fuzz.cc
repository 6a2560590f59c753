// A ring that lies, to readers that knew it before and to such that come later, and to the writer that takes it up.
#include "tests/fuzz/hostile_ring.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;  // NOLINT(google-build-using-namespace)
  fuzz::Input input(data, size);
  fuzz::HostileRing ring(input);
  auto known = RingReader::Open(ring.memory()).value();
  fuzz::Tell(fuzz::LiesAbout(input, ring.memory(), sizeof(RingHeader) + 256));
  ring.Read(known);
  if (auto reader = RingReader::Open(ring.memory()); reader.ok()) ring.Read(*reader);
  if (auto writer = RingWriter::Resume(ring.memory()); writer.ok()) {
    Word64 position{0}, tag{1};
    (*writer)->SetGate({.subscription = 1, .position = &position, .tag = &tag, .floor = (*writer)->constants().base});
    for (int i = 0; i < 12; ++i) {
      if (auto room = (*writer)->TryReserve(40); room.ok()) {
        memset(room->data(), 0x55, room->size());
        (*writer)->Commit(40);
      }
      position = (*writer)->tail() - static_cast<uint64_t>(i % 3);
    }
    (*writer)->Complete("over");
  }
  return 0;
}
