#include "server/rpc/api_server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>

#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/services.h"
#include "server/rpc/unix_socket.h"

namespace puma::server {
namespace {

constexpr int kMaxMessageBytes = 4 << 20;
constexpr int kMaxMetadataBytes = 8 << 10;
constexpr int kHandshakeTimeoutMs = 3000;
constexpr int kMaxConcurrentStreams = 100;
constexpr int kMaxReflectionThreads = 8;  // Debian's reflection service takes a thread per open stream

bool IsUnix(absl::string_view address) { return absl::StartsWith(address, "unix:"); }

absl::Status CheckTcp(const ApiServer::Options& options) {
  absl::string_view host = options.address;
  const size_t colon = host.rfind(':');
  int port = 0;
  if (colon == host.npos || !absl::SimpleAtoi(host.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", options.address, "\" is not an address; give unix:/path or 127.0.0.1:port"));
  }
  host = host.substr(0, colon);
  if (host != "127.0.0.1" && host != "[::1]" && host != "localhost") {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", options.address, "\": without TLS a host listens on a Unix socket or on 127.0.0.1 only"));
  }
  if (options.allow_insecure_loopback) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("\"", options.address,
                   "\": every user of this machine could command the host there; allow that explicitly (insecure), or use a Unix socket"));
}

absl::Status PrepareAddress(const ApiServer::Options& options) {
  if (!IsUnix(options.address)) return CheckTcp(options);
  return PrepareUnixSocket(std::string(absl::StripPrefix(options.address, "unix:")));
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port in use is an error
  // Threads of the reflection service, the only synchronous one. No memory quota: it makes floods worse.
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(kMaxReflectionThreads);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

// Once per process, before gRPC is used.
void InitGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc_init();  // and never the opposite: when the last user of gRPC goes, it may wait 10 s for a poller of its own
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

class GrpcApiServer final : public ApiServer {
 public:
  GrpcApiServer(const Options& options, Engine* engine, const Feeds& feeds)
      : address_(options.address),
        pump_(feeds),
        backends_{engine, feeds, &pump_, std::make_shared<StreamLimit>(options.streams_per_connection, options.streams)},
        services_(MakeServices(backends_)) {
    services_.push_back(MakeHealthService(backends_));
  }
  ~GrpcApiServer() override { Shutdown(absl::Milliseconds(200)); }

  absl::Status Listen() {
    grpc::ServerBuilder builder;
    SetLimits(builder);
    for (const auto& service : services_) builder.RegisterService(service.get());
    int port = 0;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials(), &port);
    server_ = builder.BuildAndStart();
    if (!server_ || port == 0) {
      return absl::AlreadyExistsError(
          absl::StrCat("can't listen on ", address_, ": it is in use, or not permitted; choose another address"));
    }
    if (IsUnix(address_)) return RestrictUnixSocket(std::string(absl::StripPrefix(address_, "unix:")));
    address_ = absl::StrCat(address_.substr(0, address_.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void Shutdown(absl::Duration patience) override {
    std::call_once(shutdown_, [&] {
      pump_.EndAll(absl::UnavailableError("the host ends; try again"));
      if (!server_) return;
      server_->Shutdown(absl::ToChronoTime(absl::Now() + patience));
      server_->Wait();
    });
  }

 private:
  std::string address_;  // constant once it listens
  StreamPump pump_;
  const Backends backends_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::once_flag shutdown_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(const Options& options, Engine* engine, const Feeds& feeds) {
  if (absl::Status status = PrepareAddress(options); !status.ok()) return status;
  InitGrpc();
  auto server = std::make_unique<GrpcApiServer>(options, engine, feeds);
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace puma::server
