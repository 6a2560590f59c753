// The Engine's calls. Those that change something run on the loop, in order, and answer after the commit.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/config/check_spec.h"
#include "server/config/error_details.h"
#include "server/config/suggest.h"
#include "server/supervisor/planner.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
constexpr int64_t kRequestsKeptNs = int64_t{24} * 3600 * 1'000'000'000;
constexpr int kDefaultPage = 100, kLargestPage = 1000;

// Equal requests give equal texts, whatever the order of their maps.
template <class Request>
std::string Fingerprint(Request request) {
  request.clear_request_id();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&coded);
  }
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return absl::StrCat(bytes.size(), "-", absl::Hex(hash));
}

// They are large: a page of types would not fit into a message.
void DropDescriptors(google::protobuf::RepeatedPtrField<v1::PortInfo>& ports) {
  for (v1::PortInfo& port : ports) {
    if (port.schema().has_protobuf()) port.mutable_schema()->mutable_protobuf()->clear_descriptors();
  }
}

size_t PageSize(int asked) { return static_cast<size_t>(asked <= 0 ? kDefaultPage : std::min(asked, kLargestPage)); }

template <class View>
absl::Status Unknown(const char* kind, const std::string& name, const View& known) {
  std::vector<std::string> names;
  for (const auto& [key, value] : known) names.push_back(key);
  const std::string similar = Suggest(name, names);
  return absl::NotFoundError(
      absl::StrCat(kind, " ", name, " does not exist", similar.empty() ? "" : absl::StrCat("; did you mean ", similar, "?")));
}

// A page of a map whose keys begin with `parent`.
template <class Map, class Response, class Add>
Response Page(const Map& map, const std::string& parent, const std::string& token, int size, Add add) {
  Response response;
  const std::string prefix = parent.empty() ? "" : parent + "/";
  size_t count = 0;
  std::string last;
  for (auto it = token.empty() ? map.lower_bound(prefix) : map.upper_bound(token); it != map.end(); ++it) {
    if (!absl::StartsWith(it->first, prefix)) break;
    if (count++ == PageSize(size)) {
      response.set_next_page_token(last);
      break;
    }
    add(response, it->second);
    last = it->first;
  }
  return response;
}

// "2 created, 1 updated".
std::string Counts(const std::vector<v1::PlannedChange>& changes) {
  static constexpr std::pair<v1::PlannedChange::Action, const char*> kWords[] = {{v1::PlannedChange::ACTION_CREATE, "created"},
                                                                                 {v1::PlannedChange::ACTION_UPDATE, "updated"},
                                                                                 {v1::PlannedChange::ACTION_RESTART, "restarted"},
                                                                                 {v1::PlannedChange::ACTION_DELETE, "deleted"}};
  std::vector<std::string> counts;
  for (const auto& [action, word] : kWords) {
    const auto n =
        std::count_if(changes.begin(), changes.end(), [wanted = action](const auto& change) { return change.action() == wanted; });
    if (n != 0) counts.push_back(absl::StrCat(n, " ", word));
  }
  return counts.empty() ? "nothing changes" : absl::StrJoin(counts, ", ");
}
}  // namespace

// Gives a call up on the loop.
class Supervisor::Handle : public CallHandle {
 public:
  Handle(EventLoop& loop, std::function<void()> give_up) : loop_(loop), give_up_(std::move(give_up)) {}
  void Cancel() override { loop_.Post(give_up_); }

 private:
  EventLoop& loop_;
  const std::function<void()> give_up_;
};

// ---- calls that change something -----------------------------------------------------------------------------------------------------

template <class Request, class Response>
Supervisor::Call Supervisor::MakeCall(const char* method, const Request& request, Reply<Response> reply) {
  Call call;
  if (!request.request_id().empty()) call.id = absl::StrCat(method, "/", request.request_id());
  call.fingerprint = Fingerprint(request);
  call.answer = [reply = std::move(reply)](absl::StatusOr<std::string> bytes) {
    if (!bytes.ok()) return reply(bytes.status());
    Response response;
    response.ParseFromString(*bytes);
    reply(std::move(response));
  };
  return call;
}

void Supervisor::WhenReady(std::function<void()> work) {
  loop_.Post([this, work = std::move(work)]() mutable {
    if (serving_) return work();
    when_ready_.push_back(std::move(work));
  });
}

