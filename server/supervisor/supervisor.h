#ifndef PUMA_SERVER_SUPERVISOR_SUPERVISOR_H_
#define PUMA_SERVER_SUPERVISOR_SUPERVISOR_H_
// The class where the wires meet: it feeds events to the task machines and does what they answer, on one thread. The parts:
//   supervisor.cc        the turn (one journal commit), timers, the tick       supervisor_life.cc   events, actions, starting and ending
//   runs supervisor_shim.cc   messages of the shim, adoption                        supervisor_wire.cc   who gets which segment
//   supervisor_work.cc   doorbells: slots, results, logs                       supervisor_view.cc   what clients see
//   supervisor_api.cc    the Engine's calls                        supervisor_letters.cc   messages that are given up
//   supervisor_events.cc   what clients read of all that happened        supervisor_distrust.cc   lanes and pages that can't be believed
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/config/command_catalogue.h"
#include "server/config/module_catalogue.h"
#include "server/journal/journal.h"
#include "server/supervisor/engine.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/invocations.h"
#include "server/supervisor/log_intake.h"
#include "server/supervisor/model.h"
#include "server/supervisor/shim_link.h"
#include "server/supervisor/taps.h"
#include "server/supervisor/type_catalogue.h"
#include "server/supervisor/waiters.h"
#include "server/supervisor/wiring.h"
#include "server/telemetry/feeds.h"

namespace puma::server {

// Engine's methods are thread-safe; the rest is for the thread that calls Run.
// Why tasks wait while the host is drained.
inline constexpr char kDrained[] = "the host is drained; puma-ctl drain --undo";

class Supervisor : public Engine {
 public:
  struct Options {
    std::string version, state_directory, log_file;
    std::vector<std::string> module_directories;
    CommandCatalogue commands;
    UniqueFd shim;  // the inherited socket
  };
  Supervisor(EventLoop& loop, Journal& journal, const Feeds& feeds, ModuleCatalogue& modules, Options options);
  ~Supervisor() override;

  // Reads the journal and says Hello to the shim; adoption goes on in Run.
  absl::Status Begin();
  // Until Quit, or the shim is gone.
  absl::Status Run();
  // Any thread: lets Run return. Tasks go on; the next host adopts them.
  void Quit();

  v1::Host GetHost() override;
  void ListTypes(const v1::ListTypesRequest& request, Reply<v1::ListTypesResponse> reply) override;
  void GetType(const v1::GetTypeRequest& request, Reply<v1::GetTypeResponse> reply) override;
  void Drain(const v1::DrainHostRequest& request, Reply<v1::DrainHostResponse> reply) override;
  void Apply(const v1::ApplyPipelineRequest& request, Reply<v1::ApplyPipelineResponse> reply) override;
  void Delete(const v1::DeletePipelineRequest& request, Reply<v1::DeletePipelineResponse> reply) override;
  absl::StatusOr<v1::Pipeline> GetPipeline(const std::string& name) override;
  absl::StatusOr<v1::ListPipelinesResponse> ListPipelines(const v1::ListPipelinesRequest& request) override;
  absl::StatusOr<v1::Task> GetTask(const std::string& name) override;
  absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request) override;
  void Create(const v1::CreateTaskRequest& request, Reply<v1::CreateTaskResponse> reply) override;
  void Delete(const v1::DeleteTaskRequest& request, Reply<v1::DeleteTaskResponse> reply) override;
  void Start(const v1::StartTaskRequest& request, Reply<v1::StartTaskResponse> reply) override;
  void Stop(const v1::StopTaskRequest& request, Reply<v1::StopTaskResponse> reply) override;
  void Restart(const v1::RestartTaskRequest& request, Reply<v1::RestartTaskResponse> reply) override;
  std::unique_ptr<CallHandle> Wait(const v1::WaitTaskRequest& request, Reply<v1::WaitTaskResponse> reply) override;
  std::unique_ptr<CallHandle> Invoke(const v1::InvokeCommandRequest& request, absl::Time deadline,
                                     Reply<v1::InvokeCommandResponse> reply) override;
  void SetLogLevel(const v1::SetLogLevelRequest& request, Reply<v1::SetLogLevelResponse> reply) override;
  absl::StatusOr<v1::Buffer> GetBuffer(const std::string& name) override;
  absl::StatusOr<v1::ListBuffersResponse> ListBuffers(const v1::ListBuffersRequest& request) override;
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(const v1::ListDeadLettersRequest& request) override;
  absl::StatusOr<std::unique_ptr<BufferTap>> Tap(const v1::TapBufferRequest& request) override;
  bool serving() override { return serving_.load(); }
  absl::StatusOr<bool> PipelineHealthy(const std::string& pipeline) override;

