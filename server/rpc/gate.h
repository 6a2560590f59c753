#ifndef PUMA_SERVER_RPC_GATE_H_
#define PUMA_SERVER_RPC_GATE_H_
// Lets a call in, or not: compares what its method needs (access.proto) with what its caller may, and tells who changed what.
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/rpc/identity.h"
#include "server/telemetry/feeds.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe. What it is made of outlives it.
class Gate {
 public:
  Gate(const AccessControl* access, const Feeds& feeds) : access_(access), feeds_(feeds) {}

  // The caller of `request`, if it may make it. PERMISSION_DENIED says which role is missing; UNAUTHENTICATED. Whoever wants more than to
  // look is told of as an event, and in the log, whether let in or not.
  absl::StatusOr<std::shared_ptr<const Caller>> Check(const grpc::CallbackServerContext& context, const google::protobuf::Message& request);
  // The same for what is no method of puma.v1: to look at one pipeline, or at all ("").
  absl::Status CheckViewer(const grpc::CallbackServerContext& context, const std::string& pipeline);

 private:
  void Tell(const std::string& principal, const std::string& method, const std::string& resource, const std::string& request_id,
            const absl::Status& verdict) PUMA_EXCLUDES(mutex_);

  const AccessControl* const access_;
  const Feeds feeds_;
  Mutex mutex_;
  struct Told {
    absl::Time at;
    uint64_t since = 0;  // what was not told since
  };
  std::map<std::string, Told> told_ PUMA_GUARDED_BY(mutex_);  // of what may come often
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_GATE_H_
