#include "server/telemetry/event_feed.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"

namespace puma::server {
namespace {

constexpr size_t kBatchBytes = 64 << 10;

bool Within(const v1::Event& event, const std::string& parent) {
  if (parent.empty() || event.name() == parent) return true;
  return event.name().size() > parent.size() && event.name()[parent.size()] == '/' && absl::StartsWith(event.name(), parent);
}

}  // namespace

EventFeed::EventFeed(size_t capacity) : capacity_(capacity) {}

void EventFeed::Add(v1::Event event) {
  const int64_t now = absl::GetCurrentTimeNanos();
  event.mutable_time()->set_seconds(now / 1'000'000'000);
  event.mutable_time()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  {
    MutexLock lock(mutex_);
    event.set_revision(revisions_.Of(End() + 1));
    events_.push_back(std::make_shared<const v1::Event>(std::move(event)));
    if (events_.size() > capacity_) {
      events_.pop_front();
      ++first_;
    }
  }
  listeners_.Notify();
}

absl::StatusOr<v1::ListEventsResponse> EventFeed::List(const std::string& parent, const std::string& page_token, size_t at_most) const {
  v1::ListEventsResponse response;
  MutexLock lock(mutex_);
  absl::StatusOr<uint64_t> next = first_;
  if (!page_token.empty()) next = revisions_.Find(page_token, first_, End());
  if (!next.ok()) return next.status();
  for (; *next < End(); ++*next) {
    const v1::Event& event = *events_[*next - first_];
    if (!Within(event, parent)) continue;
    if (static_cast<size_t>(response.events_size()) == at_most) {
      response.set_next_page_token(revisions_.Of(*next));
      break;
    }
    *response.add_events() = event;
  }
  return response;
}

absl::StatusOr<EventFeed::Position> EventFeed::Begin(const v1::WatchEventsRequest& request) const {
  MutexLock lock(mutex_);
  if (!request.revision().empty()) {
    const absl::StatusOr<uint64_t> next = revisions_.Find(request.revision(), first_, End());
    if (!next.ok()) return next.status();
    return Position{.next = *next};
  }
  if (request.history() < 0) return Position{.next = first_};
  uint64_t position = End();
  for (int left = request.history(); left > 0 && position > first_;) {
    if (Within(*events_[--position - first_], request.parent())) --left;
  }
  return Position{.next = position};
}

bool EventFeed::Take(const std::string& parent, Position& position, v1::WatchEventsResponse& batch) const {
  batch.Clear();
  std::vector<std::shared_ptr<const v1::Event>> taken;
  {
    MutexLock lock(mutex_);
    if (position.next < first_) {
      batch.mutable_gap()->set_first(position.next);
      batch.mutable_gap()->set_last(first_ - 1);
      batch.mutable_gap()->set_count(first_ - position.next);
      batch.mutable_gap()->set_reason("this reader was slower than the events");
      position.next = first_;
    }
    for (size_t bytes = 0; position.next < End() && bytes < kBatchBytes; ++position.next) {
      const auto& event = events_[position.next - first_];
      if (!Within(*event, parent)) continue;
      bytes += event->ByteSizeLong();
      taken.push_back(event);
    }
  }
  for (const auto& event : taken) *batch.add_events() = *event;  // without the lock: the engine's thread never waits for a viewer's batch
  if (taken.empty() && !batch.has_gap() && std::exchange(position.told, true)) return false;
  position.told = true;
  batch.set_revision(revisions_.Of(position.next));
  return true;
}

}  // namespace puma::server
