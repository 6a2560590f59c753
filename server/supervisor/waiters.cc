#include "server/supervisor/waiters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace puma::server {
namespace {

bool Terminal(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED || state == v1::TASK_STATE_STOPPED;
}

bool Meets(const v1::WaitTaskRequest& request, const v1::TaskStatus& status) {
  if (status.run() < request.run()) return false;
  const auto& states = request.states();
  return states.empty() ? Terminal(status.state()) : std::find(states.begin(), states.end(), status.state()) != states.end();
}

v1::WaitTaskResponse With(const v1::Task& task) {
  v1::WaitTaskResponse response;
  *response.mutable_task() = task;
  return response;
}

}  // namespace

void Waiters::Add(uint64_t id, const v1::WaitTaskRequest& request, const v1::Task& now, Reply<v1::WaitTaskResponse> reply) {
  if (Meets(request, now.status())) return reply(With(now));
  waiters_[id] = {request, std::move(reply)};
  by_task_.emplace(request.name(), id);
}

void Waiters::Cancel(uint64_t id) {
  const auto it = waiters_.find(id);
  if (it == waiters_.end()) return;
  const Waiter waiter = it->second;
  Forget(id);
  waiter.reply(absl::CancelledError(absl::StrCat("nobody waits for task ", waiter.request.name(), " any more")));
}

void Waiters::Seen(const v1::Task& task) {
  for (const uint64_t id : Of(task.name())) {
    const Waiter waiter = waiters_.at(id);
    if (!Meets(waiter.request, task.status())) continue;
    Forget(id);
    waiter.reply(With(task));
  }
}

void Waiters::Gone(const std::string& task) {
  for (const uint64_t id : Of(task)) {
    const Waiter waiter = waiters_.at(id);
    Forget(id);
    waiter.reply(absl::NotFoundError(absl::StrCat("task ", task, " was deleted")));
  }
}

void Waiters::Forget(uint64_t id) {
  const auto [begin, end] = by_task_.equal_range(waiters_.at(id).request.name());
  by_task_.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == id; }));
  waiters_.erase(id);
}

std::vector<uint64_t> Waiters::Of(const std::string& task) const {
  std::vector<uint64_t> ids;
  const auto [begin, end] = by_task_.equal_range(task);
  for (auto it = begin; it != end; ++it) ids.push_back(it->second);
  return ids;
}

}  // namespace puma::server
