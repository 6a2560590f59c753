#ifndef PUMA_WORKER_ENVIRONMENT_REMOTE_PARTY_H_
#define PUMA_WORKER_ENVIRONMENT_REMOTE_PARTY_H_
// A child process, as keeper and broker of the program that launched it see it.
#include <deque>
#include <memory>

#include "worker/environment/broker.h"
#include "worker/environment/environment_core.h"
#include "worker/environment/keeper.h"
#include "worker/environment/wire.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

class RemoteParty final : public Party, public Served {
 public:
  RemoteParty(Keeper& keeper, Broker& broker, UniqueFd socket, int pidfd);

  std::optional<uint64_t> SetGate(GateOrder order) override;
  void RemoveGate(uint64_t lane, uint64_t gate) override;
  void Attach(AttachOrder order) override;
  void LaneLeft(uint64_t subscription, uint64_t lane, uint64_t left) override;
  void RoundOver(uint64_t subscription, bool over) override;
  void Invalidate(uint64_t end, const absl::Status& why) override;
  bool Alive() override;

  void Send(WirePacket packet) PUMA_EXCLUDES(mutex_);
  int socket() const override { return socket_.get(); }
  bool wants_to_send() override PUMA_EXCLUDES(mutex_);
  bool Serve(short events) override;
  void Over() override;
  const std::optional<absl::Status>& returned() const { return returned_; }  // by the function; the broker's thread only

 private:
  void SendWaiting() PUMA_REQUIRES(mutex_);
  void Handle(WirePacket packet);
  void Reply(uint64_t call, const absl::Status& status);

  Keeper& keeper_;
  Broker& broker_;
  const UniqueFd socket_;
  const UniqueFd pidfd_;
  std::optional<absl::Status> returned_;
  bool over_ = false;
  Mutex mutex_;
  std::deque<WirePacket> waiting_ PUMA_GUARDED_BY(mutex_);  // the socket was full
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_REMOTE_PARTY_H_
