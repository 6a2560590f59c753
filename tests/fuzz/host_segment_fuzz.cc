// An H that was damaged: the worker that reads commands from it, and the next host that takes it up.
#include <fcntl.h>
#include <sys/eventfd.h>

#include "tests/fuzz/fuzz_input.h"
#include "worker/control/control_segments.h"

namespace puma::control {
namespace {

UniqueFd Copy(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

void BeWorker(WorkerControl& worker) {
  for (uint32_t slot : {0u, 1u}) {
    if (!worker.OpenSlot(slot).ok()) continue;
    worker.EnterTask(slot, 1, 1, 1);
    for (int i = 0; i < 4; ++i) {
      Word64& position = worker.command_position(slot);
      auto item = worker.commands(slot).Look(position.load());
      if (!item.ok() || !item->has_value()) break;
      fuzz::Touch((*item)->bytes);
      position.fetch_add(1);
    }
    worker.SetState(slot, SlotState::kRunning);
  }
  LogEntry entry{};
  for (int i = 0; i < 3; ++i) worker.SendLog(entry, "text");
  worker.SendResult(ResultRecord{}, "result");
  worker.RingDoorbell();
}

}  // namespace
}  // namespace puma::control

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;           // NOLINT(google-build-using-namespace)
  using namespace puma::control;  // NOLINT(google-build-using-namespace)
  fuzz::Input input(data, size);
  auto made = HostControl::Create(2).value();
  for (uint32_t slot : {0u, 1u}) {
    for (int i = 0; i < 3; ++i) made->SendCommand(slot, CommandRecord{}, "name", "{}").IgnoreError();
  }
  made->SendStop(1);
  const UniqueFd fd = Copy(made->host_fd());
  auto mapped = Segment::MapWritable(Copy(fd.get()), sizeof(HostHeader)).value();
  const HostMap map = MapOfHost(2);
  const size_t start = input.Take<uint8_t>() % 3 == 0 ? 0 : map.first_slot;
  const auto lies = fuzz::LiesAbout(input, std::span(mapped.data(), mapped.size()).subspan(start), 6 << 10);
  const bool before = size % 2 == 0;
  if (before) fuzz::Tell(lies);
  auto worker = WorkerControl::Create(Copy(fd.get()), UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), 0);
  if (!before) fuzz::Tell(lies);
  if (worker.ok()) BeWorker(**worker);
  made = nullptr;
  auto next = HostControl::Adopt(Copy(fd.get()));
  if (!next.ok()) return 0;
  for (uint32_t slot = 0; slot < (*next)->slots() && slot < 2; ++slot) {
    (*next)->SendCommand(slot, CommandRecord{}, "name", "{}").IgnoreError();
    (*next)->SendStop(slot);
    (*next)->ResetSlot(slot, 2);
  }
  return 0;
}
