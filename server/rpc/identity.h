#ifndef PUMA_SERVER_RPC_IDENTITY_H_
#define PUMA_SERVER_RPC_IDENTITY_H_
// How a handler learns who calls. gRPC 1.51 does not say which user is at the other end of a Unix socket: the accept loop knows, and hands
// each user's connections to an acceptor of that user's own, whose Doorman writes the uid into each connection's security context.
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/server_credentials.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "server/access/access_control.h"
#include "server/access/access_policy.h"
#include "worker/platform/unique_fd.h"

namespace puma::server {

// The peer of a connection, as its security context has it.
Peer PeerOf(const grpc::AuthContext& context);

// Who calls, with the token of the call if it brings one. UNAUTHENTICATED.
absl::StatusOr<std::shared_ptr<const Caller>> CallerOf(const AccessPolicy& policy, const grpc::CallbackServerContext& context);

// Sees each call before its handler does, and those of the services that are not ours in their handlers' place: reflection is for whoever
// has a role (on TCP for administrators), all else for administrators. Thread-safe.
class Doorman final : public grpc::AuthMetadataProcessor {
 public:
  enum class Door { kUser, kAnyone, kCertificate };
  Doorman(const AccessControl* access, Door door) : access_(access), door_(door) {}
  // Of all connections, before the first one comes (kUser).
  void SetUser(uid_t uid) { uid_ = uid; }
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata* consumed,
                       OutputMetadata* response) override;

 private:
  const AccessControl* const access_;
  const Door door_;
  std::atomic<uid_t> uid_{static_cast<uid_t>(-1)};
};

// Acceptors for the users of a Unix socket: one each, for as long as the server lives. Made before the server is; then thread-compatible.
class UserAcceptors {
 public:
  // Users beyond these are refused until the host is started anew. A slot is never given to another user: gRPC may still have something to
  // read of the last one's connections.
  static constexpr size_t kUsers = 32;
  UserAcceptors(grpc::ServerBuilder& builder, const AccessControl* access);
  // False: there are too many users.
  bool HandOver(UniqueFd connection, uid_t uid);

 private:
  struct Slot {
    std::shared_ptr<Doorman> doorman;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  };
  std::array<Slot, kUsers> slots_;
  std::map<uid_t, size_t> slot_of_;
};

// An acceptor whose connections get `credentials`, and a doorman.
std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> AddAcceptor(grpc::ServerBuilder& builder,
                                                                            const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                                                            std::shared_ptr<Doorman> doorman);
// Hands a connection to gRPC.
void HandOver(grpc::experimental::ExternalConnectionAcceptor& acceptor, UniqueFd connection);

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_IDENTITY_H_