bool Supervisor::Begin(const Call& call) {
  if (shutting_down_) {
    call.answer(absl::UnavailableError("the host is shutting down"));
    return false;
  }
  if (call.id.empty()) return true;
  const absl::Status other =
      absl::InvalidArgumentError(absl::StrCat("request_id ", call.id, " was used before for another request; use a new one"));
  if (auto it = in_flight_.find(call.id); it != in_flight_.end()) {
    if (it->second.fingerprint != call.fingerprint) return call.answer(other), false;
    it->second.twins.push_back(call.answer);
    return false;
  }
  if (auto it = requests_.find(call.id); it != requests_.end()) {
    if (it->second.fingerprint != call.fingerprint) return call.answer(other), false;
    AfterCommit([answer = call.answer, response = it->second.response](const absl::Status& status) {  // not before the first one is durable
      if (status.ok())
        answer(response);
      else
        answer(status);
    });
    return false;
  }
  in_flight_[call.id].fingerprint = call.fingerprint;
  return true;
}

void Supervisor::Finish(const Call& call, absl::StatusOr<std::string> response, bool changed) {
  std::vector<std::function<void(absl::StatusOr<std::string>)>> answers{call.answer};
  if (auto it = in_flight_.find(call.id); it != in_flight_.end()) {
    answers.insert(answers.end(), it->second.twins.begin(), it->second.twins.end());
    in_flight_.erase(it);
  }
  if (!response.ok() || !changed) {
    for (auto& answer : answers) answer(response);
    return;
  }
  if (!call.id.empty()) {
    RequestRow row{call.id, call.fingerprint, *response, RealNanos() + kRequestsKeptNs};
    requests_[call.id] = row;
    turn_.put_requests.push_back(std::move(row));
    turn_dirty_ = true;
  }
  AfterCommit([answers, response](const absl::Status& status) {
    for (auto& answer : answers) {
      if (status.ok())
        answer(response);
      else
        answer(absl::UnavailableError(absl::StrCat("the journal can't be written: ", std::string(status.message()))));
    }
  });
}

// Start, Stop, Restart.
template <class Request, class Response>
void Supervisor::Wish(const char* method, const Request& request, Event::Kind wish, Reply<Response> reply) {
  WhenReady([this, method, request, wish, call = MakeCall(method, request, std::move(reply))] {
    if (!Begin(call)) return;
    TaskRec* task = model_.FindTask(request.name());
    if (task == nullptr) return Finish(call, GetTask(request.name()).status(), false);
    if (task->row.deleting && wish != Event::Kind::kStop)
      return Finish(call, absl::FailedPreconditionError(absl::StrCat("task ", request.name(), " is being deleted")), false);
    if (!request.validate_only()) {
      TellWish(task->full_name, absl::AsciiStrToLower(method), request.request_id());
      Feed(*task, wish, [](Event& event) { event.run = 0; });
      PutTask(*task);
    }
    Response response;
    *response.mutable_task() = View(*task);
    Finish(call, response.SerializeAsString(), !request.validate_only());
  });
}

void Supervisor::Start(const v1::StartTaskRequest& request, Reply<v1::StartTaskResponse> reply) {
  Wish("Start", request, Event::Kind::kStart, std::move(reply));
}
void Supervisor::Stop(const v1::StopTaskRequest& request, Reply<v1::StopTaskResponse> reply) {
  Wish("Stop", request, Event::Kind::kStop, std::move(reply));
}
void Supervisor::Restart(const v1::RestartTaskRequest& request, Reply<v1::RestartTaskResponse> reply) {
  Wish("Restart", request, Event::Kind::kRestart, std::move(reply));
}

void Supervisor::SetLogLevel(const v1::SetLogLevelRequest& request, Reply<v1::SetLogLevelResponse> reply) {
  WhenReady([this, request, call = MakeCall("SetLogLevel", request, std::move(reply))] {
    if (!Begin(call)) return;
    std::vector<TaskRec*> tasks;
    if (const PipelineRec* pipeline = model_.pipeline(std::string(absl::StripPrefix(request.name(), "pipelines/")))) {
      for (const auto& [name, uid] : pipeline->tasks) tasks.push_back(model_.task(uid));
    } else if (TaskRec* task = model_.FindTask(request.name())) {
      tasks.push_back(task);
    } else {
      const bool is_task = absl::StrContains(request.name(), "/tasks/");
      return Finish(call, is_task ? GetTask(request.name()).status() : GetPipeline(request.name()).status(), false);
    }
    v1::SetLogLevelResponse response;
    for (TaskRec* task : tasks) {
      response.add_tasks(task->full_name);
      if (request.validate_only()) continue;
      task->life.log_level = request.level();
      if (WorkerRec* worker = model_.worker(task->worker); worker != nullptr && worker->control != nullptr)
        worker->control->SetLogLevel(task->slot, LevelNumberOf(*task));
      TellWish(task->full_name, absl::StrCat("log level ", absl::AsciiStrToLower(v1::LogLevel_Name(LogLevelOf(*task)).substr(10))),
               request.request_id());
      PutTask(*task);
      Show(*task);
    }
    Finish(call, response.SerializeAsString(), !request.validate_only());
  });
}

