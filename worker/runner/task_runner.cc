#include "worker/runner/task_runner.h"

#include <fmt/format.h>
#include <puma/environment.h>
#include <puma/log.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "worker/logging/crash_handler.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/system.h"

namespace puma::runner {

namespace {
constexpr uint64_t kMaxSpinNs = 10'000'000;
}  // namespace

using internal::Outcome;
using internal::RunnableCore;

TaskRunner::TaskRunner(control::StartSpec spec, RunnerHooks hooks, RunnerOptions options)
    : spec_(std::move(spec)), hooks_(std::move(hooks)), options_(options) {}

TaskRunner::~TaskRunner() {
  Stop();
  if (started_ && !joined_) Join();
}

absl::Status TaskRunner::Start() {
  if (started_) return absl::FailedPreconditionError(fmt::format("task \"{}\" has been started already", spec_.name));
  if (int error = pthread_create(&thread_, nullptr, ThreadMain, this); error != 0)
    return ErrnoStatus(error, "a thread for task " + spec_.name);
  started_ = true;
  return absl::OkStatus();
}

Outcome TaskRunner::Join() {
  if (started_ && !joined_) pthread_join(thread_, nullptr);
  joined_ = true;
  return outcome_;
}

void TaskRunner::Stop() {
  MutexLock lock(mutex_);
  stop_ = true;
  if (core_ != nullptr) core_->Stop();
}

// ---- from the control thread
// -------------------------------------------------------------------------------------------------------------

void TaskRunner::Attach(internal::LaneAttachment lane) {
  MutexLock lock(mutex_);
  if (core_ != nullptr) return core_->Attach(std::move(lane));
  auto kept = std::make_shared<internal::LaneAttachment>(std::move(lane));  // std::function copies
  pending_.push_back([kept](RunnableCore& core) { core.Attach(std::move(*kept)); });
}

void TaskRunner::EndPublisher(std::string port, uint64_t publisher, absl::Status error) {
  MutexLock lock(mutex_);
  if (core_ != nullptr) return core_->EndPublisher(std::move(port), publisher, std::move(error));
  pending_.push_back([port, publisher, error](RunnableCore& core) { core.EndPublisher(port, publisher, error); });
}

void TaskRunner::LeaveLane(std::string port, uint64_t lane) {
  MutexLock lock(mutex_);
  if (core_ != nullptr) return core_->LeaveLane(std::move(port), lane);
  pending_.push_back([port, lane](RunnableCore& core) { core.LeaveLane(port, lane); });
}

absl::StatusOr<uint64_t> TaskRunner::SetGate(internal::PageAttachment page) {
  MutexLock lock(mutex_);
  if (core_ == nullptr) return absl::NotFoundError(fmt::format("task \"{}\" is not running", spec_.name));
  for (auto& output : core_->outputs()) {
    if (output->HasLane(page.lane)) return output->SetGate(std::move(page));
  }
  return absl::NotFoundError(fmt::format("task \"{}\" has no lane {}", spec_.name, page.lane));
}

void TaskRunner::GateDown(uint64_t lane, uint64_t subscription, control::GateChange change) {
  MutexLock lock(mutex_);
  if (core_ == nullptr) return;
  for (auto& output : core_->outputs()) output->GateDown(lane, subscription, change);
}

// From now on other threads reach the core; null: no longer.
void TaskRunner::Publish(RunnableCore* core) {
  MutexLock lock(mutex_);
  core_ = core;
  if (core == nullptr) return;
  for (auto& act : pending_) act(*core);
  pending_.clear();
  if (stop_) core->Stop();
}

// ---- the task's thread
// -------------------------------------------------------------------------------------------------------------------

void* TaskRunner::ThreadMain(void* self) {
  auto* runner = static_cast<TaskRunner*>(self);
  NameThread(runner->spec_.name);
  logging::AlternateStack stack;
  runner->outcome_ = runner->Run();
  if (runner->hooks_.ended) runner->hooks_.ended();
  return nullptr;
}

Outcome TaskRunner::Failed(absl::Status status, std::string_view when) {
  Error error = ErrorOf(status);
  if (error.path.empty() || error.path.back() != spec_.name) error.path.push_back(spec_.name);
  status = ToStatus(error);
  log().error("{}: {}", when, Explain(status));
  return {Outcome::Kind::kFailed, std::move(status)};
}

Outcome TaskRunner::Run() {
  const Logger logger(logging::InternName(spec_.name), options_.log_level != nullptr ? options_.log_level : logging::LevelWord(spec_.name));
  logging::ThreadScope scope(logger, spec_.slot);
  auto core = Construct();
  if (!core.ok()) return Failed(core.status(), "can't be made");
  auto page = MakePage();
  if (!page.ok()) return Failed(page.status(), "can't make its task page");
  return RunCore(*std::move(core), *page);
}

Outcome TaskRunner::RunCore(std::unique_ptr<RunnableCore> core, TaskPage& page) {
  core->context().environment = [this]() -> Environment& {  // made when it is asked for: few do
    if (environment_ == nullptr) environment_ = CreateEnvironment(options_.processes ? "processes" : "threads");
    return *environment_;
  };
  core->UsePage(&page);
  core->UseCommands(options_.commands);
  core->context().bad_lane = hooks_.bad_lane;
  if (absl::Status s = ConnectPorts(*core); !s.ok()) return Failed(s, "can't make its lanes");
  Publish(core.get());
  struct Unpublish {
    TaskRunner* runner;
    ~Unpublish() { runner->Publish(nullptr); }
  } unpublish{this};
  if (absl::Status s = OfferAll(*core, page); !s.ok()) return Failed(s, "can't offer its segments");
  if (absl::Status s = core->Start(); !s.ok()) return Failed(s, "can't start");
  if (hooks_.running) hooks_.running();
  return core->Run();
}

absl::StatusOr<std::unique_ptr<RunnableCore>> TaskRunner::Construct() {
  auto factory = hooks_.load();
  if (!factory.ok()) return factory.status();
  internal::CoreOptions options;
  options.name = spec_.name;
  options.params = spec_.params;
  for (const control::InputSpec& input : spec_.inputs) options.inputs.push_back(input.port);
  for (const control::OutputSpec& output : spec_.outputs) options.outputs.push_back(output.port);
  options.log_level = options_.log_level;
  options.spin = absl::Nanoseconds(static_cast<int64_t>(std::min(spec_.spin_ns, kMaxSpinNs)));
  options.slot = spec_.slot;
  auto core = RunnableCore::Construct(*factory, std::move(options));
  if (core.ok() && options_.busy_since != nullptr) {
    internal::RunContext& context = (*core)->context();
    context.busy_since = options_.busy_since;
    context.published = options_.published;
    context.finished = options_.finished;
    context.grown = options_.grown;
  }
  return core;
}

// The new page says from the beginning where everything stands, so that only the newest one counts.
absl::StatusOr<TaskPage> TaskRunner::MakePage() const {
  std::vector<ReadState> resume;
  for (const control::InputSpec& input : spec_.inputs) {
    for (const control::KnownLane& lane : input.lanes) {
      if (lane.page_slot >= TaskPage::kSlots) return absl::InvalidArgumentError(fmt::format("slot {} of a task page", lane.page_slot));
      if (resume.size() <= lane.page_slot) resume.resize(lane.page_slot + 1);
      resume[lane.page_slot] = {lane.lane, lane.next, lane.deliveries, lane.handed, lane.backlog, lane.redelivered, lane.missed};
    }
  }
  return TaskPage::Create(spec_.task, spec_.run, resume);
}

absl::Status TaskRunner::ConnectPorts(RunnableCore& core) {
  core.context().offer_lane = hooks_.offer_lane;
  for (const control::InputSpec& input : spec_.inputs) {
    core.FindInput(input.port)
        ->Connect({input.buffer, input.lossy, input.latest, input.publishers, std::max<uint32_t>(input.lanes_each, 1)});
  }
  for (const control::OutputSpec& output : spec_.outputs) {
    auto policy = internal::FullPolicyOf(output.on_full);
    if (!policy.ok()) return policy.status();
    internal::OutputCore* port = core.FindOutput(output.port);
    std::vector<std::unique_ptr<internal::OutputLane>> lanes;
    internal::Growth growth{output.max_bytes, {}};
    for (const control::LaneSpec& lane : output.lanes) {
      internal::LaneOptions options;
      options.lane = lane.lane;
      options.epoch = output.epoch;
      options.capacity = output.capacity;
      options.payload_bytes = output.payload_bytes;
      options.lossy = *policy == internal::FullPolicy::kOverwrite;
      options.stream = output.stream;
      options.huge_pages = output.huge_pages;
      options.prefault = output.prefault;
      options.subscriptions = lane.subscriptions;
      growth.spares.push_back(lane.spares);
      auto made = internal::OutputLane::Create(options, port->type());
      if (!made.ok()) {
        return absl::Status(made.status().code(),
                            fmt::format("output \"{}\", buffer \"{}\": {}", output.port, output.buffer, made.status().ToString()));
      }
      lanes.push_back(*std::move(made));
    }
    port->Connect(output.buffer, *policy, std::move(lanes), std::move(growth));
  }
  return absl::OkStatus();
}

absl::Status TaskRunner::OfferAll(RunnableCore& core, TaskPage& page) {
  if (hooks_.offer_page) {
    if (absl::Status s = hooks_.offer_page(spec_.page, page.segment()); !s.ok()) return s;
  }
  for (auto& output : core.outputs()) {
    for (auto& lane : output->lanes()) {
      if (!hooks_.offer_lane) continue;
      if (absl::Status s = hooks_.offer_lane(lane->id(), lane->segment()); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

}  // namespace puma::runner
