// Doorbells: what workers have written into their W since the last look.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "server/supervisor/supervisor.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
constexpr size_t kLogsPerTurn = 4096;
constexpr int kSeverities[] = {1, 5, 9, 13, 17, 17};  // OpenTelemetry's numbers, by puma::Level

bool Final(control::SlotState state) { return state >= control::SlotState::kCompleted; }
}  // namespace

void Supervisor::WatchDoorbell(WorkerRec& worker) {
  if (!worker.doorbell.valid()) return;
  fcntl(worker.doorbell.get(), F_SETFL, fcntl(worker.doorbell.get(), F_GETFL) | O_NONBLOCK);
  loop_.Watch(worker.doorbell.get(), [this, key = worker.id.key] { OnDoorbell(key); });
}

void Supervisor::OnDoorbell(uint64_t key) {
  WorkerRec* worker = model_.worker(key);
  if (worker == nullptr || worker->control == nullptr) return;
  uint64_t count;
  if (worker->doorbell.valid()) {
    [[maybe_unused]] ssize_t got = read(worker->doorbell.get(), &count, sizeof(count));
  }
  if (!worker->control->connected() || worker->tree_empty) return;
  worker->control->Awake();
  for (int round = 0; round < 4; ++round) {
    Drain(*worker, false);
    worker = model_.worker(key);
    if (worker == nullptr || worker->logs_in_flight || worker->control->PrepareToSleep())
      return;  // with logs in flight: again when they are written
  }
  loop_.Post([this, key] { OnDoorbell(key); });  // a busy worker; the others have their turn
}

void Supervisor::Drain(WorkerRec& worker, bool last) {
  if (worker.control == nullptr || !worker.control->connected()) return;
  TakeLogs(worker, last);
  std::vector<std::pair<control::ResultRecord, std::string>> results;
  const absl::Status drained =
      worker.control->DrainResults([&](const control::ResultRecord& record, std::string_view text) { results.emplace_back(record, text); });
  for (const auto& [record, text] : results) {
    if (record.kind == control::kBadLane) {
      OnBadLane(worker, record, text);
      continue;
    }
    auto describing = describing_.find(worker.id.key);
    if (describing == describing_.end()) {
      invocations_.Answer(worker.id.key, record, text);
      continue;
    }
    auto done = std::move(describing->second);
    describing_.erase(describing);
    done(record.code == 0 ? absl::StatusOr<std::string>(text) : StatusOfFailure(text));
  }
  if (!results.empty()) invocations_.SendWaiting(SendsCommands());  // whoever has answered has taken something from its ring
  if (!drained.ok()) return Quarantine(worker, drained);
  ScanSlots(worker);
}

void Supervisor::ScanSlots(WorkerRec& worker) {
  const uint64_t key = worker.id.key;
  for (uint32_t slot = 0; model_.worker(key) == &worker && slot < worker.slots.size(); ++slot) {
    if (worker.slots[slot] != 0) ScanSlot(worker, slot);
  }
}

void Supervisor::ScanSlot(WorkerRec& worker, uint32_t slot) {
  TaskRec* task = model_.task(worker.slots[slot]);
  if (worker.describes) {
    const control::HostControl::SlotView view = worker.control->View(slot);
    if (view.state != control::SlotState::kFailed) return;
    if (auto describing = describing_.find(worker.id.key); describing != describing_.end()) {
      auto done = std::move(describing->second);
      describing_.erase(describing);
      done(StatusOfFailure(view.failure));
    }
    return;
  }
  if (task == nullptr || task->worker != worker.id.key) return;
  // The state alone first: a look at a slot that did not change costs one load.
  const auto state = control::StateIn(worker.control->task(slot).state.load(std::memory_order_acquire));
  if (state == task->seen) return;
  const control::HostControl::SlotView view = worker.control->View(slot);
  if (view.task != task->row.uid || static_cast<int64_t>(view.run) != task->life.run || view.state == task->seen) return;
  // What it published must be known before its end is; SeenLane comes back here.
  if (worker.group && Final(view.state) && view.published != 0 && (!task->unseen.empty() || task->grown_seen < view.grown)) return;
  const bool was_ready = task->seen >= control::SlotState::kRunning;
  task->seen = view.state;
  const uint64_t uid = task->row.uid;
  if (view.state == control::SlotState::kRunning || (view.state == control::SlotState::kCompleted && !was_ready))
    Feed(*task, Event::Kind::kReady);
  if (!Final(view.state)) return;
  const auto kind = view.state == control::SlotState::kCompleted ? Event::Kind::kCompleted
                    : view.state == control::SlotState::kStopped ? Event::Kind::kStopped
                                                                 : Event::Kind::kFailed;
  Feed(*task, kind, [&](Event& event) {
    const v1::ExitCause causes[] = {v1::EXIT_CAUSE_COMPLETED, v1::EXIT_CAUSE_STOPPED, v1::EXIT_CAUSE_ERROR};
    event.exit.set_cause(causes[static_cast<int>(view.state) - static_cast<int>(control::SlotState::kCompleted)]);
    if (view.state == control::SlotState::kFailed) SetError(view.failure, event.exit);
  });
  if (!worker.group) return;  // the process ends by itself; TreeEmpty tells
  worker.slots[slot] = 0;     // its thread is joined: the slot is free
  if (model_.task(uid) != nullptr) RunIsOver(*task);
}