std::unique_ptr<CallHandle> Supervisor::Wait(const v1::WaitTaskRequest& request, Reply<v1::WaitTaskResponse> reply) {
  const uint64_t id = invocations_.NewId();
  WhenReady([this, request, id, reply = std::move(reply)] {
    TaskRec* task = model_.FindTask(request.name());
    if (task == nullptr) return reply(GetTask(request.name()).status());
    waiters_.Add(id, request, View(*task), reply);
  });
  return std::make_unique<Handle>(loop_, [this, id] { waiters_.Cancel(id); });
}

void Supervisor::Delete(const v1::DeletePipelineRequest& request, Reply<v1::DeletePipelineResponse> reply) {
  WhenReady([this, request, call = MakeCall("Delete", request, std::move(reply))] {
    if (!Begin(call)) return;
    PipelineRec* pipeline = model_.pipeline(std::string(absl::StripPrefix(request.name(), "pipelines/")));
    if (pipeline == nullptr || !absl::StartsWith(request.name(), "pipelines/"))
      return Finish(call, GetPipeline(request.name()).status(), false);
    if (!request.etag().empty() && request.etag() != EtagOf(pipeline->row))
      return Finish(call, absl::AbortedError("the pipeline has changed since its etag was read; read it again"), false);
    v1::DeletePipelineResponse response;
    v1::PipelineSpec nothing;
    nothing.set_pipeline(pipeline->row.name);
    for (v1::PlannedChange& change : PlanChanges(pipeline->spec, nothing)) *response.add_changes() = std::move(change);
    if (request.validate_only()) return Finish(call, response.SerializeAsString(), false);
    TellWish(request.name(), "delete", request.request_id());
    pipeline->row.deleting = true;
    turn_.put_pipelines.push_back(pipeline->row);
    turn_dirty_ = pipelines_changed_ = true;
    const std::map<std::string, uint64_t> tasks = pipeline->tasks;
    if (model_.IsOver(*pipeline)) ForgetPipeline(pipeline->row.name);
    for (const auto& [name, uid] : tasks) DeleteTask(*model_.task(uid));
    Finish(call, response.SerializeAsString(), true);
  });
}

void Supervisor::DeleteTask(TaskRec& task) {
  const uint64_t uid = task.row.uid;
  task.row.deleting = true;
  Feed(task, Event::Kind::kDelete, [](Event& event) { event.run = 0; });
  if (model_.task(uid) != nullptr) PutTask(task);
}

// ---- drain ---------------------------------------------------------------------------------------------------------------------------

void Supervisor::Drain(const v1::DrainHostRequest& request, Reply<v1::DrainHostResponse> reply) {
  WhenReady([this, request, call = MakeCall("DrainHost", request, std::move(reply))] {
    if (!Begin(call)) return;
    const bool changes = !request.validate_only() && drained_ == request.undo();
    if (changes) {
      TellWish("host", request.undo() ? "undo the drain" : "drain", request.request_id());
      PutDrained(!request.undo());
    }
    v1::DrainHostResponse response;
    *response.mutable_host() = GetHost();
    response.mutable_host()->set_drained(drained_);
    response.mutable_host()->set_running_count(RunningCount());
    Finish(call, response.SerializeAsString(), !request.validate_only());
  });
}

// Runs end as when a pipeline's strategy ends them: the wish to run stays, and nothing is counted as a failure.
void Supervisor::PutDrained(bool drained) {
  drained_ = drained;
  turn_.drained = drained;
  turn_dirty_ = pipelines_changed_ = true;
  for (const auto& [name, pipeline] : model_.pipelines) reconsider_.insert(name);
  if (!drained) return;
  std::vector<uint64_t> uids;
  for (const auto& [uid, task] : model_.tasks) uids.push_back(uid);
  for (const uint64_t uid : uids) {
    TaskRec* task = model_.task(uid);
    if (task == nullptr) continue;
    Feed(*task, Event::Kind::kStrategy, [](Event& event) {
      event.run = 0;
      event.reason = kDrained;
    });
    if (model_.task(uid) != nullptr) PutTask(*task);
  }
}

