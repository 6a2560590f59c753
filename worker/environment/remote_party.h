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
  // `environment` must outlive it: its keeper and its broker serve it. `pidfd`: of its process.
  RemoteParty(EnvironmentCore& environment, UniqueFd socket, UniqueFd pidfd);

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

 private:
  void SendWaiting() PUMA_REQUIRES(mutex_);
  void Handle(WirePacket packet);
  void Reply(uint64_t call, const absl::Status& status);
  void Reply(uint64_t call, const absl::StatusOr<BufferFacts>& facts);
  void MakeParty(uint64_t call, UniqueFd pidfd);
  void KeepPage(WirePacket packet);
  void FindPage(const WirePacket& packet);

  EnvironmentCore& environment_;
  Keeper& keeper_;
  Broker& broker_;
  const UniqueFd socket_;
  const UniqueFd pidfd_;
  bool over_ = false;
  Mutex mutex_;
  std::deque<WirePacket> waiting_ PUMA_GUARDED_BY(mutex_);  // the socket was full
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_REMOTE_PARTY_H_
