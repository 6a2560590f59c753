#ifndef PUMA_TESTS_RPC_STUBS_H_
#define PUMA_TESTS_RPC_STUBS_H_
// What a client generated from the protos has, and no client library of ours.
#include <grpcpp/grpcpp.h>

#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "puma/v1/services.grpc.pb.h"

namespace puma::server {

struct Stubs {
  explicit Stubs(const std::string& target) : channel(MakeChannel(target)) {}
  // A connection of its own; gRPC shares them between equal channels otherwise.
  static std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  }
  std::shared_ptr<grpc::Channel> channel;
  v1::HostService::Stub host{channel};
  v1::PipelineService::Stub pipelines{channel};
  v1::TaskService::Stub tasks{channel};
  v1::BufferService::Stub buffers{channel};
  v1::EventService::Stub events{channel};
  v1::LogService::Stub logs{channel};
  grpc::health::v1::Health::Stub health{channel};
};

}  // namespace puma::server
#endif  // PUMA_TESTS_RPC_STUBS_H_
