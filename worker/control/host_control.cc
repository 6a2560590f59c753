#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/control/control_segments.h"

namespace puma::control {
namespace {

constexpr size_t kResultsAtOnce = 1024;  // a worker that never stops can't keep the host from its other ones

// A slot's thread sleeps on the low half of its command ring's tail.
void WakeOnTail(std::byte* ring) {
  auto* header = reinterpret_cast<RingHeader*>(ring);
  ::syscall(SYS_futex, &header->tail, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// Splits a ring's message into a copy of its fixed head and a copy of its text: the original may change while it is looked at.
template <class Record>
absl::Status CopyOutRecord(const RingItem& item, std::string_view what, Record& record, std::string& text) {
  if (item.kind != MessageKind::kValue || item.bytes.size() < sizeof(Record)) {
    return absl::DataLossError(absl::StrCat(std::string(what), " ", item.number, ": not a record"));
  }
  std::memcpy(&record, item.bytes.data(), sizeof(Record));
  if (record.length != item.bytes.size() - sizeof(Record))
    return absl::DataLossError(absl::StrCat(std::string(what), " ", item.number, ": wrong length"));
  text.assign(reinterpret_cast<const char*>(item.bytes.data()) + sizeof(Record), record.length);
  return absl::OkStatus();
}

}  // namespace

struct HostControl::Impl {
  Segment host, worker;
  uint32_t slots = 0;
  HostMap map{};
  WorkerMap worker_map{};
  std::vector<std::unique_ptr<RingWriter>> commands;
  RingReader results, logs;
  uint64_t next_log = 0;
  uint32_t results_want = 0, logs_want = 0;
  std::vector<uint64_t> seen_states;  // as of the last PrepareToSleep
  std::string text;

  HostHeader& header() { return *reinterpret_cast<HostHeader*>(host.data()); }
  std::byte* slot_memory(uint32_t slot) { return host.data() + map.first_slot + slot * map.slot_stride; }
  HostSlot& slot(uint32_t slot) { return *reinterpret_cast<HostSlot*>(slot_memory(slot)); }
  std::span<std::byte> ring(uint32_t slot) { return {slot_memory(slot) + map.command_ring, map.slot_stride - map.command_ring}; }
  bool connected() const { return worker.data() != nullptr; }
  const WorkerHeader& worker_header() const { return *reinterpret_cast<const WorkerHeader*>(worker.data()); }
  const TaskSlot& task(uint32_t slot) const { return reinterpret_cast<const TaskSlot*>(worker.data() + worker_map.tasks)[slot]; }

  void FormatCommands(uint32_t slot);
  void SetCommandGate(uint32_t slot);
  bool StatesChanged();
};

// The front of the ring is made anew; its payload needs no cleaning, nothing refers to it.
void HostControl::Impl::FormatCommands(uint32_t i) {
  RingOptions options = CommandRingOptions();
  options.base = slot(i).next_base.load(std::memory_order_relaxed);
  std::memset(ring(i).data(), 0, RingWriter::BytesNeeded(options).value() - options.payload_bytes);
  commands[i] = std::move(RingWriter::Create(ring(i), options)).value();  // the options are constants
  SetCommandGate(i);
}

// The floor is the ring's beginning: the position of a slot's earlier task lies below it and counts as the floor.
void HostControl::Impl::SetCommandGate(uint32_t i) {
  Gate gate;
  gate.subscription = 1;
  gate.floor = commands[i]->constants().base;
  if (connected()) gate.position = &task(i).command_position;
  commands[i]->RemoveGate(gate.subscription);
  commands[i]->SetGate(gate);
}

absl::StatusOr<std::unique_ptr<HostControl>> HostControl::Create(uint32_t slots) {
  if (slots == 0 || slots > kMaxSlots) return absl::InvalidArgumentError(absl::StrCat("worker: 1 to ", kMaxSlots, " slots, not ", slots));
  auto impl = std::make_unique<Impl>();
  impl->slots = slots;
  impl->map = MapOfHost(slots);
  auto made = Segment::Create("puma-host", impl->map.bytes, Seals::kSize, impl->map.first_slot + sizeof(HostSlot));
  if (!made.ok()) return made.status();
  impl->host = std::move(*made);
  impl->header().version = kVersion;
  impl->header().slots = slots;
  impl->header().magic = kHostMagic;
  impl->commands.resize(slots);
  for (uint32_t i = 0; i < slots; ++i) {
    impl->slot(i).log_level.store(2, std::memory_order_relaxed);
    impl->FormatCommands(i);
  }
  return std::unique_ptr<HostControl>(new HostControl(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<HostControl>> HostControl::Adopt(UniqueFd host) {
  auto impl = std::make_unique<Impl>();
  auto mapped = Segment::MapWritable(std::move(host), sizeof(HostHeader));
  if (!mapped.ok()) return mapped.status();
  impl->host = std::move(*mapped);
  const HostHeader& h = impl->header();
  if (h.magic != kHostMagic || h.version != kVersion) return absl::DataLossError("host segment: not of this version");
  impl->slots = h.slots;
  if (impl->slots == 0 || impl->slots > kMaxSlots) return absl::DataLossError("host segment: impossible number of slots");
  impl->map = MapOfHost(impl->slots);
  if (impl->host.size() < impl->map.bytes) return absl::DataLossError("host segment: too short");
  impl->commands.resize(impl->slots);
  for (uint32_t i = 0; i < impl->slots; ++i) {
    auto resumed = RingWriter::Resume(impl->ring(i));
    // A host that died within ResetSlot leaves half a ring; nobody reads it yet, since the slot was not live.
    if (!resumed.ok() || (*resumed)->constants().base != impl->slot(i).next_base.load(std::memory_order_relaxed)) {
      impl->FormatCommands(i);
      continue;
    }
    impl->commands[i] = std::move(*resumed);
    impl->SetCommandGate(i);
  }
  auto control = std::unique_ptr<HostControl>(new HostControl(std::move(impl)));
  control->Awake();
  return control;
}

HostControl::HostControl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HostControl::~HostControl() = default;

int HostControl::host_fd() const { return impl_->host.fd(); }
void HostControl::CloseHostFd() { impl_->host.TakeFd().reset(); }
bool HostControl::connected() const { return impl_->connected(); }
HostHeader& HostControl::host() { return impl_->header(); }
HostSlot& HostControl::slot(uint32_t slot) { return impl_->slot(slot); }
const WorkerHeader& HostControl::worker() const { return impl_->worker_header(); }
const TaskSlot& HostControl::task(uint32_t slot) const { return impl_->task(slot); }
uint32_t HostControl::slots() const { return impl_->slots; }

absl::Status HostControl::ConnectWorker(UniqueFd worker) {
  if (connected()) return absl::FailedPreconditionError("worker segment: there is one already");
  const WorkerMap map = MapOfWorker(impl_->slots);
  auto mapped = Segment::MapReadOnly(std::move(worker), Seals::kOneWriter, map.bytes);
  if (!mapped.ok()) return mapped.status();
  WorkerHeader const& h = *reinterpret_cast<const WorkerHeader*>(mapped->data());
  if (h.magic != kWorkerMagic || h.version != kVersion) return absl::DataLossError("worker segment: not of this version");
  if (h.slots != impl_->slots) return absl::DataLossError("worker segment: wrong number of slots");
  auto results = RingReader::Open({mapped->data() + map.results, map.logs - map.results});
  if (!results.ok()) return results.status();
  auto logs = RingReader::Open({mapped->data() + map.logs, map.bytes - map.logs});
  if (!logs.ok()) return logs.status();
  mapped->TakeFd().reset();
  impl_->worker = std::move(*mapped);
  impl_->worker_map = map;
  impl_->results = *results;
  impl_->logs = *logs;
  impl_->next_log = impl_->header().log_position.load(std::memory_order_relaxed);
  impl_->seen_states.assign(impl_->slots, 0);
  for (uint32_t i = 0; i < impl_->slots; ++i) impl_->SetCommandGate(i);
  return absl::OkStatus();
}

HostControl::SlotView HostControl::View(uint32_t slot) const {
  const TaskSlot& t = impl_->task(slot);
  SlotView view{};
  // A sequence lock: every change has its own number, so what was read between two equal ones belongs together.
  for (int attempt = 0; attempt < 100; ++attempt) {
    const uint32_t state = t.state.load(std::memory_order_acquire);  // pairs with EnterTask and SetState
    view.task = t.task.load(std::memory_order_relaxed);
    view.run = t.run.load(std::memory_order_relaxed);
    view.ticket = t.ticket.load(std::memory_order_relaxed);
    view.state = StateIn(state);
    view.failure.clear();
    if (view.state == SlotState::kFailed) {
      view.failure.assign(t.failure, std::min<size_t>(__atomic_load_n(&t.failure_length, __ATOMIC_RELAXED), kFailureBytes));
    }
    view.busy_since = t.busy_since.load(std::memory_order_relaxed);
    view.published = t.published.load(std::memory_order_relaxed);
    view.finished = t.finished.load(std::memory_order_relaxed);
    view.grown = t.grown.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (t.state.load(std::memory_order_relaxed) == state) return view;
  }
  return SlotView{};
}

absl::Status HostControl::SendCommand(uint32_t slot, const CommandRecord& record, std::string_view name, std::string_view arguments) {
  CommandRecord sent = record;
  sent.name_length = static_cast<uint32_t>(name.size());
  sent.arguments_length = static_cast<uint32_t>(arguments.size());
  if (name.size() + arguments.size() > kCommandBytes) {
    return absl::InvalidArgumentError(absl::StrCat("command ", std::string(name), ": more than ", kCommandBytes, " bytes"));
  }
  const size_t bytes = sizeof(sent) + name.size() + arguments.size();
  auto place = impl_->commands[slot]->TryReserve(bytes);
  if (!place.ok()) return place.status();
  std::byte* to = place->data();
  std::memcpy(to, &sent, sizeof(sent));
  std::memcpy(to + sizeof(sent), name.data(), name.size());
  std::memcpy(to + sizeof(sent) + name.size(), arguments.data(), arguments.size());
  impl_->commands[slot]->Commit(bytes);
  WakeOnTail(impl_->ring(slot).data());
  return absl::OkStatus();
}

void HostControl::SendStop(uint32_t slot) {
  impl_->commands[slot]->Complete("");
  WakeOnTail(impl_->ring(slot).data());
}

void HostControl::Cancel(uint32_t slot, uint64_t command_id) {
  impl_->slot(slot).cancel[command_id % std::size(impl_->slot(slot).cancel)].store(command_id, std::memory_order_release);
}

void HostControl::SetLogLevel(uint32_t slot, int level) {
  impl_->slot(slot).log_level.store(static_cast<uint32_t>(level), std::memory_order_relaxed);
}

void HostControl::ResetSlot(uint32_t slot, int log_level) {
  SetLogLevel(slot, log_level);
  for (Word64& word : impl_->slot(slot).cancel) word.store(0, std::memory_order_relaxed);
  impl_->slot(slot).next_base.store(impl_->commands[slot]->tail() + 1, std::memory_order_release);  // before the ring: see Adopt
  impl_->FormatCommands(slot);
}

absl::Status HostControl::DrainResults(const std::function<void(const ResultRecord&, std::string_view)>& f) {
  if (!connected()) return absl::OkStatus();
  Word64& position = impl_->header().result_position;
  uint64_t next = position.load(std::memory_order_relaxed);
  const uint64_t first = next;
  absl::Status status;
  for (size_t n = 0; n < kResultsAtOnce; ++n) {
    auto item = impl_->results.Look(next);
    if (!item.ok()) status = item.status();
    if (!item.ok() || !item->has_value()) break;
    ResultRecord record;
    status = CopyOutRecord(**item, "result", record, impl_->text);
    if (status.ok() && record.slot >= impl_->slots) status = absl::DataLossError("result: of no slot");
    if (!status.ok()) break;
    f(record, impl_->text);
    ++next;
  }
  if (next != first) {
    position.store(next, std::memory_order_release);
    impl_->results.WakePublisher(next, &position, impl_->results_want);
  }
  return status;
}

absl::Status HostControl::DrainLogs(const std::function<void(uint64_t, const LogEntry&, std::string_view)>& f, size_t at_most) {
  if (!connected()) return absl::OkStatus();
  for (size_t n = 0; n < at_most; ++n) {
    auto item = impl_->logs.Look(impl_->next_log);
    if (!item.ok()) return item.status();
    if (!item->has_value()) break;
    LogEntry entry;
    if (auto status = CopyOutRecord(**item, "log record", entry, impl_->text); !status.ok()) return status;
    if (entry.level < 0 || entry.level > 5 || entry.source >= kMaxSources)
      return absl::DataLossError("log record: impossible level or source");
    f(impl_->next_log, entry, impl_->text);
    ++impl_->next_log;
  }
  return absl::OkStatus();
}

void HostControl::AcknowledgeLogs() {
  if (!connected()) return;
  Word64& position = impl_->header().log_position;
  if (position.load(std::memory_order_relaxed) == impl_->next_log) return;
  position.store(impl_->next_log, std::memory_order_release);
  impl_->logs.WakePublisher(impl_->next_log, &position, impl_->logs_want);
}

absl::StatusOr<HostControl::SourceView> HostControl::SourceAt(uint32_t index) const {
  if (index == 0) return SourceView{};
  if (!connected() || index >= kMaxSources || index >= impl_->worker_header().source_count.load(std::memory_order_acquire)) {
    return absl::DataLossError(absl::StrCat("log source ", index, ": there is none"));
  }
  Source source;
  std::memcpy(&source, impl_->worker.data() + impl_->worker_map.sources + index * sizeof(Source), sizeof(source));
  const char* arena = reinterpret_cast<const char*>(impl_->worker.data()) + impl_->worker_map.arena;
  bool good = true;
  const auto text = [&](uint32_t offset, uint32_t length) {
    good = good && offset <= kSourceBytes && length <= kSourceBytes - offset;
    return good ? std::string(arena + offset, length) : std::string();
  };
  SourceView view{source.slot_plus_one, source.line, text(source.logger, source.logger_length), text(source.file, source.file_length),
                  text(source.function, source.function_length)};
  if (!good || view.slot_plus_one > impl_->slots) return absl::DataLossError(absl::StrCat("log source ", index, ": impossible"));
  return view;
}

bool HostControl::Impl::StatesChanged() {
  bool changed = false;
  for (uint32_t i = 0; i < slots; ++i) {
    const uint32_t state = task(i).state.load(std::memory_order_acquire);
    changed |= std::exchange(seen_states[i], state) != state;
  }
  return changed;
}

bool HostControl::PrepareToSleep() {
  Word32& sleeping = impl_->header().host_sleeping;
  const uint32_t now = sleeping.load(std::memory_order_relaxed);
  sleeping.store(now + (now % 2 == 1 ? 2 : 1), std::memory_order_relaxed);  // a fresh one: the old one may have been rung for
  std::atomic_thread_fence(std::memory_order_seq_cst);                      // pairs with RingDoorbell
  if (!connected()) return true;
  const bool nothing = impl_->results.tail() == impl_->header().result_position.load(std::memory_order_relaxed) &&
                       impl_->logs.tail() == impl_->next_log && !impl_->StatesChanged();
  if (!nothing) Awake();
  return nothing;
}

void HostControl::Awake() {
  Word32& sleeping = impl_->header().host_sleeping;
  const uint32_t now = sleeping.load(std::memory_order_relaxed);
  if (now % 2 == 1) sleeping.store(now + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // who did not ring again for this sleep wrote before: what is drained now has it
}

}  // namespace puma::control
