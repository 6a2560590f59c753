#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/control/control_segments.h"
#include "worker/control/log_ring.h"
#include "worker/platform/mutex.h"

namespace puma::control {
namespace {

std::span<std::byte> Part(std::byte* from, size_t offset, size_t bytes) { return {from + offset, bytes}; }

size_t Write(std::span<std::byte> to, const void* record, size_t record_bytes, std::string_view text) {
  std::memcpy(to.data(), record, record_bytes);
  if (!text.empty()) std::memcpy(to.data() + record_bytes, text.data(), text.size());
  return record_bytes + text.size();
}

}  // namespace

struct WorkerControl::Impl {
  Segment host, worker;
  UniqueFd doorbell;
  uint32_t slots = 0;
  WorkerMap map{};
  HostMap host_map{};
  std::vector<RingReader> commands;
  std::atomic<uint32_t> rung{0};  // the sleep of the host that was rung for

  Mutex result_mutex;
  std::unique_ptr<RingWriter> results PUMA_GUARDED_BY(result_mutex);

  std::unique_ptr<LogRing> logs;

  Mutex source_mutex;
  using SourceKey = std::tuple<uint32_t, uint32_t, std::string_view, std::string_view, std::string_view>;  // views of the arena
  std::map<SourceKey, uint32_t> sources PUMA_GUARDED_BY(source_mutex);
  std::optional<StringArena> arena PUMA_GUARDED_BY(source_mutex);

  WorkerHeader& header() { return *reinterpret_cast<WorkerHeader*>(worker.data()); }
  const HostHeader& host_header() const { return *reinterpret_cast<const HostHeader*>(host.data()); }
  const std::byte* host_slot(uint32_t slot) const { return host.data() + host_map.first_slot + slot * host_map.slot_stride; }
  TaskSlot& task(uint32_t slot) { return reinterpret_cast<TaskSlot*>(worker.data() + map.tasks)[slot]; }

