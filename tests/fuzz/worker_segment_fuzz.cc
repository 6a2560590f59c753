// A worker that writes into its W what it likes; the host reads all of it.
#include <fcntl.h>
#include <sys/eventfd.h>

#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "worker/control/control_segments.h"

namespace puma::control {
namespace {

UniqueFd Copy(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// Made once: W has megabytes. Its lies are taken back after each run.
struct Worker {
  Worker() {
    host = HostControl::Create(2).value();
    end = WorkerControl::Create(Copy(host->host_fd()), UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), 0).value();
    fd = Copy(end->segment().fd());
    end->EnterTask(0, 1, 2, 3);
    end->EnterTask(1, 4, 5, 6);
    end->Fail(1, "{\"code\": 3, \"message\": \"x\"}");
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t source = end->InternSource(1, "logger", "file.cc", i, "function");
      LogEntry entry{};
      entry.source = source;
      end->SendLog(entry, "some text");
      ResultRecord record{};
      record.slot = i % 2;
      end->SendResult(record, "a result");
    }
  }
  std::unique_ptr<HostControl> host;  // H of the worker's own end
  std::unique_ptr<WorkerControl> end;
  UniqueFd fd;
};

void Serve(HostControl& host) {
  uint64_t calls = 0;
  host.DrainResults([&](const ResultRecord& record, std::string_view text) {
        fuzz::Must(record.slot < 2, "a result of no slot");
        fuzz::Touch(std::as_bytes(std::span(text)));
        ++calls;
      })
      .IgnoreError();
  host.DrainLogs(
          [&](uint64_t, const LogEntry& entry, std::string_view text) {
            fuzz::Must(entry.level >= 0 && entry.level <= 5 && entry.source < kMaxSources, "an impossible record");
            fuzz::Touch(std::as_bytes(std::span(text)));
            ++calls;
          },
          100)
      .IgnoreError();
  fuzz::Must(calls <= 100 + 1024, "more records than asked for");
  host.AcknowledgeLogs();
  for (uint32_t slot : {0u, 1u}) {
    const auto view = host.View(slot);
    fuzz::Must(view.failure.size() <= kFailureBytes, "a failure longer than its place");
    fuzz::Must(view.state <= SlotState::kFailed, "a state that is none");
    host.SendCommand(slot, CommandRecord{}, "c", "{}").IgnoreError();
  }
  for (uint32_t i : {0u, 1u, 2u, 3u, 4u, 5u, kMaxSources - 1, kMaxSources, ~0u}) {
    auto source = host.SourceAt(i);
    if (source.ok()) fuzz::Must(source->slot_plus_one <= 2, "a source of no slot");
  }
  host.PrepareToSleep();
  host.Awake();
}

}  // namespace
}  // namespace puma::control

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;           // NOLINT(google-build-using-namespace)
  using namespace puma::control;  // NOLINT(google-build-using-namespace)
  static Worker worker;
  fuzz::Input input(data, size);
  const WorkerMap map = MapOfWorker(2);
  // The header and the slots; the sources; either ring's header and first descriptors.
  const auto where = input.Take<uint8_t>();
  const size_t starts[] = {0, map.sources, map.results, map.logs};
  const size_t start = starts[where % 4];
  const std::span<std::byte> all(worker.end->segment().data(), map.bytes);
  const auto lies = fuzz::LiesAbout(input, all.subspan(start, std::min<size_t>(64 << 10, map.bytes - start)), 6 << 10);
  auto host = HostControl::Create(2).value();
  const bool before = where / 4 % 2 == 0;
  if (before) fuzz::Tell(lies);
  if (host->ConnectWorker(Copy(worker.fd.get())).ok()) {
    if (!before) fuzz::Tell(lies);
    for (int i = 0; i < 3; ++i) Serve(*host);
  }
  fuzz::TakeBack(lies);
  return 0;
}
