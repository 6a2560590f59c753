#ifndef PUMA_SERVER_RPC_SERVICES_H_
#define PUMA_SERVER_RPC_SERVICES_H_
// The services of puma.v1 and the standard health service, as callback services: no thread per call.
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "server/rpc/gate.h"
#include "server/rpc/stream_limit.h"
#include "server/rpc/stream_pump.h"
#include "server/supervisor/engine.h"
#include "server/telemetry/feeds.h"

namespace puma::server {

// What the services need. All of it outlives them.
struct Backends {
  Engine* engine;
  Feeds feeds;
  Gate* gate;
  StreamPump* pump;
  std::shared_ptr<StreamLimit> limit;
};

// Host, Pipeline, Task, Buffer, Event, Log. The gate is asked first in each method.
std::vector<std::unique_ptr<grpc::Service>> MakeServices(const Backends& backends);
// grpc.health.v1.Health: "" is the host, "pipelines/{p}" a pipeline. Nothing is SERVING before the engine is.
std::unique_ptr<grpc::Service> MakeHealthService(const Backends& backends);

// What is the same for all calls of one connection, and differs between living connections.
std::string ConnectionOf(const grpc::CallbackServerContext& context);

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_SERVICES_H_
