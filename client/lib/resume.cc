#include "client/lib/resume.h"

#include <algorithm>
#include <vector>

#include "absl/time/clock.h"

namespace puma::client {
namespace {
// Records of several workers are merged in about the order of their times; so the look back is a little longer than needed.
constexpr int64_t kOverlapNs = 5'000'000'000;
}  // namespace

const v1::WatchTasksRequest& TaskResume::Request() {
  in_snapshot_ = request_.revision().empty();
  seen_.clear();
  return request_;
}

bool TaskResume::GoOnAfter(const absl::Status& error) {
  if (absl::IsUnavailable(error)) return true;
  if (!absl::IsOutOfRange(error) || request_.revision().empty()) return false;
  request_.clear_revision();  // a fresh snapshot
  return true;
}

void TaskResume::Observe(v1::WatchTasksResponse& batch) {
  google::protobuf::RepeatedPtrField<v1::TaskEvent> events;
  events.Swap(batch.mutable_events());
  for (v1::TaskEvent& event : events) {
    if (event.has_task()) {
      known_.insert(event.task().name());
      if (in_snapshot_) seen_.insert(event.task().name());
    } else if (event.event_case() == v1::TaskEvent::kDeleted) {
      known_.erase(event.deleted());
      seen_.erase(event.deleted());
    } else if (event.has_gap()) {
      in_snapshot_ = true;  // the present state of all tasks follows
      seen_.clear();
    } else if (event.snapshot_complete() && in_snapshot_) {
      std::vector<std::string> gone;
      std::set_difference(known_.begin(), known_.end(), seen_.begin(), seen_.end(), std::back_inserter(gone));
      for (const std::string& name : gone) batch.add_events()->set_deleted(name);
      known_ = std::move(seen_);
      seen_.clear();
      in_snapshot_ = false;
    }
    *batch.add_events() = std::move(event);
  }
  // In the middle of a snapshot there is nothing to go on from.
  if (!in_snapshot_ && !batch.revision().empty()) request_.set_revision(batch.revision());
}

bool EventResume::GoOnAfter(const absl::Status& error) {
  if (absl::IsUnavailable(error)) return true;
  if (!absl::IsOutOfRange(error) || request_.revision().empty()) return false;
  request_.clear_revision();  // another host process: nothing that it has to tell is known yet
  request_.set_history(-1);
  return true;
}

const v1::TailLogsRequest& LogResume::Request() {
  if (opened_ == absl::InfinitePast()) {
    opened_ = absl::Now();
    return request_;
  }
  catching_up_to_ = last_time_;
  const int64_t since = last_time_ > 0 ? last_time_ - kOverlapNs : absl::ToUnixNanos(opened_);
  request_.set_history(-1);
  auto& stamp = *request_.mutable_since();
  if (since / 1'000'000'000 > stamp.seconds()) {  // else what the user asked for is later
    stamp.set_seconds(since / 1'000'000'000);
    stamp.set_nanos(static_cast<int32_t>(since % 1'000'000'000));
  }
  return request_;
}

bool LogResume::GoOnAfter(const absl::Status& error) { return request_.follow() && absl::IsUnavailable(error); }

void LogResume::Observe(v1::TailLogsResponse& batch) {
  auto* records = batch.mutable_records();
  const auto known = [&](const v1::LogRecord& record) {
    const int index = static_cast<int>(record.source());
    const v1::LogSource& source = index < batch.sources_size() ? batch.sources(index) : v1::LogSource::default_instance();
    uint64_t& last = last_sequence_[{source.pipeline(), source.pid()}];
    // A process id that is used again has later times and begins to count anew.
    const bool again = record.time_unix_nanos() <= catching_up_to_ && record.sequence() <= last;
    if (!again) {
      last = record.sequence();
      last_time_ = std::max(last_time_, record.time_unix_nanos());
    }
    return again;
  };
  records->erase(std::remove_if(records->begin(), records->end(), known), records->end());
}

}  // namespace puma::client
