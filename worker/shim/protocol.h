#ifndef PUMA_WORKER_SHIM_PROTOCOL_H_
#define PUMA_WORKER_SHIM_PROTOCOL_H_
// What host, shim and worker say to each other: fixed structs over SOCK_SEQPACKET, at most 16 KiB and 64 descriptors each.
// The shim is the middle: it understands processes and labelled descriptors, and forwards what is between host and worker.
//
//   host -> shim   Hello GetInventory Spawn StartTask Attach EndLane GateDown Signal KillTree DropSegments AckExit Shutdown Ping
//   shim -> host   Welcome RunItem SegmentItem InventoryEnd SpawnResult SegmentOffered WorkerFailed Exited TreeEmpty Error Pong
//   shim -> worker StartTask Attach EndLane GateDown          worker -> shim   WorkerHello Offer Attached WorkerFailed (the last two are
//   forwarded to the host)
#include <cstdint>

#include "worker/control/gate_change.h"

namespace puma::shim {

inline constexpr uint32_t kMagic = 0x616d7550;  // "Puma"
inline constexpr uint16_t kVersion = 1;

enum class Type : uint16_t {
  kHello = 1,
  kGetInventory,
  kSpawn,
  kStartTask,
  kAttach,
  kEndLane,
  kGateDown,
  kSignal,
  kKillTree,
  kDropSegments,
  kAckExit,
  kShutdown,
  kPing,
  kLeaveLane,
  kWelcome = 64,
  kRunItem,
  kSegmentItem,
  kInventoryEnd,
  kSpawnResult,
  kSegmentOffered,
  kWorkerFailed,
  kExited,
  kTreeEmpty,
  kError,
  kPong,
  kWorkerHello = 128,
  kOffer,
  kAttached,
};

struct Header {
  uint32_t magic = kMagic;
  Type type{};
  uint16_t version = kVersion;
  uint32_t length = 0;  // of the whole message
  uint32_t fd_count = 0;
  uint64_t sequence = 0;  // counts the sender's messages
  uint64_t reply_to = 0;  // the sequence that this answers, else 0
};
static_assert(sizeof(Header) == 32);

// Which run of which worker. A key is the uid of a task or of a group; the host gives all three numbers.
struct RunId {
  uint64_t key = 0;
  uint64_t run = 0;
  uint64_t ticket = 0;  // same ticket, same answer
};

// Descriptors at fixed numbers in a worker. 0 is /dev/null, 1 and 2 are pipes.
inline constexpr int kWorkerSocket = 3;       // SOCK_SEQPACKET to the shim
inline constexpr int kWorkerHostSegment = 4;  // H
inline constexpr int kWorkerDoorbell = 5;     // eventfd to the host
inline constexpr int kWorkerStdout = 6;       // the read ends of its own pipes, for its capture thread
inline constexpr int kWorkerStderr = 7;
// In the host.
inline constexpr int kHostSocket = 3;

struct Hello {
  uint8_t store_id[16];
  uint64_t incarnation;
};
struct GetInventory {};
struct Welcome {
  uint8_t store_id[16];       // of the first host that said Hello to this shim; all zero: none yet
  uint8_t shim_instance[16];  // random, made when the shim started
  int32_t shim_pid;
  int32_t descriptor_budget;
  uint32_t features;          // kFeature...
  uint32_t host_incarnation;  // how many hosts this shim has started
};
inline constexpr uint32_t kFeatureNoNewPrivs = 1, kFeatureRlimits = 2, kFeatureCgroupKill = 4, kFeatureCgroupPids = 8,
                          kFeatureCgroupMemory = 16, kFeatureCgroupCpu = 32;

struct Limits {  // 0: inherited
  uint64_t address_space_bytes, files, processes, core_bytes, cpu_milli;
};
// descriptors: H. Answered by SpawnResult. FAILED_PRECONDITION (errno EBUSY) unless the key's last run is acknowledged and run > last run.
struct Spawn {
  RunId id;
  Limits limits;
  uint64_t control_segment;  // id under which the worker offers its W
  uint32_t slots;            // tasks that fit into this worker
  uint32_t reserved;
  char name[16];    // the process's name
  char label[256];  // for people and for the next host; opaque to the shim
};
enum class SpawnStep : uint32_t { kNone = 0, kRefused, kPipes, kFork, kLimits, kCgroup, kExec, kDirectory };
struct SpawnResult {
  RunId id;
  int32_t pid;
  int32_t error;
  SpawnStep step;
  uint32_t reserved;
};  // descriptors when started: doorbell, pidfd

// What a worker may offer for one task: the shim labels an offer by its grant, never by the worker's words.
enum class SegmentKind : uint32_t { kControl = 1, kPage = 2, kLane = 3 };  // W, task page, lane
struct Grant {
  uint64_t segment;  // id, given by the host, unique; of a lane: its lane id
  SegmentKind kind;
  uint32_t slot;  // the task's slot in its worker
  uint64_t max_bytes;
  char label[104];  // opaque to the shim
};
static_assert(sizeof(Grant) == 128);
inline constexpr uint32_t kMaxGrants = 96;
// descriptors: the task's start spec (start_spec.h), a sealed memfd. Forwarded to the worker with the grants; kept by the shim as
// allow-list. Followed by grant_count Grants.
struct StartTask {
  RunId id;
  uint32_t slot;
  uint32_t grant_count;
  uint64_t task;
  uint64_t task_run;
};

// Hands a segment of the shim's table to a worker. On the way to the worker the shim adds its descriptor.
struct Attach {
  RunId to;
  uint64_t segment;
  uint32_t slot;          // the task in that worker
  uint32_t page_slot;     // the slot of the subscriber's page that is about this lane
  uint64_t lane;          // kPage: the publisher's lane that the page's slot gates; kLane: the segment itself
  uint64_t subscription;  // kPage: whose page it is (the task's uid): the gate's name
  uint64_t start;         // kLane: where to begin unless the slot is resumed
  uint64_t publisher;     // kLane: uid of the publishing task
  uint32_t epoch;         // kLane: its publisher's earlier lanes have ended and are left once drained
  SegmentKind kind;
  uint32_t flags;  // kAttach...
  uint32_t part;   // kLane: of its epoch: those before it are left once drained
  char port[64];   // of the receiving task
};
// kPage: the subscription is lossy: its page only says whom to wake. Or: if it joins, it begins with what is published from now on.
inline constexpr uint32_t kAttachLossy = 1, kAttachNewest = 2;
// A publisher will publish no more: it FAILED for good (error not empty), or was completed or disabled. Followed by length bytes of error.
struct EndLane {
  RunId to;
  uint64_t publisher;
  uint32_t slot;
  uint32_t length;
  char port[64];
};
// A subscription's gate in a lane of the receiver is to change.
using control::GateChange;
struct GateDown {
  RunId to;
  uint64_t subscription;
  uint64_t lane;
  uint32_t slot;
  GateChange change;
};
// A lane can't be believed: its reader leaves it at once, drained or not.
struct LeaveLane {
  RunId to;
  uint64_t lane;
  uint32_t slot;
  uint32_t reserved;
  char port[64];
};
// A publisher has taken a page as a gate: the subscription's promised messages begin at `start`. Only the publisher's process can say so.
struct Attached {
  RunId id;
  uint64_t lane;
  uint64_t subscription;
  uint64_t page;  // the segment that was attached
  uint64_t start;
};

struct Signal {
  RunId id;
  int32_t signal;
  int32_t reserved;
};
struct KillTree {
  RunId id;
};
struct AckExit {
  RunId id;
  uint64_t exit_sequence;
};
struct DropSegments {
  uint64_t count;
};  // followed by that many ids
struct Shutdown {
  uint32_t kill_workers;
  uint32_t reserved;
};  // ends the shim; workers die with it
struct Ping {
  uint64_t value;
};
struct Pong {
  uint64_t value;
};

enum class RunState : uint32_t { kLive = 1, kLeaderDead = 2, kExited = 3 };
// descriptors: H, doorbell, and pidfd while live; and stdout, stderr read ends once exited.
struct RunItem {
  RunId id;
  int32_t pid;
  RunState state;
  uint32_t slots;
  uint32_t has_exit;
  int64_t start_boot_ns;
  char label[256];
};
struct SegmentItem {  // descriptors: the segment. Also SegmentOffered
  RunId owner;
  uint64_t segment;
  SegmentKind kind;
  uint32_t slot;
  uint64_t task, task_run;
  uint64_t bytes;
  char label[104];
};
struct InventoryEnd {
  uint64_t runs, segments;
};

// The leader has ended. Informative: the run is over at TreeEmpty.
struct Exited {
  RunId id;
  uint64_t exit_sequence;  // kept and re-sent until acknowledged
  int32_t code;            // exit code, if signal is 0
  int32_t signal;
  uint32_t core_dumped, out_of_memory, killed_by_host, reserved;
  int64_t user_us, system_us, max_rss_bytes, end_boot_ns;
};
// descriptors: stdout and stderr read ends, for what the worker had not yet captured.
struct TreeEmpty {
  Exited exit;
};

struct WorkerHello {
  uint32_t membarrier;
  int32_t pid;
};
// A worker's W needs no id: 0.
struct Offer {
  uint64_t segment;
  SegmentKind kind;
  uint32_t slot;
};  // descriptors: the sealed segment
struct WorkerFailed {
  RunId id;
  uint32_t slot;
  uint32_t length;
};  // followed by length bytes of text: before W could carry it
struct Error {
  int32_t code;
  uint32_t length;
};  // followed by length bytes of text: the answer to a bad message

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_PROTOCOL_H_
