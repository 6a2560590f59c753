#include "server/supervisor/supervisor.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/supervisor/buffer_view.h"
#include "server/supervisor/life_codec.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kTickNs = kSecond;
constexpr int64_t kWatchdogTickNs = kSecond / 20;  // a hang is found within its watchdog and this
}  // namespace

Supervisor::Supervisor(EventLoop& loop, Journal& journal, const Feeds& feeds, ModuleCatalogue& modules, Options options)
    : loop_(loop),
      journal_(journal),
      logs_(*feeds.logs),
      feed_(*feeds.tasks),
      events_(*feeds.events),
      modules_(modules),
      options_(std::move(options)),
      intake_(logs_) {}

Supervisor::~Supervisor() = default;

absl::Status Supervisor::Begin() {
  absl::StatusOr<std::string> boot = BootId();
  if (!boot.ok()) return boot.status();
  boot_id_ = *boot;
  absl::StatusOr<int64_t> incarnation = journal_.NextIncarnation();
  if (!incarnation.ok()) return incarnation.status();
  incarnation_ = *incarnation;
  absl::StatusOr<JournalSnapshot> snapshot = journal_.Load();
  if (!snapshot.ok()) return snapshot.status();
  AdoptJournal(*snapshot);
  shim_ = std::make_unique<ShimLink>(
      loop_, std::move(options_.shim), [this](ShimMessage message) { OnShim(std::move(message)); },
      [this](const std::string& why) {
        if (!shutting_down_) ended_ = absl::UnavailableError(why);
        loop_.Stop();
      });
  shim::Hello hello{};
  const std::string store = journal_.store_id();
  std::memcpy(hello.store_id, store.data(), std::min(store.size(), sizeof(hello.store_id)));
  hello.incarnation = static_cast<uint64_t>(incarnation_);
  shim_->Send(shim::Type::kHello, hello);
  last_tick_ = BootNanos();
  started_unix_ns_ = RealNanos();
  return absl::OkStatus();
}

absl::Status Supervisor::Run() {
  loop_.Run([this] { return Idle(); });
  waiters_ = {};  // their calls say UNAVAILABLE: the next host may be asked
  return ended_;
}

void Supervisor::Quit() {
  loop_.Post([this] {
    shutting_down_ = true;
    loop_.Stop();
  });
}

int64_t Supervisor::Idle() {
  const int64_t now = BootNanos();
  RunTimers();
  if (settle_at_ != 0 && now >= settle_at_) Settle();
  if (now >= next_tick_) Tick();
  // Reconsidering may start tasks, which may change what other pipelines' tasks wait for only through events: one round is enough.
  for (const std::string& pipeline : std::exchange(reconsider_, {})) Reconsider(pipeline);
  if (std::exchange(collect_, false)) CollectSegments();
  if (std::exchange(pipelines_changed_, false)) ShowPipelines();
  EndTurn();
  int64_t due = next_tick_;
  if (!timers_.empty()) due = std::min(due, timers_.begin()->first);
  if (!describe_deadlines_.empty()) due = std::min(due, describe_deadlines_.begin()->first);
  if (settle_at_ != 0) due = std::min(due, settle_at_);
  return due;
}

void Supervisor::PutTask(TaskRec& task) {
  task.row.desired = task.life.desired;
  task.row.deleting = task.life.deleting;
  task.row.run = task.life.run;
  task.row.life = LifeToJson(task.life, boot_id_);
  task.row.last_exit = task.life.exit.SerializeAsString();
  turn_.put_tasks.push_back(task.row);
  turn_dirty_ = true;
}

void Supervisor::EndTurn() {
  if (!turn_dirty_ && turn_after_.empty()) return;
  std::vector<std::function<void(const absl::Status&)>> after = std::exchange(turn_after_, {});
  JournalChange change = std::exchange(turn_, {});
  turn_dirty_ = false;
  journal_.Commit(std::move(change), [this, after = std::move(after)](absl::Status status) mutable {
    loop_.Post([this, after = std::move(after), status] {
      for (const auto& f : after) f(status);
      if (status.ok() || shutting_down_) return;
      // Crash-only: what is in memory is no longer what is in the file. The next host begins with the file; tasks go on meanwhile.
      Log(4, absl::StrCat("the journal can't be written: ", std::string(status.message()), "; the host is restarted"));
      ended_ = status;
      loop_.Stop();
    });
  });
}

