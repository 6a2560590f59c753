#ifndef PUMA_SERVER_RPC_STREAM_PUMP_H_
#define PUMA_SERVER_RPC_STREAM_PUMP_H_
// Wakes the open streams when there is something new for them: on one thread of its own, so that neither who changes a task nor who
// appends a log record ever writes to a connection.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/telemetry/feeds.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// An open stream, as the pump sees it. Thread-safe; neither call blocks.
class PumpedStream {
 public:
  virtual ~PumpedStream() = default;
  virtual void Wake() = 0;
  virtual void End(const absl::Status& status) = 0;
};

// What the pump sleeps on. Shared with the listeners, which may still be in a call when the pump goes. Thread-safe.
class PumpBell {
 public:
  void Ring(unsigned cause) PUMA_EXCLUDES(mutex_);
  void Quit() PUMA_EXCLUDES(mutex_);
  // Causes that were rung since the last time; 0: quit. kTick and kPoll come by themselves while someone is interested.
  unsigned Wait() PUMA_EXCLUDES(mutex_);
  void SetInterest(unsigned causes) PUMA_EXCLUDES(mutex_);

 private:
  std::atomic<unsigned> interest_{0};  // causes that any stream waits for; ringing the others costs one load
  std::atomic<unsigned> pending_{0};
  Mutex mutex_;
  CondVar wake_;
  bool quit_ PUMA_GUARDED_BY(mutex_) = false;
  absl::Time next_tick_ PUMA_GUARDED_BY(mutex_) = absl::InfinitePast();
};

// Thread-safe.
class StreamPump {
 public:
  // What wakes a stream.
  static constexpr unsigned kTasks = 1;
  static constexpr unsigned kLogs = 2;
  static constexpr unsigned kEvents = 8;
  static constexpr unsigned kTick = 4;   // now and then, for what nothing announces
  static constexpr unsigned kPoll = 16;  // every few milliseconds, for what nobody is to pay for announcing

  explicit StreamPump(const Feeds& feeds);
  ~StreamPump();
  StreamPump(const StreamPump&) = delete;
  StreamPump& operator=(const StreamPump&) = delete;

  // From now on `stream` is woken for `causes`, for as long as it lives. It should look for news by itself once after this.
  void Add(std::weak_ptr<PumpedStream> stream, unsigned causes) PUMA_EXCLUDES(mutex_);
  // Ends the streams that are open now.
  void EndOpen(const absl::Status& status) PUMA_EXCLUDES(mutex_);
  // Ends all open streams, and each that is added later.
  void EndAll(const absl::Status& status) PUMA_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::weak_ptr<PumpedStream> stream;
    unsigned causes;
  };
  std::vector<std::shared_ptr<PumpedStream>> Of(unsigned causes) PUMA_EXCLUDES(mutex_);

  const std::shared_ptr<PumpBell> bell_ = std::make_shared<PumpBell>();
  Mutex mutex_;
  unsigned interest_ PUMA_GUARDED_BY(mutex_) = 0;
  std::vector<Entry> streams_ PUMA_GUARDED_BY(mutex_);
  absl::Status end_ PUMA_GUARDED_BY(mutex_);  // not OK: EndAll was called
  std::shared_ptr<void> task_subscription_, log_subscription_, event_subscription_;
  std::thread thread_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_STREAM_PUMP_H_
