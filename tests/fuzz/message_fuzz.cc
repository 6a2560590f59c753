// Packets of the shim's protocol from a peer that sends what it likes.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "worker/platform/seqpacket.h"
#include "worker/shim/message.h"

namespace puma::shim {
namespace {

template <class... T>
void SplitAll(const Incoming& message) {
  const auto split = [&]<class One>(One body) {
    std::span<const std::byte> rest;
    if (Split(message, message.fds.size(), body, rest)) fuzz::Touch(rest);
  };
  (split(T{}), ...);
}

}  // namespace
}  // namespace puma::shim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;        // NOLINT(google-build-using-namespace)
  using namespace puma::shim;  // NOLINT(google-build-using-namespace)
  fuzz::Input input(data, size);
  auto [ours, theirs] = SeqpacketPair();
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  const auto how = input.Take<uint8_t>();
  std::vector<std::byte> bytes(input.rest().size());
  std::transform(input.rest().begin(), input.rest().end(), bytes.begin(), [](uint8_t b) { return std::byte{b}; });
  const int fds[] = {0, 1, 2};
  const auto count = static_cast<uint32_t>(how % 4);
  if (how / 4 % 4 != 0) {  // with a header that says the truth, but for its type
    Header header;
    header.type = static_cast<Type>(how % 2 == 0 ? how : how % 28);
    header.length = static_cast<uint32_t>(sizeof header + bytes.size());
    header.fd_count = how / 16 % 4 == 3 ? how : count;
    bytes.insert(bytes.begin(), sizeof header, std::byte{0});
    memcpy(bytes.data(), &header, sizeof header);
  }
  if (SendPacket(theirs.get(), bytes, std::span(fds, count)) != 0) return 0;
  const Incoming message = Receive(ours.get());
  if (message.kind != Incoming::Kind::kMessage) return 0;
  fuzz::Must(message.fds.size() == message.header.fd_count, "other descriptors than the header says");
  fuzz::Must(message.body.size() + sizeof(Header) == message.header.length, "another length than the header says");
  SplitAll<Hello, Spawn, Grant, StartTask, Attach, EndLane, GateDown, Attached, KillTree, Offer, WorkerFailed>(message);
  return 0;
}