void Supervisor::ArmTimer(TaskRec& task) {
  const uint64_t uid = task.row.uid;
  auto armed = armed_.find(uid);
  const int64_t old = armed == armed_.end() ? 0 : armed->second;
  if (old == task.life.deadline) return;
  if (old != 0) {
    auto [begin, end] = timers_.equal_range(old);
    for (auto it = begin; it != end; ++it) {
      if (it->second != uid) continue;
      timers_.erase(it);
      break;
    }
    armed_.erase(uid);
  }
  if (task.life.deadline == 0) return;
  timers_.emplace(task.life.deadline, uid);
  armed_[uid] = task.life.deadline;
}

void Supervisor::RunTimers() {
  const int64_t now = BootNanos();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const uint64_t uid = timers_.begin()->second;
    timers_.erase(timers_.begin());
    armed_.erase(uid);
    if (TaskRec* task = model_.task(uid)) Feed(*task, Event::Kind::kTimer);
  }
  while (!describe_deadlines_.empty() && describe_deadlines_.begin()->first <= now) {
    auto describing = describing_.find(describe_deadlines_.begin()->second);
    describe_deadlines_.erase(describe_deadlines_.begin());
    if (describing == describing_.end()) continue;
    auto done = std::move(describing->second);
    describing_.erase(describing);
    done(absl::DeadlineExceededError("it could not be described within 10 s; a constructor only declares, OnStart acquires"));
  }
}

void Supervisor::Tick() {
  const int64_t now = BootNanos();
  bool watched = false;
  for (const auto& [uid, task] : model_.tasks) watched |= task->spec.has_watchdog() && task->life.state == v1::TASK_STATE_RUNNING;
  next_tick_ = now + (watched ? kWatchdogTickNs : kTickNs);
  if (watched) Watchdogs(now);
  if (now - last_tick_ < kTickNs * 9 / 10) return;
  const double seconds = static_cast<double>(now - last_tick_) / kSecond;
  last_tick_ = now;
  std::erase_if(requests_, [now = RealNanos()](const auto& request) { return request.second.expires_unix_ns <= now; });
  bool moved = false;
  for (auto& [uid, task] : model_.tasks) {
    if (task->worker == 0) continue;
    moved |= SamplePorts(*task, seconds);
    CheckPage(*task);
  }
  for (const auto& [name, pipeline] : model_.pipelines)
    reconsider_.insert(name);  // what waits for lanes to be drained is not told otherwise
  for (auto& [id, lane] : model_.lanes) {
    moved |= SampleLane(*lane, seconds);
    collect_ |= lane->ended;
  }
  pipelines_changed_ |= moved;
  taps_.Tick(MonotonicNanos());
  invocations_.SendWaiting(SendsCommands());
}

void Supervisor::Watchdogs(int64_t) {
  for (auto& [uid, task] : model_.tasks) {
    if (!task->spec.has_watchdog() || task->life.state != v1::TASK_STATE_RUNNING) continue;
    WorkerRec* worker = model_.worker(task->worker);
    if (worker == nullptr || !worker->control->connected()) continue;
    const int64_t since = static_cast<int64_t>(worker->control->task(task->slot).busy_since.load(std::memory_order_relaxed));
    const int64_t limit = task->spec.watchdog().seconds() * kSecond + task->spec.watchdog().nanos();
    if (since == 0 || MonotonicNanos() - since < limit) continue;
    Feed(*task, Event::Kind::kHang, [&](Event& event) {
      event.exit.set_cause(v1::EXIT_CAUSE_HANG);
      event.exit.set_summary(
          absl::StrCat("a handler was busy for more than its watchdog of ", absl::FormatDuration(absl::Nanoseconds(limit))));
    });
  }
}

uint64_t Supervisor::NewId() {
  // Segment ids and tickets: random, so that no two hosts and no two journals give the same one.
  static thread_local std::mt19937_64 generator{std::random_device{}() ^ (uint64_t{std::random_device{}()} << 32)};
  uint64_t id;
  do {
    id = generator() >> 1;
  } while (id == 0 || model_.lanes.contains(id) || model_.pages.contains(id));
  return id;
}

}  // namespace puma::server
