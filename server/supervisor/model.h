#ifndef PUMA_SERVER_SUPERVISOR_MODEL_H_
#define PUMA_SERVER_SUPERVISOR_MODEL_H_
// What the supervisor knows: pipelines, tasks, workers, lanes, pages. Plain data; only the loop's thread touches it.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "puma/v1/services.pb.h"
#include "server/journal/journal.h"
#include "server/supervisor/task_machine.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"
#include "worker/buffer/task_page.h"
#include "worker/control/control_segments.h"
#include "worker/shim/protocol.h"

namespace puma::server {

struct PipelineRec {
  PipelineRow row;
  v1::PipelineSpec spec;                                          // defaults filled in
  std::map<std::string, uint64_t> tasks;                          // local name ("detector.0") to uid
  std::set<std::pair<uint64_t, std::string>> left;                // task and buffer: who was deleted, or reads it no more or not reliably
  GroupRow group;                                                 // uid 0: no thread task ever ran
  std::map<std::string, v1::BufferTotals> retired;                // by buffer: of lanes that are gone
  std::map<std::string, std::deque<v1::LaneStatus>> quarantined;  // by buffer: the last lanes that could not be believed
};

// What a lane's grant says of it.
struct LaneName {
  uint64_t publisher = 0;  // uid
  std::string port;        // of the publisher
  uint32_t epoch = 0;      // the publisher's run
  uint32_t part = 0;       // of the epoch
  uint32_t replica = 0;
  uint64_t born = 0;  // uid of the newest task when it was granted: who is newer joined it later
};

// A lane that the shim keeps, of a live or an ended run.
struct LaneRec : LaneName {
  uint64_t id = 0;
  bool ended = false;                      // nothing more comes: its run is over, or went on in its next part
  std::shared_ptr<const Segment> segment;  // shared with taps
  RingReader ring;
  // Looked at once a second.
  int64_t since_ns = 0;       // CLOCK_MONOTONIC; when this host learned of it
  int64_t over_ns = 0;        // when its publisher's end was seen; 0: not yet
  uint64_t seen_tail = 0;     // at the last look
  uint64_t seen_blocked = 0;  // blocked_since at the last look
  uint64_t high_water_bytes = 0;
  double rate = 0;
  std::string quarantined;  // why it is no longer read, and who found it; "": it is sound
};

struct PageRec {
  uint64_t id = 0;
  uint64_t task = 0, task_run = 0;
  TaskPageView view;
  int suspect_looks = 0;  // in a row that found a position in it that can't be
};

// Counts of a port that outlive its lanes, and the last sample for the rate.
struct PortCount {
  uint64_t retired = 0;
  uint64_t seen = 0;
  uint64_t waiting = 0;
  uint64_t dead_letters = 0;
  double rate = 0;
};

struct TaskRec {
  TaskRow row;
  std::string full_name;  // "pipelines/edges/tasks/detector.0"
  v1::TaskSpec spec;
  Policy policy;
  TaskLife life;
  std::string life_boot_id;  // the boot that life's times belong to
  int64_t since_unix_ns = 0;
  v1::TaskState shown = v1::TASK_STATE_UNSPECIFIED;  // the state that `since` is about
  bool lanes_ended = false;                          // SUCCEEDED or FAILED: its readers were told
  bool gates_removed = false;                        // its gates were taken away; it joins late when it starts again
  bool rewired = false;                              // it may have gates where it no longer reads
  // The present run.
  uint64_t worker = 0;  // key; 0: none
  uint32_t slot = 0;
  uint64_t ticket = 0;
  bool start_sent = false;
  control::SlotState seen = control::SlotState::kFree;
  uint64_t page = 0;                        // offered page of the newest run that offered one; 0: none
  std::map<uint64_t, uint32_t> page_slots;  // lane to slot, of the present run's page
  std::set<uint64_t> unseen;                // lanes that it offers, and has not yet as far as is known here
  uint64_t grown_seen = 0;                  // larger lanes that it has offered
  std::set<uint64_t> paged;                 // lanes whose publishers have got its page
  std::set<uint64_t> connected;             // lanes that it has got
  bool rejoins = false;                     // its gates were away: what its old page says of living lanes no longer counts
  std::map<std::string, PortCount> counts;  // by "in PORT", "out PORT"
};

// What its runnable logs: a user's, or the spec's.
inline v1::LogLevel LogLevelOf(const TaskRec& task) {
  const v1::LogLevel level = task.life.log_level != v1::LOG_LEVEL_UNSPECIFIED ? task.life.log_level : task.spec.log_level();
  return level != v1::LOG_LEVEL_UNSPECIFIED ? level : v1::LOG_LEVEL_INFO;
}
// The same as puma::Level's number.
inline int LevelNumberOf(const TaskRec& task) { return static_cast<int>(LogLevelOf(task)) - 1; }

// A worker process: of one process task, of a pipeline's thread tasks, or one that describes a module.
struct WorkerRec {
  shim::RunId id;
  int pid = 0;
  std::string pipeline;  // of its tasks; "" of one that describes a module
  bool group = false;
  bool describes = false;
  bool ending = false;  // it was told to end, or its leader is dead: no new tasks
  std::unique_ptr<control::HostControl> control;
  uint64_t control_segment = 0;
  UniqueFd doorbell, pidfd;
  std::vector<uint64_t> slots;                                            // task uid of each; 0: free
  std::map<uint32_t, std::shared_ptr<const v1::LogSource>> slot_sources;  // whose each slot is, or was last
  std::vector<uint64_t> waiting;                                          // tasks that start when this worker's successor may
  // Log records on their way to the file.
  bool logs_in_flight = false;
  uint64_t last_sequence = 0;
  std::map<uint32_t, std::shared_ptr<const v1::LogSource>> sources;  // by the worker's index
  std::optional<shim::Exited> exited;
  bool tree_empty = false;
  UniqueFd out, err;  // what is left in its pipes
};

struct Model {
  std::map<std::string, std::unique_ptr<PipelineRec>> pipelines;
  std::map<uint64_t, std::unique_ptr<TaskRec>> tasks;
  std::map<uint64_t, std::unique_ptr<WorkerRec>> workers;  // by key
  std::map<uint64_t, std::unique_ptr<LaneRec>> lanes;
  std::map<uint64_t, std::unique_ptr<PageRec>> pages;
  std::set<std::tuple<uint64_t, uint64_t, uint64_t>> dead_letters;  // task, lane, number: never handed out again

  TaskRec* task(uint64_t uid) const;
  WorkerRec* worker(uint64_t key) const;
  PipelineRec* pipeline(const std::string& name) const;
  TaskRec* FindTask(const std::string& full_name) const;  // "pipelines/p/tasks/t"; null
  // It is to be deleted, and neither tasks nor processes are left: all that they have logged is in the log.
  bool IsOver(const PipelineRec& pipeline) const;
};

std::string EtagOf(const PipelineRow& row);
std::string PipelineName(const std::string& pipeline);
std::string TaskName(const std::string& pipeline, const std::string& task);
std::string BufferName(const std::string& pipeline, const std::string& buffer);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_MODEL_H_
