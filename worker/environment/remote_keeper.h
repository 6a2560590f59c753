#ifndef PUMA_WORKER_ENVIRONMENT_REMOTE_KEEPER_H_
#define PUMA_WORKER_ENVIRONMENT_REMOTE_KEEPER_H_
// The keeper, as a child process sees it: through the socket that it was launched with. Thread-safe.
#include <functional>
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
  // `ends` must outlive it. `parent`: the socket to who has started this process; its end ends this process, too.
  RemoteKeeper(UniqueFd socket, int parent, Ends& ends);
  ~RemoteKeeper() override;
  void WhenLost(std::function<void()> lost) PUMA_EXCLUDES(mutex_);  // called once, on its thread, soon before the process is ended

  absl::StatusOr<BufferFacts> CreateBuffer(uint64_t maker, std::string_view name, const BufferType& type,
                                           const BufferOptions& options) override;
  absl::Status DestroyBuffer(uint64_t buffer) override;
  absl::StatusOr<BufferFacts> FindBuffer(uint64_t maker, std::string_view name) override;
  absl::StatusOr<uint64_t> ReserveSeat(uint64_t buffer) override;
  void LeaveSeat(uint64_t seat) override;
  absl::Status OpenPublisher(uint64_t buffer, uint64_t lane, UniqueFd fd, uint64_t seat) override;
  void PublisherCompleted(uint64_t lane) override;
  void ClosePublisher(uint64_t lane) override;
  absl::Status OpenSubscription(SubscriptionRequest request) override;
  void LaneDone(uint64_t subscription, uint64_t lane, bool completed) override;
  void Delivered(uint64_t subscription) override;
  void CloseSubscription(uint64_t subscription) override;
  absl::StatusOr<uint64_t> KeepPage(uint64_t maker, std::string_view name, KeptPage page) override;
  absl::StatusOr<KeptPage> FindPage(uint64_t maker, std::string_view name) override;
  void DropPage(uint64_t page) override;
  absl::StatusOr<PartySocket> NewParty(int pidfd) override;

 private:
  absl::StatusOr<WirePacket> Call(WirePacket packet) PUMA_EXCLUDES(mutex_);
  void Listen() PUMA_EXCLUDES(mutex_);
  void Handle(WirePacket packet) PUMA_EXCLUDES(mutex_);
  void Lost() PUMA_EXCLUDES(mutex_);

  bool Receive();
  bool HearParent();
  const UniqueFd socket_;
  const int parent_;
  const UniqueFd bell_;
  Ends& ends_;
  Mutex mutex_;
  CondVar changed_;
  uint64_t last_call_ PUMA_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::optional<WirePacket>> calls_ PUMA_GUARDED_BY(mutex_);
  bool lost_ PUMA_GUARDED_BY(mutex_) = false;
  bool stopping_ PUMA_GUARDED_BY(mutex_) = false;
  std::function<void()> when_lost_ PUMA_GUARDED_BY(mutex_);
  std::thread listener_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_REMOTE_KEEPER_H_
