#ifndef PUMA_WORKER_ENVIRONMENT_SUBSCRIPTION_CORE_H_
#define PUMA_WORKER_ENVIRONMENT_SUBSCRIPTION_CORE_H_
// A subscription: the lanes that it reads, which item is next, and when it is complete.
#include <puma/subscription.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/buffer/lane_reader.h"
#include "worker/buffer/task_page.h"
#include "worker/environment/event_core.h"
#include "worker/environment/orders.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

// One thread at a time uses it; what says "any thread" comes from the keeper.
class SubscriptionCore {
 public:
  struct Parts {
    BufferFacts facts;
    TypeInfo type{};
    bool lossy = false;
    uint64_t id = 0;
    KeeperLink* link = nullptr;
    std::shared_ptr<void> environment;  // keeps the link
    std::shared_ptr<EventCore> event;
    TaskPage page;
  };
  explicit SubscriptionCore(Parts parts);
  explicit SubscriptionCore(absl::Status refused);
  ~SubscriptionCore();

  // Any thread.
  void PostAttach(AttachOrder order);
  void PostLeft(uint64_t lane, uint64_t left);
  void PostOver(bool over);
  void PostInvalid(const absl::Status& why);

  // For a runnable's loop, one value after the other: what is next at its `port` (null: there is none now), Begin before its handler, Done
  // after it.
  const Received* Look(std::string_view port);
  void Begin();
  void Done();
  absl::Status TakeFault() { return std::exchange(fault_, absl::OkStatus()); }  // a lane was left
  // True: nothing more will come; `error` is what it was completed with. The keeper is told. Once.
  bool CompletedNow(absl::Status& error);
  void StorePositions();
  size_t batch() const { return batch_; }

  absl::StatusOr<size_t> Take(ReceivedRef on_value, const CompletedRef* on_complete, size_t at_most);
  absl::StatusOr<size_t> TakeRuns(RunRef on_run, const CompletedRef* on_complete, size_t at_most);
  absl::Status Hold(size_t count);
  void Release();
  absl::Status status() const { return status_; }
  void End();

  bool HasWork();
  void CollectReaders(std::vector<LaneReader*>& out);

 private:
  struct Lane;
  struct Mail {
    enum Kind { kAttach, kLeft, kOver, kInvalid } kind;
    AttachOrder attach;
    uint64_t lane = 0, left = 0;
    bool over = false;
    absl::Status why;
  };
  enum class Found { kNothing, kValue, kEnd };
  void Post(Mail mail) PUMA_EXCLUDES(mutex_);
  void TakeMail() PUMA_EXCLUDES(mutex_);
  void Attach(AttachOrder order);
  bool MayBeRead(const Lane& lane) const;
  Lane* Next();
  Found Peek(Lane& lane);
  Found PeekSlowly(Lane& lane);
  absl::StatusOr<std::optional<RingItem>> LookInto(Lane& lane);
  void EndLane(Lane& lane, bool completed);
  void LetGo(Lane& lane);
  void DropEnded();
  void Describe(Lane& lane);
  absl::Status HandOver(Lane& lane, ReceivedRef on_value);
  void AfterHandler(Lane& lane);
  size_t HandOverRun(Lane& lane, RunRef on_run, size_t at_most, absl::Status& status);
  absl::StatusOr<size_t> TakeSome(absl::FunctionRef<size_t(Lane&, size_t, absl::Status&)> hand_over, const CompletedRef* on_complete,
                                  size_t at_most);
  absl::StatusOr<size_t> Complete(const CompletedRef* on_complete, size_t taken);
  bool AllRead() const;
  void Leave();

  Parts parts_;
  absl::Status status_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Received received_;  // what a handler is given: one object, for making one anew takes longer than all the rest
  std::string_view port_;
  Lane* in_hand_ = nullptr;  // of what Look has returned
  size_t since_stored_ = 0;
  size_t turn_ = 0, hold_ = 0, batch_ = 1;
  bool some_left_ = false;  // of the lanes, their publishers
  bool over_ = false;       // nobody counts as publisher any more
  bool completed_ = false;  // and the program has been told
  bool ended_ = false, invalid_ = false;
  bool in_handler_ = false, end_after_handler_ = false;
  absl::Status completion_;  // the first error that completes it at once
  absl::Status fault_;       // of a lane, to be told
  Mutex mutex_;
  std::vector<Mail> mail_ PUMA_GUARDED_BY(mutex_);
  std::atomic<bool> has_mail_{false};
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_SUBSCRIPTION_CORE_H_
