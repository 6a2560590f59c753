#ifndef PUMA_SERVER_SUPERVISOR_WIRING_H_
#define PUMA_SERVER_SUPERVISOR_WIRING_H_
// Who publishes into what and who reads it: derived from the specs and from the segments that exist; kept nowhere.
#include <string>
#include <vector>

#include "server/supervisor/model.h"
#include "worker/control/start_spec.h"

namespace puma::server {

// A task's end of a buffer.
struct Port {
  TaskRec* task = nullptr;
  std::string port;
  bool lossy = false;  // an input that never gates
};
std::vector<Port> PublishersOf(const Model& model, const PipelineRec& pipeline, const std::string& buffer);
std::vector<Port> ReadersOf(const Model& model, const PipelineRec& pipeline, const std::string& buffer);
// Lanes that each publisher of the buffer has: one for each replica of the shared subscription, else one.
uint32_t LanesEach(const Model& model, const PipelineRec& pipeline, const std::string& buffer);
// Whether `reader` reads the lane with this replica number.
bool ReadsReplica(const TaskRec& reader, uint32_t replica);
// The readers of a lane, and their ports.
std::vector<Port> ReadersOfLane(const Model& model, const LaneRec& lane);
// The lanes that a task reads, older epochs of a publisher first, with its port.
struct InputLane {
  LaneRec* lane = nullptr;
  Port reader;
};
std::vector<InputLane> LanesReadBy(const Model& model, const TaskRec& reader);
// Of a buffer: all its subscriptions are. Of an input: it is, or its buffer.
bool Lossy(const PipelineRec& pipeline, const std::string& buffer);
bool Lossy(const PipelineRec& pipeline, const v1::InputSpec& input);
// The reader's input that reads this lane begins with what comes after it has joined.
bool JoinsNewest(const Port& reader);
// Its publisher has gone on in the next part. All lanes of an output do so together, before they offer the new ones.
bool Superseded(const Model& model, const LaneRec& lane);
// It was not there yet when the lane was granted.
bool JoinedLater(const TaskRec& reader, const LaneRec& lane);
// The buffer that a lane belongs to; "" when the spec no longer has it.
std::string BufferOfLane(const Model& model, const LaneRec& lane);

// The number behind a lane's last message; the completion is none.
uint64_t EndOfMessages(const LaneRec& lane);
// Where a reader stands in a lane, by its newest page; nothing when it was never connected.
std::optional<ReadState> StateOf(const Model& model, const TaskRec& reader, const LaneRec& lane);

// False: a death that the task had no part in, or perhaps none, is no delivery of what it had in hand.
bool ItsFault(const v1::RunExit& exit);

// The message whose handler ran when the task's run died: its lane and number.
std::optional<std::pair<uint64_t, uint64_t>> MessageInHand(const Model& model, const TaskRec& reader);

// Everything that decides how a task is wired, as text: when it changes, the task is restarted. Readers are not in it, only how many
// lanes they need: they join and leave while their publishers run.
std::string WiringSignature(const v1::PipelineSpec& spec, const std::string& task);

// The start spec of a task's next run (task, run, ticket, slot, worker of `task` are set), the page slots of the lanes it knows, and what
// it may offer. Lane and page ids come from `new_id`.
struct Launch {
  control::StartSpec spec;
  std::vector<shim::Grant> grants;
};
Launch PlanLaunch(const Model& model, TaskRec& task, const std::string& module_path, bool alone, const std::function<uint64_t()>& new_id);

// Grants' labels, for the host that adopts.
std::string LaneLabel(const LaneName& lane);
bool ParseLaneLabel(const std::string& label, LaneName& lane);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_WIRING_H_
