#include "server/rpc/stream_pump.h"

#include <utility>

#include "absl/time/clock.h"

namespace puma::server {
namespace {
constexpr absl::Duration kTickPeriod = absl::Milliseconds(200);
constexpr absl::Duration kPollPeriod = absl::Milliseconds(2);
constexpr absl::Duration kIdle = absl::Seconds(60);  // a belt only: whoever has something to say rings
}  // namespace

// A stream looks for news by itself after Add: a cause that is rung before its interest is seen here is not lost.
void PumpBell::Ring(unsigned cause) {
  if (!(interest_.load(std::memory_order_seq_cst) & cause)) return;
  if (pending_.fetch_or(cause, std::memory_order_acq_rel) & cause) return;  // the pump is about to look anyway
  { MutexLock lock(mutex_); }                                               // the pump is before its look at pending_, or asleep
  wake_.NotifyAll();
}

void PumpBell::Quit() {
  {
    MutexLock lock(mutex_);
    quit_ = true;
  }
  wake_.NotifyAll();
}

void PumpBell::SetInterest(unsigned causes) {
  const unsigned before = interest_.exchange(causes, std::memory_order_seq_cst);
  if (!(causes & ~before & (StreamPump::kTick | StreamPump::kPoll))) return;
  { MutexLock lock(mutex_); }
  wake_.NotifyAll();  // it may be in its long sleep
}

unsigned PumpBell::Wait() {
  MutexLock lock(mutex_);
  while (!quit_) {
    if (const unsigned causes = pending_.exchange(0, std::memory_order_acq_rel)) return causes;
    const unsigned interest = interest_.load(std::memory_order_relaxed);
    const bool ticks = interest & StreamPump::kTick, polls = interest & StreamPump::kPoll;
    wake_.WaitFor(mutex_, polls ? kPollPeriod : ticks ? kTickPeriod : kIdle);
    if (polls) pending_.fetch_or(StreamPump::kPoll, std::memory_order_relaxed);
    if (const absl::Time now = absl::Now(); ticks && now >= next_tick_) {
      pending_.fetch_or(StreamPump::kTick, std::memory_order_relaxed);
      next_tick_ = now + kTickPeriod;
    }
  }
  return 0;
}

StreamPump::StreamPump(const Feeds& feeds)
    : task_subscription_(feeds.tasks->Subscribe([bell = bell_] { bell->Ring(kTasks); })),
      log_subscription_(feeds.logs->Subscribe([bell = bell_] { bell->Ring(kLogs); })),
      event_subscription_(feeds.events->Subscribe([bell = bell_] { bell->Ring(kEvents); })),
      thread_([this] {
        while (const unsigned causes = bell_->Wait()) {
          for (const auto& stream : Of(causes)) stream->Wake();
        }
      }) {}

StreamPump::~StreamPump() {
  bell_->Quit();
  thread_.join();
}

void StreamPump::Add(std::weak_ptr<PumpedStream> stream, unsigned causes) {
  absl::Status end;
  {
    MutexLock lock(mutex_);
    end = end_;
    if (end.ok()) {
      interest_ |= causes;
      streams_.push_back({stream, causes});
      bell_->SetInterest(interest_);
    }
  }
  if (end.ok()) return;
  if (const auto alive = stream.lock()) alive->End(end);
}

void StreamPump::EndOpen(const absl::Status& status) {
  std::vector<Entry> streams;
  {
    MutexLock lock(mutex_);
    streams.swap(streams_);
    interest_ = 0;
    bell_->SetInterest(0);
  }
  for (const Entry& entry : streams) {
    if (const auto stream = entry.stream.lock()) stream->End(status);
  }
}

void StreamPump::EndAll(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    end_ = status;
  }
  EndOpen(status);
}

// Forgets the streams that are gone, too.
std::vector<std::shared_ptr<PumpedStream>> StreamPump::Of(unsigned causes) {
  std::vector<std::shared_ptr<PumpedStream>> woken;
  MutexLock lock(mutex_);
  interest_ = 0;
  std::erase_if(streams_, [](const Entry& entry) { return entry.stream.expired(); });
  for (const Entry& entry : streams_) {
    interest_ |= entry.causes;
    if (!(entry.causes & causes)) continue;
    if (auto stream = entry.stream.lock()) woken.push_back(std::move(stream));
  }
  bell_->SetInterest(interest_);
  return woken;
}

}  // namespace puma::server
