#ifndef PUMA_WORKER_ENVIRONMENT_REMOTE_KEEPER_H_
#define PUMA_WORKER_ENVIRONMENT_REMOTE_KEEPER_H_
// The keeper, as a child process sees it: through the socket that it was launched with. Thread-safe.
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "worker/environment/ends.h"
#include "worker/environment/wire.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

class RemoteKeeper final : public KeeperLink {
 public:
  // `ends` must outlive it.
  RemoteKeeper(UniqueFd socket, Ends& ends);
  ~RemoteKeeper() override;
  void Ended(const absl::Status& status);  // the function has returned

  absl::StatusOr<BufferFacts> FindBuffer(std::string_view name) override;
  absl::Status OpenPublisher(uint64_t buffer, uint64_t lane, UniqueFd fd) override;
  void PublisherCompleted(uint64_t lane) override;
  void ClosePublisher(uint64_t lane) override;
  absl::Status OpenSubscription(SubscriptionRequest request) override;
  void LaneDone(uint64_t subscription, uint64_t lane, bool completed) override;
  void Delivered(uint64_t subscription) override;
  void CloseSubscription(uint64_t subscription) override;

 private:
  absl::StatusOr<WirePacket> Call(WirePacket packet) PUMA_EXCLUDES(mutex_);
  void Listen() PUMA_EXCLUDES(mutex_);
  void Handle(WirePacket packet) PUMA_EXCLUDES(mutex_);
  void Lost() PUMA_EXCLUDES(mutex_);

  const UniqueFd socket_;
  Ends& ends_;
  Mutex mutex_;
  CondVar changed_;
  uint64_t last_call_ PUMA_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::optional<WirePacket>> calls_ PUMA_GUARDED_BY(mutex_);
  bool lost_ PUMA_GUARDED_BY(mutex_) = false;
  bool stopping_ PUMA_GUARDED_BY(mutex_) = false;
  std::thread listener_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_REMOTE_KEEPER_H_
