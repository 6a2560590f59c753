#ifndef PUMA_WORKER_ENVIRONMENT_ENDS_H_
#define PUMA_WORKER_ENVIRONMENT_ENDS_H_
// The ends of buffers that this process has, and what their keeper tells them. Thread-safe.
#include <puma/environment.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "worker/environment/orders.h"
#include "worker/environment/subscription_core.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/output_core.h"

namespace puma::internal {

class PublisherEnd;

class Ends final : public Party {
 public:
  // `range`: numbers of lanes and subscriptions from here are (range << 32) + 1, ...
  explicit Ends(uint64_t range) : range_(range) {}
  void Connect(KeeperLink* link) { link_ = link; }

  // `environment` is kept as long as the end. What goes wrong meets the first use.
  std::shared_ptr<PublisherEnd> OpenPublisher(const BufferFacts& facts, const TypeInfo& type, std::shared_ptr<void> environment);
  // A runnable's output publishes there, with a seat that was reserved for it. It is left by PublisherEnd::Leave.
  absl::StatusOr<std::shared_ptr<PublisherEnd>> ConnectOutput(const BufferFacts& facts, std::shared_ptr<OutputCore> output, uint64_t seat);
  std::shared_ptr<SubscriptionCore> OpenSubscription(const BufferFacts& facts, const TypeInfo& type, std::shared_ptr<EventCore> event,
                                                     SubscribeOptions options, std::shared_ptr<void> environment);
  void Forget(uint64_t lane) PUMA_EXCLUDES(mutex_);
  void InvalidateAll(const absl::Status& why) PUMA_EXCLUDES(mutex_);

  std::optional<uint64_t> SetGate(GateOrder order) override PUMA_EXCLUDES(mutex_);
  void RemoveGate(uint64_t lane, uint64_t gate) override PUMA_EXCLUDES(mutex_);
  void Attach(AttachOrder order) override PUMA_EXCLUDES(mutex_);
  void LaneLeft(uint64_t subscription, uint64_t lane, uint64_t left) override PUMA_EXCLUDES(mutex_);
  void RoundOver(uint64_t subscription, bool over) override PUMA_EXCLUDES(mutex_);
  void Invalidate(uint64_t end, const absl::Status& why) override PUMA_EXCLUDES(mutex_);
  bool Alive() override { return true; }

 private:
  absl::Status Announce(const std::shared_ptr<PublisherEnd>& end, const BufferFacts& facts, uint64_t seat) PUMA_EXCLUDES(mutex_);
  uint64_t NewNumber() { return (range_ << 32) + last_.fetch_add(1, std::memory_order_relaxed) + 1; }
  std::shared_ptr<SubscriptionCore> Find(uint64_t subscription) PUMA_EXCLUDES(mutex_);

  const uint64_t range_;
  KeeperLink* link_ = nullptr;
  std::atomic<uint64_t> last_{0};
  Mutex mutex_;
  std::map<uint64_t, PublisherEnd*> publishers_ PUMA_GUARDED_BY(mutex_);  // they forget themselves here
  std::map<uint64_t, std::weak_ptr<SubscriptionCore>> subscriptions_ PUMA_GUARDED_BY(mutex_);
};

// One publisher: the output of a program.
class PublisherEnd {
 public:
  PublisherEnd(const BufferFacts& facts, const TypeInfo& type, Ends* ends, KeeperLink* link, std::shared_ptr<void> environment);
  ~PublisherEnd();
  PublisherEnd(const BufferFacts& facts, std::shared_ptr<OutputCore> output, Ends* ends, KeeperLink* link);  // of a runnable
  absl::Status Open(uint64_t number, const BufferFacts& facts);  // its lane; nobody else knows it yet
  void Refuse(const absl::Status& why) PUMA_EXCLUDES(mutex_);
  // Called when it is refused, at once if it has been; with locks of ours held, on any thread. Null: no longer.
  void WhenRefused(std::function<void()> act) PUMA_EXCLUDES(mutex_);
  void Leave();  // once
  OutputCore& output() { return *output_; }
  OutputLane& lane() { return *output_->lanes().front(); }
  void Opened() { output_->Open(); }

 private:
  void EndByHand();
  const std::string buffer_;
  Ends* const ends_;
  KeeperLink* const link_;
  const std::shared_ptr<void> environment_;
  uint64_t number_ = 0;  // 0: it could not be opened
  std::atomic<bool> left_{false};
  Mutex mutex_;
  std::function<void()> when_refused_ PUMA_GUARDED_BY(mutex_);
  RunContext context_;  // of a program's own publisher
  const std::shared_ptr<OutputCore> output_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_ENDS_H_
