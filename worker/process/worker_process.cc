#include "worker/process/worker_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <puma/log.h>
#include <puma/logging.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "worker/control/failure.h"
#include "worker/logging/crash_handler.h"
#include "worker/platform/system.h"
#include "worker/runnable/runnable_core.h"

namespace puma::process {
namespace {

std::string_view PortName(const char (&port)[64]) { return {port, strnlen(port, sizeof(port))}; }

absl::Status ErrorFromText(std::string_view text) {
  if (text.empty()) return absl::OkStatus();
  auto error = control::FailureFromJson(text);
  return error.ok() ? ToStatus(*error) : absl::UnknownError(absl::string_view(text.data(), text.size()));
}

}  // namespace

// ---- making
// ------------------------------------------------------------------------------------------------------------------------------

WorkerProcess::WorkerProcess(WorkerDescriptors& descriptors, std::unique_ptr<control::WorkerControl> control)
    : control_(std::move(control)),
      link_(std::move(descriptors.socket)),
      sink_(*control_),
      capture_(std::move(descriptors.standard_output), std::move(descriptors.standard_error),
               [this](logging::Stream stream, std::string_view line) {
                 sink_.WriteLine(stream, output_owner_.load(std::memory_order_relaxed), line);
               }),
      ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      tasks_(control_->header().slots) {}

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Create(WorkerDescriptors descriptors) {
  auto control = control::WorkerControl::Create(std::move(descriptors.host_segment), std::move(descriptors.doorbell), 0);
  if (!control.ok()) {
    ShimLink link(std::move(descriptors.socket));
    (void)link.SendFailed({}, 0, control.status());
    return control.status();
  }
  std::unique_ptr<WorkerProcess> worker(new WorkerProcess(descriptors, *std::move(control)));
  if (!worker->ended_.valid()) return ErrnoStatus(errno, "eventfd");
  control::Culprit& culprit = worker->control_->header().culprit;
  logging::InstallCrashHandler({&culprit.slot_plus_one, &culprit.signal});
  logging::InstallSink(&worker->sink_);
  SetLevel("", Level::kInfo);
  if (absl::Status s = worker->SayHello(); !s.ok()) return s;
  if (absl::Status s = worker->capture_.Start(); !s.ok()) return s;
  return worker;
}

WorkerProcess::~WorkerProcess() {
  Flush();
  logging::InstallSink(nullptr);
}

absl::Status WorkerProcess::SayHello() {
  shim::WorkerHello hello{};
  hello.membarrier = RegisterMembarrier();
  hello.pid = getpid();
  if (absl::Status s = link_.Send(shim::Type::kWorkerHello, hello); !s.ok()) return s;
  shim::Offer offer{};
  offer.kind = shim::SegmentKind::kControl;
  UniqueFd fd = control_->segment().TakeFd();
  return link_.Send(shim::Type::kOffer, offer, {}, fd.get());
}

void WorkerProcess::Flush() {
  fflush(nullptr);
  capture_.Stop();
}

// ---- serving
// -----------------------------------------------------------------------------------------------------------------------------

int WorkerProcess::Serve() {
  logging::AlternateStack stack;
  while (true) {
    pollfd polled[2] = {{link_.fd(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return 1;
    if (polled[1].revents != 0) {
      uint64_t count;
      [[maybe_unused]] ssize_t n = read(ended_.get(), &count, sizeof(count));
      if (ReapEnded()) return 0;
    }
    if (polled[0].revents != 0) Receive();
    if (shim_gone_) return 1;
  }
}

void WorkerProcess::Receive() {
  auto message = link_.Receive();
  if (!message.ok()) {
    shim_gone_ = absl::IsUnavailable(message.status());
    log().error("{}", message.status().ToString());
    return;
  }
  switch (message->type) {
    case shim::Type::kStartTask:
      return StartTask(*std::move(message));
    case shim::Type::kAttach:
      return Attach(*std::move(message));
    case shim::Type::kEndLane:
      return EndLane(*message);
    case shim::Type::kGateDown:
      return GateDown(*message);
    case shim::Type::kLeaveLane:
      return LeaveLane(*message);
    default:
      return;  // of a newer shim
  }
}

WorkerProcess::Task* WorkerProcess::Find(uint32_t slot) { return slot < tasks_.size() ? tasks_[slot].get() : nullptr; }

// ---- starting
// ----------------------------------------------------------------------------------------------------------------------------

void WorkerProcess::StartTask(ShimMessage message) {
  const auto start = message.As<shim::StartTask>();
  if (!start.has_value()) return;
  auto spec = control::FromMemfd(message.TakeFd());
  absl::Status status = spec.ok() ? EnterSlot(*start, *std::move(spec)) : spec.status();
  if (!status.ok()) (void)link_.SendFailed(start->id, start->slot, status);
}

absl::Status WorkerProcess::EnterSlot(const shim::StartTask& start, control::StartSpec spec) {
  if (start.slot >= tasks_.size()) return absl::InvalidArgumentError(fmt::format("this worker has no slot {}", start.slot));
  if (Task* living = Find(start.slot)) {
    if (living->spec.ticket == spec.ticket && living->spec.run == spec.run) return absl::OkStatus();  // told twice
    return absl::FailedPreconditionError(fmt::format("slot {} still holds task \"{}\"", start.slot, living->spec.name));
  }
  if (absl::Status s = control_->OpenSlot(start.slot); !s.ok()) return s;
  spec.slot = start.slot;
  tasks_[start.slot] = std::make_unique<Task>();
  Task& task = *tasks_[start.slot];
  task.id = start.id;
  task.spec = std::move(spec);
  if (task.spec.alone) output_owner_.store(start.slot + 1, std::memory_order_relaxed);
  SetLevel("", static_cast<Level>(task.spec.log_level));
  control_->EnterTask(start.slot, task.spec.task, task.spec.run, task.spec.ticket);
  if (task.spec.type.empty()) {
    StartDescriber(task);
  } else {
    StartRunner(task);
  }
  return absl::OkStatus();
}

void WorkerProcess::StartRunner(Task& task) {
  const uint32_t slot = task.spec.slot;
  task.commands = std::make_unique<runner::ControlCommands>(*control_, slot);
  control::TaskSlot& words = control_->task(slot);
  runner::RunnerOptions options;
  options.commands = task.commands.get();
  options.log_level = &control_->host_slot(slot).log_level;
  options.busy_since = &words.busy_since;
  options.published = &words.published;
  options.finished = &words.finished;
  options.grown = &words.grown;
  options.processes = control_->header().slots == 1;
  const auto offer = [this, slot](uint64_t id, shim::SegmentKind kind, Segment& segment) {
    UniqueFd fd = segment.TakeFd();  // closed here once the shim has it
    return link_.Send(shim::Type::kOffer, shim::Offer{id, kind, slot}, {}, fd.get());
  };
  runner::RunnerHooks hooks;
  hooks.load = [this, &task]() -> absl::StatusOr<Module::Factory> {
    auto module = modules_.Load(task.spec.module, task.spec.module_name);
    if (!module.ok()) return module.status();
    return ModuleLoader::Find(**module, task.spec.module_name, task.spec.type);
  };
  hooks.offer_page = [offer](uint64_t id, Segment& segment) { return offer(id, shim::SegmentKind::kPage, segment); };
  hooks.offer_lane = [offer](uint64_t id, Segment& segment) { return offer(id, shim::SegmentKind::kLane, segment); };
  hooks.bad_lane = [this, slot](uint64_t lane, const std::string& what) {
    control::ResultRecord record{};
    record.id = lane;
    record.slot = slot;
    record.kind = control::kBadLane;
    control_->SendResult(record, what);
  };
  hooks.running = [this, slot] { control_->SetState(slot, control::SlotState::kRunning); };
  hooks.ended = [this, &task] { TaskEnded(task); };
  task.runner = std::make_unique<runner::TaskRunner>(task.spec, std::move(hooks), options);
  if (absl::Status s = task.runner->Start(); !s.ok()) {
    control_->Fail(slot, control::FailureToJson(ErrorOf(s), control::kFailureBytes));
    tasks_[slot] = nullptr;
  }
}

absl::StatusOr<std::string> WorkerProcess::Describe(const control::StartSpec& spec) {
  auto module = modules_.Load(spec.module, spec.module_name);
  if (!module.ok()) return module.status();
  return internal::DescribeModule(**module, spec.module_name);
}

// The spec names no type: the module is to be described.
void WorkerProcess::StartDescriber(Task& task) {
  task.describer = std::thread([this, &task] {
    logging::AlternateStack stack;
    const Logger logger(logging::InternName(task.spec.module_name), &logging::ProcessLevel());
    logging::ThreadScope scope(logger, task.spec.slot);
    auto description = Describe(task.spec);
    control::ResultRecord record{};
    record.id = task.spec.ticket;
    record.slot = task.spec.slot;
    if (description.ok()) {
      control_->SendResult(record, *description);
      control_->SetState(task.spec.slot, control::SlotState::kCompleted);
    } else {
      control_->Fail(task.spec.slot, control::FailureToJson(ErrorOf(description.status()), control::kFailureBytes));
    }
    TaskEnded(task);
  });
}

// ---- the end
// -----------------------------------------------------------------------------------------------------------------------------

void WorkerProcess::TaskEnded(Task& task) {
  task.ended.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(ended_.get(), &one, sizeof(one));
}

void WorkerProcess::WriteEnd(Task& task, const internal::Outcome& outcome) {
  const uint32_t slot = task.spec.slot;
  switch (outcome.kind) {
    case internal::Outcome::Kind::kCompleted:
      return control_->SetState(slot, control::SlotState::kCompleted);
    case internal::Outcome::Kind::kStopped:
      return control_->SetState(slot, control::SlotState::kStopped);
    case internal::Outcome::Kind::kFailed:
      return control_->Fail(slot, control::FailureToJson(ErrorOf(outcome.error), control::kFailureBytes));
  }
}

bool WorkerProcess::ReapEnded() {
  for (auto& task : tasks_) {
    if (task == nullptr || !task->ended.load(std::memory_order_acquire)) continue;
    const bool alone = task->spec.alone;
    if (task->describer.joinable()) task->describer.join();
    if (task->runner != nullptr) {
      const internal::Outcome outcome = task->runner->Join();
      if (alone) Flush();  // before the end can be seen: its output belongs to the run
      WriteEnd(*task, outcome);
    }
    task = nullptr;
    if (alone) return true;
  }
  return false;
}

// ---- wiring
// ------------------------------------------------------------------------------------------------------------------------------

void WorkerProcess::Attach(ShimMessage message) {
  const auto attach = message.As<shim::Attach>();
  if (!attach.has_value() || message.fds.empty()) return;
  Task* task = Find(attach->slot);
  if (task == nullptr || task->runner == nullptr) return;  // it has ended meanwhile
  if (attach->kind == shim::SegmentKind::kPage) return AttachPage(*attach, *task, message.TakeFd());
  internal::LaneAttachment lane;
  lane.port = std::string(PortName(attach->port));
  lane.fd = message.TakeFd();
  lane.lane = attach->lane;
  lane.publisher = attach->publisher;
  lane.epoch = attach->epoch;
  lane.part = attach->part;
  lane.page_slot = attach->page_slot;
  lane.start = attach->start;
  task->runner->Attach(std::move(lane));
}

void WorkerProcess::AttachPage(const shim::Attach& attach, Task& task, UniqueFd page) {
  internal::PageAttachment attachment;
  attachment.lane = attach.lane;
  attachment.subscription = attach.subscription;
  attachment.fd = std::move(page);
  attachment.page_slot = attach.page_slot;
  attachment.lossy = (attach.flags & shim::kAttachLossy) != 0;
  attachment.newest = (attach.flags & shim::kAttachNewest) != 0;
  auto start = task.runner->SetGate(std::move(attachment));
  if (absl::IsNotFound(start.status())) return;  // it has ended, or went on in a larger lane: the host hears of it
  if (!start.ok()) {
    log().error("task \"{}\": the page of subscription {} can't gate lane {}: {}", task.spec.name, attach.subscription, attach.lane,
                start.status().ToString());
    return;
  }
  shim::Attached attached{};
  attached.id = attach.to;
  attached.lane = attach.lane;
  attached.subscription = attach.subscription;
  attached.page = attach.segment;
  attached.start = *start;
  (void)link_.Send(shim::Type::kAttached, attached);
}

void WorkerProcess::EndLane(const ShimMessage& message) {
  const auto end = message.As<shim::EndLane>();
  if (!end.has_value()) return;
  Task* task = Find(end->slot);
  if (task == nullptr || task->runner == nullptr) return;
  task->runner->EndPublisher(std::string(PortName(end->port)), end->publisher,
                             ErrorFromText(message.TextAfter<shim::EndLane>(end->length)));
}

void WorkerProcess::GateDown(const ShimMessage& message) {
  const auto down = message.As<shim::GateDown>();
  if (!down.has_value()) return;
  Task* task = Find(down->slot);
  if (task != nullptr && task->runner != nullptr) task->runner->GateDown(down->lane, down->subscription, down->change);
}

void WorkerProcess::LeaveLane(const ShimMessage& message) {
  const auto leave = message.As<shim::LeaveLane>();
  if (!leave.has_value()) return;
  Task* task = Find(leave->slot);
  if (task != nullptr && task->runner != nullptr) task->runner->LeaveLane(std::string(PortName(leave->port)), leave->lane);
}

}  // namespace puma::process
