// What clients see: tasks through the feed, pipelines and buffers as a view that is rebuilt when something has changed.
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/buffer_view.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
void SetTime(int64_t unix_ns, google::protobuf::Timestamp* out) {
  out->set_seconds(unix_ns / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(unix_ns % 1'000'000'000));
}
}  // namespace

void Supervisor::Show(TaskRec& task) {
  const v1::Task view = View(task);
  feed_.Put(view);
  waiters_.Seen(view);
}

v1::Task Supervisor::View(TaskRec& task) {
  v1::Task view;
  view.set_name(task.full_name);
  view.set_uid(absl::StrCat(absl::Hex(task.row.uid)));
  view.set_generation(task.row.generation);
  *view.mutable_spec() = task.spec;
  view.set_replica(task.row.replica);
  v1::TaskStatus& status = *view.mutable_status();
  if (task.shown != task.life.state) {
    TellState(task, std::exchange(task.shown, task.life.state));
    task.since_unix_ns = RealNanos();
  }
  status.set_state(task.life.state);
  status.set_reason(task.life.reason);
  status.set_run(task.life.run);
  if (const WorkerRec* worker = model_.worker(task.worker)) {
    status.set_pid(worker->pid);
    if (worker->group) status.set_group(PipelineName(worker->pipeline));
    if (worker->control != nullptr && worker->control->connected()) {
      const int64_t since = static_cast<int64_t>(worker->control->task(task.slot).busy_since.load(std::memory_order_relaxed));
      const int64_t busy = since == 0 ? 0 : MonotonicNanos() - since;
      if (busy > 100'000'000)
        status.mutable_busy()->set_seconds(busy / 1'000'000'000),
            status.mutable_busy()->set_nanos(static_cast<int32_t>(busy % 1'000'000'000));
    }
  }
  SetTime(task.since_unix_ns, status.mutable_since());
  status.set_restarts(task.life.restart_count);
  if (task.life.exit.run() != 0) *status.mutable_last_exit() = task.life.exit;
  if (task.life.state == v1::TASK_STATE_BACKOFF) SetTime(RealNanos() + task.life.deadline - BootNanos(), status.mutable_next_start());
  status.set_desired_running(task.life.desired && !task.life.deleting);
  status.set_log_level(LogLevelOf(task));
  ViewPorts(task, status);
  return view;
}

void Supervisor::ViewPorts(TaskRec& task, v1::TaskStatus& status) {
  auto add = [&](const std::string& port, const std::string& buffer, bool output) {
    const PortCount& count = task.counts[absl::StrCat(output ? "out " : "in ", port)];
    v1::PortStatus& added = *status.add_ports();
    added.set_port(port);
    added.set_buffer(buffer);
    added.set_output(output);
    added.set_messages(count.seen);
    added.set_waiting(count.waiting);
    added.set_rate(count.rate);
  };
  for (const auto& [port, input] : task.spec.inputs()) add(port, input.buffer(), false);
  for (const auto& [port, buffer] : task.spec.outputs()) add(port, buffer, true);
}

bool Supervisor::SamplePorts(TaskRec& task, double seconds) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> now;  // messages, waiting
  for (const auto& [port, buffer] : task.spec.outputs()) now[absl::StrCat("out ", port)];
  for (const auto& [port, input] : task.spec.inputs()) now[absl::StrCat("in ", port)];
  for (const auto& [id, lane] : model_.lanes) {
    if (lane->publisher != task.row.uid) continue;
    auto& [messages, waiting] = now[absl::StrCat("out ", lane->port)];
    messages += MessagesIn(*lane);
    waiting += MessagesIn(*lane) - MessagesBelow(*lane, lane->ring.released());
  }
  if (!task.spec.inputs().empty()) {
    for (const InputLane& input : LanesReadBy(model_, task)) {
      const std::optional<ReadState> state = StateOf(model_, task, *input.lane);
      const uint64_t next = state ? state->next : input.lane->ring.constants().base;
      auto& [messages, waiting] = now[absl::StrCat("in ", input.reader.port)];
      messages += MessagesBelow(*input.lane, next);
      waiting += MessagesIn(*input.lane) - MessagesBelow(*input.lane, next);
    }
  }
  bool changed = false;
  for (const auto& [port, sample] : now) {
    PortCount& count = task.counts[port];
    const uint64_t total = count.retired + sample.first;
    const double smooth = SmoothRate(count.rate, total - std::min(total, count.seen), seconds);
    changed |= total != count.seen || sample.second != count.waiting || smooth != count.rate;
    count.seen = total;
    count.waiting = sample.second;
    count.rate = smooth;
  }
  if (changed) Show(task);
  return changed;
}

void Supervisor::ShowPipelines() {
  std::map<std::string, v1::Pipeline> pipelines;
  std::map<std::string, v1::Buffer> buffers;
  for (const auto& [name, pipeline] : model_.pipelines) {
    v1::Pipeline& view = pipelines[PipelineName(name)];
    view.set_name(PipelineName(name));
    view.set_uid(pipeline->row.uid);
    view.set_generation(pipeline->row.generation);
    view.set_etag(EtagOf(pipeline->row));
    *view.mutable_spec() = pipeline->spec;
    SetTime(pipeline->row.create_unix_ns, view.mutable_create_time());
    SetTime(pipeline->row.update_unix_ns, view.mutable_update_time());
    view.set_deleting(pipeline->row.deleting);
    view.set_task_count(static_cast<int32_t>(pipeline->tasks.size()));
    for (const auto& [local, uid] : pipeline->tasks) {
      const v1::TaskState state = model_.task(uid)->life.state;
      if (state == v1::TASK_STATE_RUNNING || state == v1::TASK_STATE_SUCCEEDED) view.set_ready_count(view.ready_count() + 1);
      if (state == v1::TASK_STATE_FAILED) view.set_failed_count(view.failed_count() + 1);
    }
    for (const auto& [buffer, spec] : pipeline->spec.buffers()) {
      v1::Buffer shown = ViewBuffer(model_, *pipeline, buffer);
      buffers[shown.name()] = std::move(shown);
    }
  }
  v1::Host host;
  host.set_name("host");
  host.set_version(options_.version);
  host.set_pid(getpid());
  host.set_shim_pid(welcome_.shim_pid);
  host.set_incarnation(incarnation_);
  host.set_state_directory(options_.state_directory);
  host.set_log_file(options_.log_file);
  for (const std::string& directory : options_.module_directories) host.add_module_directories(directory);
  static constexpr std::pair<uint32_t, const char*> kFeatures[] = {
      {shim::kFeatureNoNewPrivs, "no_new_privs"},    {shim::kFeatureRlimits, "rlimits"},
      {shim::kFeatureCgroupKill, "cgroup:kill"},     {shim::kFeatureCgroupPids, "cgroup:pids"},
      {shim::kFeatureCgroupMemory, "cgroup:memory"}, {shim::kFeatureCgroupCpu, "cgroup:cpu"}};
  for (const auto& [bit, name] : kFeatures) {
    if ((welcome_.features & bit) != 0) host.add_isolation(name);
  }
  host.set_pipeline_count(static_cast<int32_t>(model_.pipelines.size()));
  host.set_task_count(static_cast<int32_t>(model_.tasks.size()));
  host.set_running_count(RunningCount());
  host.set_drained(drained_);
  host.set_cpu_count(get_nprocs());
  host.set_memory_bytes(static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
  SetTime(started_unix_ns_, host.mutable_start_time());
  MutexLock lock(view_mutex_);
  pipelines_view_ = std::move(pipelines);
  buffers_view_ = std::move(buffers);
  host_view_ = std::move(host);
}

}  // namespace puma::server