int32_t Supervisor::RunningCount() const {
  return static_cast<int32_t>(
      std::count_if(model_.tasks.begin(), model_.tasks.end(), [](const auto& task) { return task.second->life.run_started; }));
}

// ---- apply ---------------------------------------------------------------------------------------------------------------------------

void Supervisor::Apply(const v1::ApplyPipelineRequest& request, Reply<v1::ApplyPipelineResponse> reply) {
  WhenReady([this, request, call = MakeCall("Apply", request, std::move(reply))] {
    if (!Begin(call)) return;
    CheckApply(request.spec(), request.etag(), [this, request, call](const absl::StatusOr<v1::PipelineSpec>& spec) {
      if (!spec.ok()) return Finish(call, spec.status(), false);
      const std::vector<v1::PlannedChange> changes = PlanOf(*spec);
      if (!request.validate_only()) {
        TellWish(PipelineName(spec->pipeline()), absl::StrCat("apply: ", Counts(changes)), request.request_id());
        return Finish(call, CommitApply(*spec).SerializeAsString(), true);
      }
      v1::ApplyPipelineResponse response;
      response.mutable_pipeline()->set_name(PipelineName(spec->pipeline()));
      *response.mutable_pipeline()->mutable_spec() = *spec;
      response.mutable_changes()->Assign(changes.begin(), changes.end());
      Finish(call, response.SerializeAsString(), false);
    });
  });
}

void Supervisor::Create(const v1::CreateTaskRequest& request, Reply<v1::CreateTaskResponse> reply) {
  WhenReady([this, request, call = MakeCall("CreateTask", request, std::move(reply))] {
    if (!Begin(call)) return;
    const PipelineRec* pipeline = model_.pipeline(std::string(absl::StripPrefix(request.parent(), "pipelines/")));
    if (pipeline == nullptr) return Finish(call, GetPipeline(request.parent()).status(), false);
    const std::string name = TaskName(pipeline->row.name, request.task_id());
    if (pipeline->spec.tasks().contains(request.task_id()))
      return Finish(call, absl::AlreadyExistsError(absl::StrCat("task ", name, " exists; apply the pipeline to change it")), false);
    v1::PipelineSpec asked = pipeline->spec;
    (*asked.mutable_tasks())[request.task_id()] = request.spec();
    const std::string module = request.spec().type().substr(0, request.spec().type().find('.'));
    if (std::find(asked.modules().begin(), asked.modules().end(), module) == asked.modules().end()) asked.add_modules(module);
    const std::string etag = request.etag().empty() ? EtagOf(pipeline->row) : request.etag();  // its spec is the one that was read here
    CheckApply(asked, etag, [this, request, call, name](const absl::StatusOr<v1::PipelineSpec>& spec) {
      if (!spec.ok()) return Finish(call, spec.status(), false);
      v1::CreateTaskResponse response;
      const std::vector<v1::PlannedChange> changes = PlanOf(*spec);
      response.mutable_changes()->Assign(changes.begin(), changes.end());
      if (request.validate_only()) return Finish(call, response.SerializeAsString(), false);
      TellWish(name, "create", request.request_id());
      CommitApply(*spec);
      for (const auto& [local, planned] : TasksOf(*spec)) {
        TaskRec* task = planned.base == request.task_id() ? model_.FindTask(TaskName(spec->pipeline(), local)) : nullptr;
        if (task != nullptr) *response.add_tasks() = View(*task);
      }
      Finish(call, response.SerializeAsString(), true);
    });
  });
}