  absl::Status MapHost(UniqueFd fd, uint32_t wanted_slots);
  absl::Status MakeWorker();
  absl::Status MakeRings();
  absl::Status OpenSlot(uint32_t slot);
  // After what the host must see: rings if it sleeps. The caller has put a full barrier between.
  void RingIfAsleep();
};

absl::Status WorkerControl::Impl::MapHost(UniqueFd fd, uint32_t wanted_slots) {
  auto mapped = Segment::MapReadOnly(std::move(fd), Seals::kSize, sizeof(HostHeader));
  if (!mapped.ok()) return mapped.status();
  host = std::move(*mapped);
  const HostHeader& h = host_header();
  if (h.magic != kHostMagic || h.version != kVersion) return absl::DataLossError("host segment: not of this version");
  slots = wanted_slots == 0 ? h.slots : wanted_slots;
  if (slots == 0 || slots > kMaxSlots || slots > h.slots)
    return absl::InvalidArgumentError(absl::StrCat("host segment: has no ", slots, " slots"));
  host_map = MapOfHost(slots);
  if (host.size() < host_map.bytes) return absl::DataLossError("host segment: too short");
  commands.resize(slots);
  return absl::OkStatus();
}

absl::Status WorkerControl::Impl::MakeWorker() {
  map = MapOfWorker(slots);
  auto made = Segment::Create("puma-worker", map.bytes, Seals::kOneWriter, map.tasks + sizeof(TaskSlot));
  if (!made.ok()) return made.status();
  worker = std::move(*made);
  WorkerHeader& h = header();
  h.version = kVersion;
  h.slots = slots;
  h.pid = ::getpid();
  h.magic = kWorkerMagic;
  h.source_count.store(1, std::memory_order_release);  // 0 is "unknown"
  return MakeRings();
}

absl::Status WorkerControl::Impl::MakeRings() {
  auto made_results = RingWriter::Create(Part(worker.data(), map.results, map.logs - map.results), ResultRingOptions());
  if (!made_results.ok()) return made_results.status();
  auto made_logs =
      LogRing::Create(Part(worker.data(), map.logs, map.bytes - map.logs), LogRingOptions(), &host_header().log_position, header().dropped);
  if (!made_logs.ok()) return made_logs.status();
  logs = *std::move(made_logs);
  Gate gate;
  gate.subscription = 1;
  gate.position = &host_header().result_position;
  (*made_results)->SetGate(gate);
  MutexLock results_lock(result_mutex);
  results = std::move(*made_results);
  MutexLock source_lock(source_mutex);
  arena.emplace(worker.data() + map.arena, static_cast<uint32_t>(kSourceBytes));
  return absl::OkStatus();
}

absl::Status WorkerControl::Impl::OpenSlot(uint32_t slot) {
  auto opened = RingReader::Open({host_slot(slot) + host_map.command_ring, host_map.slot_stride - host_map.command_ring});
  if (!opened.ok()) return opened.status();
  commands[slot] = *opened;
  task(slot).command_position.store(opened->constants().base, std::memory_order_release);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<WorkerControl>> WorkerControl::Create(UniqueFd host, UniqueFd doorbell, uint32_t slots) {
  auto impl = std::make_unique<Impl>();
  impl->doorbell = std::move(doorbell);
  if (auto status = impl->MapHost(std::move(host), slots); !status.ok()) return status;
  if (auto status = impl->MakeWorker(); !status.ok()) return status;
  for (uint32_t slot = 0; slot < impl->slots; ++slot) {
    if (auto status = impl->OpenSlot(slot); !status.ok()) return status;
  }
  return std::unique_ptr<WorkerControl>(new WorkerControl(std::move(impl)));
}

WorkerControl::WorkerControl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerControl::~WorkerControl() = default;

WorkerHeader& WorkerControl::header() { return impl_->header(); }
TaskSlot& WorkerControl::task(uint32_t slot) { return impl_->task(slot); }
const HostSlot& WorkerControl::host_slot(uint32_t slot) const { return *reinterpret_cast<const HostSlot*>(impl_->host_slot(slot)); }
const HostHeader& WorkerControl::host() const { return impl_->host_header(); }
absl::Status WorkerControl::OpenSlot(uint32_t slot) { return impl_->OpenSlot(slot); }
RingReader& WorkerControl::commands(uint32_t slot) { return impl_->commands[slot]; }
Word64& WorkerControl::command_position(uint32_t slot) { return impl_->task(slot).command_position; }
Segment& WorkerControl::segment() { return impl_->worker; }

void WorkerControl::SendResult(const ResultRecord& record, std::string_view text) {
  ResultRecord sent = record;
  std::string too_large;
  if (text.size() > kResultBytes) {
    sent.code = static_cast<int32_t>(absl::StatusCode::kResourceExhausted);
    too_large = absl::StrCat(R"({"code":8,"message":"the result has )", text.size(), " bytes, more than ", kResultBytes, R"("})");
    text = too_large;
  }
  sent.length = static_cast<uint32_t>(text.size());
  {
    MutexLock lock(impl_->result_mutex);
    RingWriter* ring = impl_->results.get();
    const size_t bytes = sizeof(sent) + text.size();
    auto place = ring->TryReserve(bytes);
    while (!place.ok()) {
      // Results are answers to callers that wait: none is dropped. The host drains, or its successor does.
      (void)WaitForRoom({&ring, 1}, bytes, RoomWait{});
      place = ring->TryReserve(bytes);
    }
    ring->Commit(Write(*place, &sent, sizeof(sent), text));
  }
  RingDoorbell();
}

bool WorkerControl::SendLog(LogEntry entry, std::string_view text) {
  if (!impl_->logs->Send(entry, text)) return false;
  impl_->RingIfAsleep();
  return true;
}

uint32_t WorkerControl::InternSource(uint32_t slot_plus_one, std::string_view logger, std::string_view file, uint32_t line,
                                     std::string_view function) {
  MutexLock lock(impl_->source_mutex);
  const auto found = impl_->sources.find(Impl::SourceKey{slot_plus_one, line, logger, file, function});
  if (found != impl_->sources.end()) return found->second;
  const uint32_t index = impl_->header().source_count.load(std::memory_order_relaxed);
  Source source{slot_plus_one,
                line,
                0,
                static_cast<uint32_t>(logger.size()),
                0,
                static_cast<uint32_t>(file.size()),
                0,
                static_cast<uint32_t>(function.size())};
  if (index >= kMaxSources || !impl_->arena->Intern(logger, source.logger) || !impl_->arena->Intern(file, source.file) ||
      !impl_->arena->Intern(function, source.function)) {
    return 0;
  }
  std::memcpy(impl_->worker.data() + impl_->map.sources + index * sizeof(Source), &source, sizeof(source));
  impl_->sources.emplace(
      Impl::SourceKey{slot_plus_one, line, impl_->arena->View(source.logger, logger.size()), impl_->arena->View(source.file, file.size()),
                      impl_->arena->View(source.function, function.size())},
      index);
  impl_->header().source_count.store(index + 1, std::memory_order_release);  // pairs with SourceAt
  return index;
}

// Only one thread at a time changes a slot: no read-modify-write.
static uint32_t NextState(const TaskSlot& slot, SlotState state) {
  return (slot.state.load(std::memory_order_relaxed) / 8 + 1) * 8 + static_cast<uint32_t>(state);
}

void WorkerControl::EnterTask(uint32_t slot, uint64_t task, uint64_t run, uint64_t ticket) {
  TaskSlot& t = impl_->task(slot);
  // Free between two tasks, so that nobody sees the new one with the old one's end. Pairs with View.
  t.state.store(NextState(t, SlotState::kFree), std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  t.task.store(task, std::memory_order_relaxed);
  t.run.store(run, std::memory_order_relaxed);
  t.ticket.store(ticket, std::memory_order_relaxed);
  t.busy_since.store(0, std::memory_order_relaxed);
  t.published.store(0, std::memory_order_relaxed);
  t.finished.store(0, std::memory_order_relaxed);
  t.grown.store(0, std::memory_order_relaxed);
  __atomic_store_n(&t.failure_length, 0, __ATOMIC_RELAXED);
  SetState(slot, SlotState::kStarting);
}

void WorkerControl::SetState(uint32_t slot, SlotState state) {
  TaskSlot& t = impl_->task(slot);
  t.state.store(NextState(t, state), std::memory_order_release);  // pairs with View
  RingDoorbell();
}

void WorkerControl::Fail(uint32_t slot, std::string_view failure_json) {
  TaskSlot& t = impl_->task(slot);
  const size_t length = std::min<size_t>(failure_json.size(), kFailureBytes);
  std::memcpy(t.failure, failure_json.data(), length);
  __atomic_store_n(&t.failure_length, static_cast<uint32_t>(length), __ATOMIC_RELAXED);
  SetState(slot, SlotState::kFailed);
}

void WorkerControl::RingDoorbell() {
  // The message, then the question whether the host sleeps; there the sleep, then the question whether there is a message.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  impl_->RingIfAsleep();
}

void WorkerControl::Impl::RingIfAsleep() {
  const uint32_t sleep = host_header().host_sleeping.load(std::memory_order_relaxed);
  if (sleep % 2 == 0) return;
  // Once a sleep is enough: an eventfd stays readable until the host has read it, and it drains after that.
  if (rung.exchange(sleep, std::memory_order_relaxed) == sleep) return;
  const uint64_t one = 1;
  (void)!::write(doorbell.get(), &one, sizeof(one));
}

}  // namespace puma::control