// ---- logs ----------------------------------------------------------------------------------------------------------------------------

void Supervisor::TakeLogs(WorkerRec& worker, bool last) {
  if (worker.logs_in_flight && !last) return;
  std::vector<LogLine> lines;
  const absl::Status drained = worker.control->DrainLogs(
      [&](uint64_t sequence, const control::LogEntry& entry, std::string_view text) {
        worker.last_sequence = sequence;
        lines.push_back(LineOf(worker, sequence, entry, text));
      },
      last ? control::kLogCapacity * 2 : kLogsPerTurn);
  if (last) {
    TakePipe(worker, worker.out.get(), v1::LOG_STREAM_STDOUT, lines);
    TakePipe(worker, worker.err.get(), v1::LOG_STREAM_STDERR, lines);
  }
  if (!drained.ok() && !last) Quarantine(worker, drained);
  if (lines.empty()) return;
  worker.logs_in_flight = true;
  intake_.Write(std::move(lines), [this, key = worker.id.key, run = worker.id.run] {
    loop_.Post([this, key, run] {
      WorkerRec* written = model_.worker(key);
      if (written == nullptr || written->id.run != run) return;
      written->logs_in_flight = false;
      written->control->AcknowledgeLogs();
      OnDoorbell(key);
    });
  });
}

void Supervisor::LogFor(const TaskRec& task, int severity, const std::string& text) {
  auto source = std::make_shared<v1::LogSource>();
  source->set_pipeline(task.row.pipeline);
  source->set_task(task.row.name);
  source->set_run(task.life.run);
  source->set_pid(getpid());
  source->set_logger("host");
  LogLine line;
  line.source = std::move(source);
  line.record.set_time_unix_nanos(RealNanos());
  line.record.set_severity(severity);
  line.record.set_message(text);
  line.record.set_tid(gettid());
  line.record.set_stream(v1::LOG_STREAM_LOG);
  intake_.Write({std::move(line)}, nullptr);
}

LogLine Supervisor::LineOf(WorkerRec& worker, uint64_t sequence, const control::LogEntry& entry, std::string_view text) {
  LogLine line;
  line.source = SourceOf(worker, entry.source);
  line.worker_key = worker.id.key;
  line.worker_run = worker.id.run;
  line.record.set_time_unix_nanos(entry.time_unix_ns);
  line.record.set_severity(kSeverities[std::clamp(entry.level, 0, 5)]);
  line.record.set_message(std::string(text));
  line.record.set_tid(entry.tid);
  line.record.set_stream(static_cast<v1::LogStream>(entry.stream));
  line.record.set_sequence(sequence);
  line.record.set_dropped_before(entry.dropped_before);
  return line;
}

std::shared_ptr<const v1::LogSource> Supervisor::SourceOf(WorkerRec& worker, uint32_t index) {
  if (auto known = worker.sources.find(index); known != worker.sources.end() && known->second->run() != 0) return known->second;
  auto source = std::make_shared<v1::LogSource>();
  source->set_pid(worker.pid);
  absl::StatusOr<control::HostControl::SourceView> view = worker.control->SourceAt(index);
  uint64_t uid = worker.group || worker.slots.empty() ? 0 : worker.slots[0];
  if (view.ok()) {
    source->set_logger(view->logger);
    source->set_file(view->file);
    source->set_line(static_cast<int32_t>(view->line));
    source->set_function(view->function);
    if (view->slot_plus_one != 0 && view->slot_plus_one <= worker.slots.size()) uid = worker.slots[view->slot_plus_one - 1];
  }
  source->set_pipeline(worker.pipeline);
  if (worker.group && view.ok() && view->slot_plus_one != 0) {  // the slot may be free by now: its last task's records are on their way
    auto last = worker.slot_sources.find(view->slot_plus_one - 1);
    if (last != worker.slot_sources.end()) {
      source->set_task(last->second->task());
      source->set_run(last->second->run());
    }
  } else if (const TaskRec* task = model_.task(uid)) {
    source->set_pipeline(task->row.pipeline);
    source->set_task(task->row.name);
    source->set_run(task->life.run);
  }
  // A group's slot is another task's later; and its run changes.
  if (!worker.group) worker.sources[index] = source;
  return source;
}

// What a worker wrote to stdout or stderr and did not live to capture.
void Supervisor::TakePipe(WorkerRec& worker, int fd, v1::LogStream stream, std::vector<LogLine>& lines) {
  if (fd < 0) return;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(got));
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    control::LogEntry entry{};
    entry.time_unix_ns = RealNanos();
    entry.level = stream == v1::LOG_STREAM_STDERR ? 3 : 2;
    entry.stream = static_cast<uint32_t>(stream);
    lines.push_back(LineOf(worker, ++worker.last_sequence, entry, std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
}

void Supervisor::Quarantine(WorkerRec& worker, const absl::Status& why) {
  if (worker.ending) return;
  Log(4, absl::StrCat("the control segment of worker ", worker.id.key, " (pid ", worker.pid,
                      ") is quarantined: ", std::string(why.message()), "; it is ended"));
  for (const uint64_t uid : worker.slots) {
    if (const TaskRec* task = model_.task(uid))
      TellDistrust(task->full_name, task->life.run, absl::StrCat("its worker is ended: ", std::string(why.message())));
  }
  KillTree(worker);
}

}  // namespace puma::server
