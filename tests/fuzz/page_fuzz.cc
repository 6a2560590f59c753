// A task page that lies: to the host that reads its states, and to a publisher that gates on it.
#include <fcntl.h>

#include "tests/fuzz/hostile_ring.h"
#include "worker/buffer/task_page.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;  // NOLINT(google-build-using-namespace)
  fuzz::Input input(data, size);
  fuzz::HostileRing ring(input);
  const ReadState states[] = {{1, 3, 0}, {2, ~uint64_t{0}, 1}, {3, 0, 0}};
  TaskPage page = TaskPage::Create(1, 1, states).value();
  const std::span<std::byte> memory(page.segment().data(), page.segment().size());
  const auto lies = fuzz::LiesAbout(input, memory, sizeof(PageHeader) + 4 * sizeof(PageSlot));
  const bool before = size % 2 == 0;
  if (before) fuzz::Tell(lies);
  auto view = TaskPageView::Open(UniqueFd(::fcntl(page.segment().fd(), F_DUPFD_CLOEXEC, 0)));
  if (!before) fuzz::Tell(lies);
  if (!view.ok()) return 0;
  fuzz::Must(view->States().size() <= 1024, "more states than slots");
  RingWriter& writer = ring.writer();
  const uint32_t slot = view->constants().slots == 0 ? 0 : view->constants().slots - 1;
  if (view->constants().slots == 0) return 0;
  for (uint32_t i : {0u, slot}) {
    writer.SetGate({.subscription = i,
                    .position = &view->slot(i).position,
                    .tag = &view->slot(i).tag,
                    .sleep = &view->header().sleep,
                    .floor = writer.constants().base});
    fuzz::Must(writer.Waiting() <= writer.constants().slots, "a position beyond the ring counts");
    if (writer.HasRoom(40)) {
      auto room = writer.TryReserve(40);
      if (room.ok()) writer.Commit(40);
    }
    WaitSet set;
    writer.AnnounceWant(40);
    writer.AddLaggingTo(set);
    writer.WithdrawWant();
  }
  return 0;
}