 private:
  class Handle;

  // ---- supervisor.cc: a turn gathers what one round of events changes; it is committed as one, and what depends on it follows after.
  void AfterCommit(std::function<void(const absl::Status&)> f) { turn_after_.push_back(std::move(f)); }
  void PutTask(TaskRec& task);
  void EndTurn();
  int64_t Idle();
  void RunTimers();
  void Tick();
  void Watchdogs(int64_t now);
  uint64_t NewId();
  void Log(int level, const std::string& text) { logs_.Own(level, text); }

  // ---- supervisor_life.cc
  void Feed(TaskRec& task, Event::Kind kind, std::function<void(Event&)> fill = nullptr);
  void Perform(TaskRec& task, Action::Kind action);
  void ArmTimer(TaskRec& task);
  void Reconsider(const std::string& pipeline);     // may PENDING tasks start now?
  std::string WaitsFor(const TaskRec& task) const;  // "" when it may start
  void Strategy(TaskRec& failed);
  void Launch(uint64_t uid, int64_t run);
  void LaunchInGroup(TaskRec& task, const std::string& module);
  void SpawnGroup(uint64_t key);
  void FailStart(TaskRec& task, const std::string& why);
  absl::StatusOr<WorkerRec*> SpawnWorker(shim::RunId id, uint32_t slots, const std::string& name, const std::string& label,
                                         const shim::Limits& limits);
  // `params`: the host's own, by name as JSON; no client's word counts for them
  void StartOn(WorkerRec& worker, TaskRec& task, uint32_t slot, const std::string& module,
               const std::map<std::string, std::string>& params = {});
  void RunIsOver(TaskRec& task);
  void TaskGone(uint64_t uid);
  void ForgetPipeline(const std::string& name);
  bool RunsInGroup(const TaskRec& task) const;  // the present run; the spec may have changed since it was started
  void Signal(TaskRec& task, int signal);
  void KillRun(TaskRec& task);
  void KillTree(WorkerRec& worker);
  void EndIdleGroup(const std::string& pipeline);
  bool IsThread(const TaskRec& task) const { return task.spec.placement() == v1::PLACEMENT_THREAD; }

  // ---- supervisor_wire.cc
  bool PageIsHere(const TaskRec& reader) const;
  void ConnectReader(TaskRec& reader);
  void ConnectLane(LaneRec& lane);
  void Connect(const Port& port, LaneRec& lane);
  void SendLane(const Port& port, LaneRec& lane, uint64_t start);
  void SendPage(const Port& port, LaneRec& lane);
  std::optional<uint32_t> PageSlotFor(TaskRec& reader, const LaneRec& lane);
  void GateDown(TaskRec& reader);
  void SendGateDown(uint64_t reader, const LaneRec& lane, shim::GateChange change);
  void TellWhoIsOut(LaneRec& lane);
  void RememberWhoLeft(const TaskRec& reader, const v1::TaskSpec* spec);
  void EndEarlierParts(const LaneRec& newest);
  void EndLanes(TaskRec& publisher);
  void SendEndLane(TaskRec& reader, const std::string& port, TaskRec& publisher);
  void TellEndedPublishers(TaskRec& reader);
  bool Drained(const LaneRec& lane) const;
  void CollectSegments();
  void DropSegments(const std::vector<uint64_t>& ids);
  size_t UndrainedEpochs(const TaskRec& publisher) const;

  // ---- supervisor_letters.cc
  void JudgeDelivery(TaskRec& task);
  void GiveUp(const Port& reader, LaneRec& lane, const ReadState& state);
  void ShowLetter(v1::DeadLetter letter);
  void ForgetLetters(const std::string& pipeline);
  void AdoptLetters(const std::vector<DeadLetterRow>& rows);
  absl::Status UnknownPipeline(const std::string& name) const PUMA_REQUIRES(view_mutex_);

