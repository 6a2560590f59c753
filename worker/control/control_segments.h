#ifndef PUMA_WORKER_CONTROL_CONTROL_SEGMENTS_H_
#define PUMA_WORKER_CONTROL_CONTROL_SEGMENTS_H_
// The two segments between a worker and the host. W is written by the worker: task slots, results, log records, their sources. H is
// written by the host: commands, how far it has read W, and whether it sleeps. Both outlive a host; its successor goes on from them.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/buffer/layout.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"

namespace puma::control {

inline constexpr uint64_t kWorkerMagic = 0x6b726f5700616d50;  // "Pma\0Work"
inline constexpr uint64_t kHostMagic = 0x74736f4800616d50;    // "Pma\0Host"
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kMaxSlots = 256;
inline constexpr uint64_t kCommandCapacity = 10;       // commands a task's ring holds; Stop has the completion's place
inline constexpr uint64_t kCommandBytes = 64 << 10;    // the largest command
inline constexpr uint64_t kResultBytes = 1 << 20;      // the largest result
inline constexpr uint64_t kLogRecordBytes = 64 << 10;  // the largest record; longer texts are cut, and say so
inline constexpr uint64_t kLogCapacity = 1 << 14;      // records
inline constexpr uint64_t kLogPayloadBytes = 4 << 20;
inline constexpr uint32_t kMaxSources = 4096;
inline constexpr uint64_t kSourceBytes = 512 << 10;
inline constexpr uint64_t kFailureBytes = 32 << 10;

// ---- W -------------------------------------------------------------------------------------------------------------------------------

enum class SlotState : uint32_t {
  kFree = 0,  // no task yet
  kStarting = 1,
  kRunning = 2,    // constructed, OnStart returned
  kCompleted = 3,  // ended; its thread is joined: outputs released
  kStopped = 4,    // ended since it was asked to
  kFailed = 5,     // ended with an error, which stands in `failure`
};
// What `TaskSlot::state` holds. A stranger's number that is no state reads as kFailed.
inline SlotState StateIn(uint32_t word) { return static_cast<SlotState>(std::min(word % 8, static_cast<uint32_t>(SlotState::kFailed))); }
struct TaskSlot {
  alignas(kLine) Word64 task;  // uid; written before state
  Word64 run;
  Word64 ticket;
  Word32 state;                            // changes so far * 8 + SlotState, release; every change rings the doorbell
  uint32_t failure_length;                 // before state = kFailed; JSON of failure.h
  alignas(kLine) Word64 busy_since;        // CLOCK_MONOTONIC ns at which the running handler was entered; 0: asleep
  Word64 published;                        // by all outputs
  Word64 finished;                         // by all inputs
  Word64 grown;                            // larger lanes that its outputs have gone on in; counted before they are offered
  alignas(kLine) Word64 command_position;  // how far its thread has read its command ring: gates the host
  char failure[kFailureBytes];
};
// Who ended the worker, when its tasks share it. Written by the crash handler.
struct Culprit {
  Word32 slot_plus_one;
  uint32_t signal;
};

// Where log records come from; a table that only grows.
struct Source {
  uint32_t slot_plus_one;
  uint32_t line;
  uint32_t logger, logger_length, file, file_length, function, function_length;
};  // offsets into the arena
struct WorkerHeader {
  alignas(kLine) uint64_t magic;
  uint32_t version, slots;
  int32_t pid;
  uint32_t reserved;
  alignas(kLine) Culprit culprit;
  alignas(kLine) Word64 dropped[6];    // log records dropped since the ring was full, by level
  alignas(kLine) Word32 source_count;  // release after the entry
  // then: TaskSlot[slots], Source[kMaxSources], the sources' arena, the result ring, the log ring
};

// ---- H -------------------------------------------------------------------------------------------------------------------------------

struct HostHeader {
  alignas(kLine) uint64_t magic;
  uint32_t version, slots;
  alignas(kLine) Word32 host_sleeping;  // a generation; odd: asleep or about to be, ring the doorbell after writing to W, once a generation
  alignas(kLine) Word64 log_position;   // gates the log ring: below is in the file
  alignas(kLine) Word64 result_position;  // gates the result ring
  // then, for each slot: HostSlot and its command ring
};
struct HostSlot {
  alignas(kLine) Word32 log_level;  // lowest level that is logged; changes reach running tasks
  Word64 cancel[16];                // ids of commands to give up, by id modulo 16
  Word64 next_base;                 // where the command ring begins when it is made anew; written before it is
};

// Where everything lies in W and H of `slots` tasks: offsets from the segment's beginning.
struct WorkerMap {
  size_t tasks, sources, arena, results, logs, bytes;
};
WorkerMap MapOfWorker(uint32_t slots);
struct HostMap {
  size_t first_slot, slot_stride, command_ring, bytes;  // command_ring: from the slot's beginning
};
HostMap MapOfHost(uint32_t slots);

RingOptions CommandRingOptions();
RingOptions ResultRingOptions();
RingOptions LogRingOptions();

// Records of the rings are a fixed struct followed by bytes.

// H's command ring, message kind kValue: name, then arguments as a JSON object.
struct CommandRecord {
  uint64_t id;
  int64_t deadline_ns;
  uint64_t request_hash[2];
  uint32_t name_length, arguments_length;
};  // deadline: CLOCK_MONOTONIC; 0: none
// W's result ring.
struct ResultRecord {
  uint64_t id;
  uint64_t request_hash[2];
  uint32_t slot;
  int32_t code;
  uint32_t length;
  uint32_t kind;  // 0: a result. kBadLane: the slot's task has left lane `id`, whose publisher can't be believed; the text says what it saw
};                // then the result's JSON, or the error's (failure.h)
inline constexpr uint32_t kBadLane = 1;
// W's log ring; its number in the ring is its sequence.
struct LogEntry {
  int64_t time_unix_ns;
  int32_t level;
  uint32_t source;
  int64_t tid;
  uint32_t stream;
  uint32_t length;
  uint64_t dropped_before;
};  // then the text. stream: proto LogStream's number

// ---- the two ends ----------------------------------------------------------------------------------------------------------------------

// The worker's end: made in the worker, offered to the shim.
class WorkerControl {
 public:
  // `host` is H as inherited. Makes W, seals it and connects its rings to the positions in H. No slots: as many as H has.
  static absl::StatusOr<std::unique_ptr<WorkerControl>> Create(UniqueFd host, UniqueFd doorbell, uint32_t slots);
  WorkerHeader& header();
  TaskSlot& task(uint32_t slot);
  const HostSlot& host_slot(uint32_t slot) const;
  const HostHeader& host() const;
  // At the start of each task: opens the slot's command ring, which the host may have made anew, and sets its position to the beginning.
  absl::Status OpenSlot(uint32_t slot);
  RingReader& commands(uint32_t slot);  // only that slot's thread reads
  // Where that slot's thread stands in its command ring: in W, gates the host.
  Word64& command_position(uint32_t slot);
  // Writes a result. Blocks while the ring is full. Thread-safe.
  void SendResult(const ResultRecord& record, std::string_view text);
  // Writes a log record; false: dropped and counted. Thread-safe; never blocks on the host.
  bool SendLog(LogEntry entry, std::string_view text);
  // The index of a source, made at its first use. 0: the table is full. Thread-safe.
  uint32_t InternSource(uint32_t slot_plus_one, std::string_view logger, std::string_view file, uint32_t line, std::string_view function);
  // Who is in the slot now, in state kStarting; its next state; its end with an error (failure.h; cut at kFailureBytes). They ring the
  // doorbell. Only one thread at a time changes a slot.
  void EnterTask(uint32_t slot, uint64_t task, uint64_t run, uint64_t ticket);
  void SetState(uint32_t slot, SlotState state);
  void Fail(uint32_t slot, std::string_view failure_json);
  // After a change of W that is no ring message (a slot's state). Thread-safe.
  void RingDoorbell();
  Segment& segment();
  ~WorkerControl();

