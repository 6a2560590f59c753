#include "server/telemetry/task_feed.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace puma::server {
namespace {

constexpr size_t kBatchBytes = 64 << 10;
constexpr size_t kBatchEvents = 1024;

// What names of a parent's tasks begin with.
std::string PrefixOf(const std::string& parent) { return parent.empty() ? "" : parent + "/tasks/"; }

bool Begins(const std::string& name, const std::string& prefix) { return name.compare(0, prefix.size(), prefix) == 0; }

}  // namespace

TaskFeed::TaskFeed(size_t capacity) : capacity_(capacity) {}

void TaskFeed::Put(const v1::Task& task) {
  auto copy = std::make_shared<const v1::Task>(task);
  {
    MutexLock lock(mutex_);
    tasks_[task.name()] = copy;
    Add({task.name(), std::move(copy)});
  }
  listeners_.Notify();
}

void TaskFeed::Remove(const std::string& name) {
  {
    MutexLock lock(mutex_);
    if (tasks_.erase(name) == 0) return;
    Add({name, nullptr});
  }
  listeners_.Notify();
}

void TaskFeed::Add(Change change) {
  changes_.push_back(std::move(change));
  if (changes_.size() <= capacity_) return;
  changes_.pop_front();
  ++first_;
}

absl::StatusOr<TaskFeed::Position> TaskFeed::Begin(const std::string& revision) const {
  MutexLock lock(mutex_);
  if (revision.empty()) return Position{.next = End()};
  const absl::StatusOr<uint64_t> counter = revisions_.Find(revision, first_, End());
  if (!counter.ok()) return counter.status();
  return Position{.next = *counter, .snapshot_sent = true};
}

bool TaskFeed::Take(const std::string& parent, Position& position, v1::WatchTasksResponse& batch) const {
  std::vector<Change> changes;
  batch.Clear();
  {
    MutexLock lock(mutex_);
    const bool in_snapshot = !position.snapshot_sent && position.snapshot != nullptr;
    if (!in_snapshot && position.next < first_) {
      v1::Gap& gap = *batch.add_events()->mutable_gap();
      gap.set_first(position.next);
      gap.set_last(first_ - 1);
      gap.set_count(first_ - position.next);
      gap.set_reason("this reader was slower than the changes");
      position.snapshot_sent = false;
    }
    if (!position.snapshot_sent && !in_snapshot) TakeSnapshot(parent, position);
    if (position.snapshot_sent) changes = TakeChanges(PrefixOf(parent), position);
  }
  // Messages are copied without the lock: the engine's thread never waits for a viewer's batch.
  if (!position.snapshot_sent) {
    SendSnapshot(position, batch);
    return true;
  }
  for (const Change& change : changes) {
    v1::TaskEvent& event = *batch.add_events();
    if (change.task != nullptr) {
      *event.mutable_task() = *change.task;
    } else {
      event.set_deleted(change.name);
    }
  }
  if (batch.events().empty()) return false;
  batch.set_revision(revisions_.Of(position.next));
  return true;
}

// Only pointers are copied: the tasks themselves don't change.
void TaskFeed::TakeSnapshot(const std::string& parent, Position& position) const {
  const std::string prefix = PrefixOf(parent);
  auto all = std::make_shared<std::vector<std::shared_ptr<const v1::Task>>>();
  for (auto it = tasks_.lower_bound(prefix); it != tasks_.end() && Begins(it->first, prefix); ++it) all->push_back(it->second);
  position.snapshot = std::move(all);
  position.sent = 0;
  position.next = End();
}

std::vector<TaskFeed::Change> TaskFeed::TakeChanges(const std::string& prefix, Position& position) const {
  std::vector<Change> taken;
  size_t bytes = 0;
  while (position.next < End() && bytes < kBatchBytes && taken.size() < kBatchEvents) {
    const Change& change = changes_[position.next - first_];
    ++position.next;
    if (!Begins(change.name, prefix)) continue;
    bytes += change.name.size() + (change.task != nullptr ? change.task->ByteSizeLong() : 0);
    taken.push_back(change);
  }
  return taken;
}

void TaskFeed::SendSnapshot(Position& position, v1::WatchTasksResponse& batch) const {
  size_t bytes = 0;
  while (position.sent < position.snapshot->size() && bytes < kBatchBytes) {
    const v1::Task& task = *(*position.snapshot)[position.sent++];
    bytes += task.ByteSizeLong();
    *batch.add_events()->mutable_task() = task;
  }
  if (position.sent < position.snapshot->size()) return;
  batch.add_events()->set_snapshot_complete(true);
  batch.set_revision(revisions_.Of(position.next));
  position.snapshot_sent = true;
  position.snapshot = nullptr;
}

std::shared_ptr<void> TaskFeed::Subscribe(std::function<void()> f) { return listeners_.Add(std::move(f)); }

absl::StatusOr<v1::Task> TaskFeed::Get(const std::string& name) const {
  std::shared_ptr<const v1::Task> task;
  {
    MutexLock lock(mutex_);
    if (const auto it = tasks_.find(name); it != tasks_.end()) task = it->second;
  }
  if (task == nullptr) return absl::NotFoundError(absl::StrCat("task ", name, ": there is none of this name"));
  return *task;
}

std::vector<v1::Task> TaskFeed::List(const std::string& parent, const std::string& after, size_t at_most) const {
  const std::string prefix = PrefixOf(parent);
  std::vector<std::shared_ptr<const v1::Task>> found;
  {
    MutexLock lock(mutex_);
    auto it = after < prefix ? tasks_.lower_bound(prefix) : tasks_.upper_bound(after);
    for (; it != tasks_.end() && Begins(it->first, prefix) && found.size() < at_most; ++it) found.push_back(it->second);
  }
  std::vector<v1::Task> tasks;
  for (const auto& task : found) tasks.push_back(*task);
  return tasks;
}

}  // namespace puma::server