void Supervisor::Delete(const v1::DeleteTaskRequest& request, Reply<v1::DeleteTaskResponse> reply) {
  WhenReady([this, request, call = MakeCall("DeleteTask", request, std::move(reply))] {
    if (!Begin(call)) return;
    const std::string name = request.name().substr(0, request.name().find("/tasks/"));
    const std::string local = request.name().substr(std::min(request.name().size(), name.size() + strlen("/tasks/")));
    const PipelineRec* pipeline = model_.pipeline(std::string(absl::StripPrefix(name, "pipelines/")));
    if (pipeline == nullptr) return Finish(call, GetPipeline(name).status(), false);
    if (!pipeline->spec.tasks().contains(local)) {
      const TaskRec* replica = model_.FindTask(request.name());
      if (replica == nullptr || replica->row.deleting) return Finish(call, GetTask(request.name()).status(), replica != nullptr);
      return Finish(
          call,
          absl::FailedPreconditionError(absl::StrCat("task ", request.name(), " is a replica; delete ",
                                                     TaskName(pipeline->row.name, replica->row.base), ", or apply fewer replicas")),
          false);
    }
    v1::PipelineSpec asked = pipeline->spec;
    asked.mutable_tasks()->erase(local);
    const std::string etag = request.etag().empty() ? EtagOf(pipeline->row) : request.etag();
    CheckApply(asked, etag, [this, request, call](const absl::StatusOr<v1::PipelineSpec>& spec) {
      if (!spec.ok()) return Finish(call, spec.status(), false);
      v1::DeleteTaskResponse response;
      const std::vector<v1::PlannedChange> changes = PlanOf(*spec);
      response.mutable_changes()->Assign(changes.begin(), changes.end());
      if (request.validate_only()) return Finish(call, response.SerializeAsString(), false);
      TellWish(request.name(), "delete", request.request_id());
      CommitApply(*spec);
      Finish(call, response.SerializeAsString(), true);
    });
  });
}

// ---- types ---------------------------------------------------------------------------------------------------------------------------

void Supervisor::DescribeModules(std::vector<std::string> names, std::function<void()> done) {
  auto left = std::make_shared<size_t>(1);
  auto one = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (const std::string& name : names) {
    absl::StatusOr<std::string> path = modules_.Find(name);
    if (!path.ok()) {
      types_.Put(name, "", path.status());
      continue;
    }
    if (types_.Fresh(name, *path)) continue;
    ++*left;
    DescribeModule(name, *path, one);
  }
  one();
}

// A module's constructors are user code: they run in a process of their own, with a deadline, never here.
void Supervisor::DescribeModule(const std::string& name, const std::string& path, std::function<void()> done) {
  absl::StatusOr<uint64_t> key = journal_.NewUid();
  absl::StatusOr<WorkerRec*> worker =
      key.ok() ? SpawnWorker({*key, 1, NewId()}, 1, "describe", absl::StrCat("describe ", name), {}) : key.status();
  if (!worker.ok()) {
    types_.Put(name, path, worker.status());
    return done();
  }
  (*worker)->describes = true;
  control::StartSpec spec;
  spec.name = "describe";
  spec.task = *key;
  spec.run = 1;
  spec.ticket = (*worker)->id.ticket;
  spec.module = path;
  spec.module_name = name;
  spec.page = NewId();
  (*worker)->control->ResetSlot(0, spec.log_level);
  (*worker)->slots[0] = *key;
  absl::StatusOr<UniqueFd> memfd = control::ToMemfd(spec);
  const shim::RunId id = (*worker)->id;
  describing_[*key] = [this, name, path, id, done = std::move(done)](absl::StatusOr<std::string> description) {
    types_.Put(name, path, description);
    if (WorkerRec* described = model_.worker(id.key)) KillTree(*described);
    done();
  };
  if (memfd.ok()) {
    shim::StartTask start{};
    start.id = id;
    start.task = *key;
    start.task_run = 1;
    const int fd = memfd->get();
    shim_->Send(shim::Type::kStartTask, start, {}, std::span(&fd, 1));
  }
  describe_deadlines_.emplace(BootNanos() + kDescribeDeadlineNs, *key);
}

void Supervisor::ListTypes(const v1::ListTypesRequest& request, Reply<v1::ListTypesResponse> reply) {
  WhenReady([this, request, reply = std::move(reply)] {
    const std::vector<std::string> names = request.module().empty() ? modules_.List() : std::vector<std::string>{request.module()};
    DescribeModules(names, [this, names, reply] {
      v1::ListTypesResponse response;
      for (const std::string& name : names) {
        absl::StatusOr<std::vector<v1::RunnableType>> types = types_.TypesOf(name);
        if (types.ok()) {
          for (v1::RunnableType& type : *types) {
            DropDescriptors(*type.mutable_inputs());
            DropDescriptors(*type.mutable_outputs());
            *response.add_types() = std::move(type);
          }
          continue;
        }
        v1::BrokenModule& broken = *response.add_broken();
        broken.set_module(name);
        broken.set_reason(std::string(types.status().message()));
      }
      reply(std::move(response));
    });
  });
}