  // ---- supervisor_shim.cc
  void OnShim(ShimMessage message);
  void OnWelcome(const shim::Welcome& welcome);
  void OnRunItem(ShimMessage& message);
  void OnSegment(ShimMessage& message, bool adopted);
  void OnControl(const shim::SegmentItem& item, UniqueFd fd);
  void OnPage(const shim::SegmentItem& item, UniqueFd fd);
  void OnLane(const shim::SegmentItem& item, UniqueFd fd, bool adopted);
  void OnInventoryEnd();
  void OnSpawnResult(ShimMessage& message);
  void OnWorkerFailed(const ShimMessage& message);
  void OnAttached(const shim::Attached& attached);
  void OnExited(const shim::Exited& exited);
  void FeedExit(TaskRec& task, const v1::RunExit& exit);
  void OnTreeEmpty(ShimMessage& message);
  void AdoptJournal(const JournalSnapshot& snapshot);
  void AdoptRuns();
  void EndUncounted(TaskRec& task, WorkerRec& worker);
  void SeenLane(uint64_t task, uint64_t lane, bool grown);
  void Settle();
  void BecomeReady();
  void WorkerIsOver(WorkerRec& worker);
  void AckExit(const shim::Exited& exited);
  v1::RunExit ExitOf(const WorkerRec& worker, const TaskRec& task, const shim::Exited& exited) const;

  // ---- supervisor_work.cc
  void WatchDoorbell(WorkerRec& worker);
  void OnDoorbell(uint64_t key);
  void Drain(WorkerRec& worker, bool last);
  void ScanSlots(WorkerRec& worker);
  void ScanSlot(WorkerRec& worker, uint32_t slot);
  void TakeLogs(WorkerRec& worker, bool last);
  void LogFor(const TaskRec& task, int severity, const std::string& text);  // the host's words about a task, in the task's log
  LogLine LineOf(WorkerRec& worker, uint64_t sequence, const control::LogEntry& entry, std::string_view text);
  std::shared_ptr<const v1::LogSource> SourceOf(WorkerRec& worker, uint32_t index);
  void TakePipe(WorkerRec& worker, int fd, v1::LogStream stream, std::vector<LogLine>& lines);
  void Quarantine(WorkerRec& worker, const absl::Status& why);

  // ---- supervisor_distrust.cc
  void OnBadLane(WorkerRec& worker, const control::ResultRecord& record, std::string_view what);
  void QuarantineLane(LaneRec& lane, const std::string& why);
  void RefuseLane(TaskRec* publisher, int64_t run, const std::string& why);
  void CheckPage(TaskRec& reader);
  void Disgrace(TaskRec& task, const std::string& why);  // its run is judged as failed

  // ---- supervisor_events.cc
  void TellState(const TaskRec& task, v1::TaskState earlier);
  void TellGone(const TaskRec& task);
  void TellExit(const TaskRec& task);
  void TellWish(const std::string& name, const std::string& what, const std::string& request_id);
  void TellLetter(const TaskRec& task, const v1::DeadLetter& letter);
  void TellDistrust(const std::string& name, int64_t run, const std::string& what);
  void TellHost(const std::string& what);

  // ---- supervisor_view.cc
  void Show(TaskRec& task);  // tells the watchers
  v1::Task View(TaskRec& task);
  void ViewPorts(TaskRec& task, v1::TaskStatus& status);
  bool SamplePorts(TaskRec& task, double seconds);  // true: something has changed
  void ShowPipelines();                             // rebuilds what Get/List of pipelines and buffers answer