 private:
  struct Impl;
  explicit WorkerControl(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The host's end. Thread-compatible. W belongs to a stranger: what is read from it is copied once and then checked; DATA_LOSS means that
// it must be quarantined.
class HostControl {
 public:
  // A new H for a worker that is about to be spawned.
  static absl::StatusOr<std::unique_ptr<HostControl>> Create(uint32_t slots);
  // The H of a running worker, as the shim kept it.
  static absl::StatusOr<std::unique_ptr<HostControl>> Adopt(UniqueFd host);
  int host_fd() const;  // to hand to Spawn
  void CloseHostFd();   // the mapping stays
  // W, once offered. DATA_LOSS: not acceptable.
  absl::Status ConnectWorker(UniqueFd worker);
  bool connected() const;
  HostHeader& host();
  HostSlot& slot(uint32_t slot);
  const WorkerHeader& worker() const;  // only when connected
  const TaskSlot& task(uint32_t slot) const;
  // A consistent copy of a slot: retried while the worker changes it. kFree when it never stands still: it has rung the doorbell again.
  struct SlotView {
    uint64_t task, run, ticket;
    SlotState state;
    std::string failure;
    uint64_t busy_since, published, finished, grown;
  };
  SlotView View(uint32_t slot) const;
  // RESOURCE_EXHAUSTED: the task's command ring is full.
  absl::Status SendCommand(uint32_t slot, const CommandRecord& record, std::string_view name, std::string_view arguments);
  void SendStop(uint32_t slot);                     // always fits; idempotent
  void Cancel(uint32_t slot, uint64_t command_id);  // a word that the command's handler may look at
  void SetLogLevel(uint32_t slot, int level);       // puma::Level's number; reaches a running task
  // A slot that is to hold another task: a fresh command ring. Only while the slot is not live.
  void ResetSlot(uint32_t slot, int log_level);
  // Calls `f` for each new result / record, then stores the position (log: only when Acknowledge is called).
  absl::Status DrainResults(const std::function<void(const ResultRecord&, std::string_view)>& f);
  absl::Status DrainLogs(const std::function<void(uint64_t sequence, const LogEntry&, std::string_view)>& f, size_t at_most);
  void AcknowledgeLogs();
  struct SourceView {
    uint32_t slot_plus_one, line;
    std::string logger, file, function;
  };
  absl::StatusOr<SourceView> SourceAt(uint32_t index) const;
  // True when there was nothing new after host_sleeping was set: sleep on the doorbell. False: drain and view again; also once after a
  // slot's state has changed.
  bool PrepareToSleep();
  void Awake();
  uint32_t slots() const;
  ~HostControl();

 private:
  struct Impl;
  explicit HostControl(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace puma::control
#endif  // PUMA_WORKER_CONTROL_CONTROL_SEGMENTS_H_