void Supervisor::GetType(const v1::GetTypeRequest& request, Reply<v1::GetTypeResponse> reply) {
  WhenReady([this, request, reply = std::move(reply)] {
    const std::string local(absl::StripPrefix(request.name(), "types/"));
    const std::string module = local.substr(0, local.find('.'));
    DescribeModules({module}, [this, request, module, reply] {
      absl::StatusOr<std::vector<v1::RunnableType>> types = types_.TypesOf(module);
      if (!types.ok()) return reply(types.status());
      std::map<std::string, bool> known;
      for (v1::RunnableType& type : *types) {
        known[type.name()] = true;
        if (type.name() != request.name()) continue;
        v1::GetTypeResponse response;
        *response.mutable_type() = std::move(type);
        return reply(std::move(response));
      }
      reply(Unknown("type", request.name(), known));
    });
  });
}

// ---- commands ------------------------------------------------------------------------------------------------------------------------

std::unique_ptr<CallHandle> Supervisor::Invoke(const v1::InvokeCommandRequest& request, absl::Time deadline,
                                               Reply<v1::InvokeCommandResponse> reply) {
  const uint64_t id = invocations_.NewId();
  WhenReady([this, request, id, deadline, reply = std::move(reply)] { InvokeNow(request, id, deadline, reply); });
  return std::make_unique<Handle>(loop_, [this, id] {
    std::optional<Invocations::Pending> pending = invocations_.Take(id);
    if (!pending) return;
    if (!pending->sent)
      return pending->reply(absl::CancelledError(absl::StrCat("command ", pending->command, " was given up before it began")));
    if (WorkerRec* worker = model_.worker(pending->worker)) worker->control->Cancel(pending->slot, id);
    pending->reply(absl::CancelledError(absl::StrCat("command ", pending->command, " was given up; it may still run")));
  });
}

void Supervisor::InvokeNow(const v1::InvokeCommandRequest& request, uint64_t id, absl::Time deadline,
                           Reply<v1::InvokeCommandResponse> reply) {
  TaskRec* task = model_.FindTask(request.name());
  if (task == nullptr) return reply(GetTask(request.name()).status());
  WorkerRec* worker = model_.worker(task->worker);
  if (task->life.state != v1::TASK_STATE_RUNNING || worker == nullptr) {
    return reply(absl::FailedPreconditionError(
        absl::StrCat("task ", request.name(), " is ", v1::TaskState_Name(task->life.state).substr(11), "; commands need a RUNNING task")));
  }
  absl::StatusOr<std::string> arguments = ArgumentsToJson(request);
  if (!arguments.ok()) return reply(arguments.status());
  control::CommandRecord record{};
  record.id = id;
  const absl::Duration left = deadline - absl::Now();
  if (deadline != absl::InfiniteFuture()) record.deadline_ns = MonotonicNanos() + absl::ToInt64Nanoseconds(left);
  const std::string key = request.request_id().empty() ? absl::StrCat("own-", id) : request.request_id();
  uint64_t hash[2] = {14695981039346656037u, 1099511628211u};
  for (const char c : key) {
    hash[0] = (hash[0] ^ static_cast<unsigned char>(c)) * 1099511628211u;
    hash[1] = (hash[1] + static_cast<unsigned char>(c)) * 6364136223846793005u + 1442695040888963407u;
  }
  record.request_hash[0] = hash[0];
  record.request_hash[1] = hash[1];
  invocations_.Add(id,
                   {.task = task->row.uid,
                    .run = task->life.run,
                    .worker = worker->id.key,
                    .slot = task->slot,
                    .command = request.command(),
                    .arguments = *std::move(arguments),
                    .record = record,
                    .reply = std::move(reply)},
                   SendsCommands());
}

Invocations::Send Supervisor::SendsCommands() {
  return [this](const Invocations::Pending& pending) {
    WorkerRec* worker = model_.worker(pending.worker);
    if (worker == nullptr) return absl::AbortedError(absl::StrCat("command ", pending.command, ": run ", pending.run, " ended"));
    return worker->control->SendCommand(pending.slot, pending.record, pending.command, pending.arguments);
  };
}

// ---- reads: any thread ---------------------------------------------------------------------------------------------------------------

