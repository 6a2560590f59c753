#ifndef PUMA_WORKER_SHIM_TABLE_H_
#define PUMA_WORKER_SHIM_TABLE_H_
// All that the shim knows: runs, the segments of their workers, the ends that the host has not acknowledged. Plain values and labelled
// descriptors: what a successor of the host, or of the shim, needs.
#include <array>
#include <map>
#include <optional>
#include <string>

#include "worker/shim/message.h"
#include "worker/shim/protocol.h"

namespace puma::shim {

// Names a run to the system: in its environment, as PUMA_RUN, and as its control group.
inline std::string LabelOf(const RunId& id) { return std::to_string(id.key) + "." + std::to_string(id.run); }

struct GrantEntry {
  Grant grant{};
  uint64_t task = 0, task_run = 0;
  bool used = false;
};

// ABSENT runs are not here; the others are LIVE, LEADER_DEAD or EXITED.
struct RunEntry {
  RunId id;
  RunState state = RunState::kLive;
  int32_t pid = 0;
  uint32_t slots = 0;
  int64_t start_boot_ns = 0;
  std::array<char, sizeof(RunItem::label)> label{};
  bool killed_by_host = false;
  std::optional<Exited> exit;             // from the leader's death on
  std::optional<Outgoing> failure;        // the last WorkerFailed
  std::map<uint64_t, GrantEntry> grants;  // by segment
  SharedFd host_segment, doorbell, pidfd, out, err;
};

struct SegmentEntry {
  SegmentItem item{};
  SharedFd fd;
};

// The newest run that was ever asked for, so that a repeated Spawn gets the same answer and an old one none.
struct LastRun {
  uint64_t run = 0, ticket = 0;
  int32_t error = 0;  // errno of a spawn that failed
  SpawnStep step = SpawnStep::kNone;
};

struct Table {
  std::array<uint8_t, 16> store_id{};
  bool has_store_id = false;
  uint64_t next_exit_sequence = 1;
  std::map<uint64_t, RunEntry> runs;  // by key
  std::map<uint64_t, SegmentEntry> segments;
  std::map<uint64_t, LastRun> last_runs;  // by key
  std::map<int32_t, uint64_t> leaders;    // pid of a living leader to its key

  // The run of exactly this identity, or null.
  RunEntry* Find(const RunId& id) {
    const auto found = runs.find(id.key);
    return found != runs.end() && found->second.id.run == id.run && found->second.id.ticket == id.ticket ? &found->second : nullptr;
  }
};

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_TABLE_H_