  // ---- supervisor_api.cc
  // A mutating call on its way: what it is known by, and how it is answered with a serialized response.
  struct Call {
    std::string id;  // method and request_id; "": not idempotent
    std::string fingerprint;
    std::function<void(absl::StatusOr<std::string>)> answer;
  };
  template <class Request, class Response>
  Call MakeCall(const char* method, const Request& request, Reply<Response> reply);
  template <class Request, class Response>
  void Wish(const char* method, const Request& request, Event::Kind wish, Reply<Response> reply);
  void WhenReady(std::function<void()> work);
  bool Begin(const Call& call);                                                       // false: a twin; it is answered with the first one
  void Finish(const Call& call, absl::StatusOr<std::string> response, bool changed);  // changed: after the commit, and remembered
  // Checks a spec that is to be applied, with all defaults filled in. `etag`: what the pipeline must have; "": any.
  using Checked = std::function<void(const absl::StatusOr<v1::PipelineSpec>& spec)>;
  void CheckApply(const v1::PipelineSpec& asked, const std::string& etag, Checked done);
  absl::Status CheckDescribed(const v1::PipelineSpec& spec, const std::string& etag);
  std::vector<v1::PlannedChange> PlanOf(const v1::PipelineSpec& spec) const;
  int32_t RunningCount() const;
  void PutDrained(bool drained);
  v1::ApplyPipelineResponse CommitApply(const v1::PipelineSpec& spec);
  void TakeOverGroup(PipelineRec& pipeline);
  uint64_t AddTask(PipelineRec& pipeline, const std::string& base, const std::string& name, int32_t replica);
  void ChangeTask(PipelineRec& pipeline, TaskRec& task, v1::PlannedChange::Action action);
  void DeleteTask(TaskRec& task);
  void DescribeModules(std::vector<std::string> names, std::function<void()> done);
  void DescribeModule(const std::string& name, const std::string& path, std::function<void()> done);
  Invocations::Send SendsCommands();
  void InvokeNow(const v1::InvokeCommandRequest& request, uint64_t id, absl::Time deadline, Reply<v1::InvokeCommandResponse> reply);

  EventLoop& loop_;
  Journal& journal_;
  LogStore& logs_;
  TaskFeed& feed_;
  EventFeed& events_;
  ModuleCatalogue& modules_;
  Options options_;
  Model model_;
  Invocations invocations_;
  Waiters waiters_;
  TypeCatalogue types_;
  LogIntake intake_;
  Taps taps_;
  std::unique_ptr<ShimLink> shim_;

  JournalChange turn_;
  bool turn_dirty_ = false;
  std::vector<std::function<void(const absl::Status&)>> turn_after_;
  std::map<std::string, RequestRow> requests_;  // answered ones, by id
  struct InFlight {
    std::string fingerprint;
    std::vector<std::function<void(absl::StatusOr<std::string>)>> twins;
  };
  std::map<std::string, InFlight> in_flight_;  // calls that are not answered yet

  std::multimap<int64_t, uint64_t> timers_;  // CLOCK_BOOTTIME ns to task
  std::map<uint64_t, int64_t> armed_;        // task to its timer
  int64_t next_tick_ = 0, last_tick_ = 0, settle_at_ = 0;
  std::set<std::string> reconsider_;  // pipelines
  bool collect_ = false;
  bool pipelines_changed_ = false;

  shim::Welcome welcome_{};
  std::string boot_id_;
  int64_t incarnation_ = 0;
  int64_t started_unix_ns_ = 0;
  std::map<uint64_t, std::string> unmanaged_;  // key to label: runs that the journal does not know
  std::vector<std::function<void()>> when_ready_;
  std::atomic<bool> serving_{false};
  absl::Status ended_;
  bool shutting_down_ = false;
  bool drained_ = false;  // no run is started
  static constexpr int64_t kDescribeDeadlineNs = 10'000'000'000;
  std::map<uint64_t, std::function<void(absl::StatusOr<std::string>)>> describing_;  // worker key to who waits
  std::multimap<int64_t, uint64_t> describe_deadlines_;                              // CLOCK_BOOTTIME ns to worker key

  uint64_t last_letter_ = 0;

  mutable Mutex view_mutex_;
  std::map<std::string, v1::Pipeline> pipelines_view_ PUMA_GUARDED_BY(view_mutex_);
  std::map<std::string, v1::Buffer> buffers_view_ PUMA_GUARDED_BY(view_mutex_);
  v1::Host host_view_ PUMA_GUARDED_BY(view_mutex_);
  std::map<std::string, v1::DeadLetter> letters_view_ PUMA_GUARDED_BY(view_mutex_);
  std::deque<std::string> letters_by_age_ PUMA_GUARDED_BY(view_mutex_);
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_SUPERVISOR_H_