v1::Host Supervisor::GetHost() {
  MutexLock lock(view_mutex_);
  return host_view_;
}

absl::StatusOr<v1::Pipeline> Supervisor::GetPipeline(const std::string& name) {
  MutexLock lock(view_mutex_);
  auto it = pipelines_view_.find(name);
  if (it == pipelines_view_.end()) return Unknown("pipeline", name, pipelines_view_);
  return it->second;
}

absl::StatusOr<v1::ListPipelinesResponse> Supervisor::ListPipelines(const v1::ListPipelinesRequest& request) {
  MutexLock lock(view_mutex_);
  return Page<decltype(pipelines_view_), v1::ListPipelinesResponse>(
      pipelines_view_, "", request.page_token(), request.page_size(),
      [](auto& response, const v1::Pipeline& pipeline) { *response.add_pipelines() = pipeline; });
}

absl::StatusOr<v1::Task> Supervisor::GetTask(const std::string& name) {
  absl::StatusOr<v1::Task> task = feed_.Get(name);
  if (task.ok()) return task;
  std::map<std::string, bool> known;
  for (const v1::Task& other : feed_.List("", "", kLargestPage)) known[other.name()] = true;
  return Unknown("task", name, known);
}

absl::StatusOr<v1::ListTasksResponse> Supervisor::ListTasks(const v1::ListTasksRequest& request) {
  if (!request.parent().empty()) {
    if (absl::Status parent = GetPipeline(request.parent()).status(); !parent.ok()) return parent;
  }
  v1::ListTasksResponse response;
  const size_t size = PageSize(request.page_size());
  std::vector<v1::Task> tasks = feed_.List(request.parent(), request.page_token(), size + 1);
  if (tasks.size() > size) {
    tasks.pop_back();
    response.set_next_page_token(tasks.back().name());
  }
  for (v1::Task& task : tasks) *response.add_tasks() = std::move(task);
  return response;
}

absl::StatusOr<v1::Buffer> Supervisor::GetBuffer(const std::string& name) {
  MutexLock lock(view_mutex_);
  auto it = buffers_view_.find(name);
  if (it == buffers_view_.end()) return Unknown("buffer", name, buffers_view_);
  return it->second;
}

absl::StatusOr<std::unique_ptr<BufferTap>> Supervisor::Tap(const v1::TapBufferRequest& request) {
  if (absl::Status found = GetBuffer(request.name()).status(); !found.ok()) return found;
  if (!request.publisher().empty()) {
    const absl::StatusOr<v1::Task> publisher = GetTask(request.publisher());
    if (!publisher.ok()) return publisher.status();
    const auto& outputs = publisher->spec().outputs();
    const std::string pipeline = request.name().substr(0, request.name().find("/buffers/"));
    const bool publishes =
        absl::StartsWith(request.publisher(), pipeline + "/") && std::any_of(outputs.begin(), outputs.end(), [&](const auto& output) {
          return absl::StrCat(pipeline, "/buffers/", output.second) == request.name();
        });
    if (!publishes) {
      FieldViolations bad;
      bad.Add("publisher", absl::StrCat(request.publisher(), " has no output that leads to this buffer"));
      return bad.ToStatus("tap of " + request.name());
    }
  }
  return taps_.Open(request, [this, name = request.name()] {
    MutexLock lock(view_mutex_);
    return buffers_view_.contains(name);
  });
}

absl::StatusOr<v1::ListBuffersResponse> Supervisor::ListBuffers(const v1::ListBuffersRequest& request) {
  MutexLock lock(view_mutex_);
  if (!request.parent().empty() && !pipelines_view_.contains(request.parent())) return UnknownPipeline(request.parent());
  return Page<decltype(buffers_view_), v1::ListBuffersResponse>(
      buffers_view_, request.parent(), request.page_token(), request.page_size(),
      [](auto& response, const v1::Buffer& buffer) { *response.add_buffers() = buffer; });
}

absl::Status Supervisor::UnknownPipeline(const std::string& name) const { return Unknown("pipeline", name, pipelines_view_); }

absl::StatusOr<bool> Supervisor::PipelineHealthy(const std::string& pipeline) {
  absl::StatusOr<v1::Pipeline> view = GetPipeline(absl::StartsWith(pipeline, "pipelines/") ? pipeline : PipelineName(pipeline));
  if (!view.ok()) return view.status();
  return view->failed_count() == 0;
}

}  // namespace puma::server
