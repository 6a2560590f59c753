#include "server/rpc/api_server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/resource.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/access/tls_files.h"
#include "server/rpc/accept_loop.h"
#include "server/rpc/gate.h"
#include "server/rpc/identity.h"
#include "server/rpc/listening.h"
#include "server/rpc/services.h"

namespace puma::server {
namespace {

constexpr int kMaxMessageBytes = 4 << 20;
constexpr int kMaxMetadataBytes = 8 << 10;
constexpr int kHandshakeTimeoutMs = 3000;
constexpr int kMaxConcurrentStreams = 100;
constexpr int kMaxReflectionThreads = 8;  // Debian's reflection service takes a thread per open stream
constexpr int kKeepaliveMs = 60'000;
constexpr unsigned kCopiesReadEverySeconds = 1;
constexpr size_t kDescriptorShare = 8;  // a connection has up to three of the process's descriptors, and others need them, too
constexpr char kUnix[] = "unix:";

size_t DescriptorLimit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<size_t>(limit.rlim_cur) : 1024;
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  // Who has gone without a word is noticed.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs / 3);
  // Threads of the reflection and channelz services, the only synchronous ones. No memory quota: it makes floods worse.
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
    grpc::channelz::experimental::InitChannelzService();  // for administrators: the doorman sees to that
  });
}

class GrpcApiServer final : public ApiServer {
 public:
  GrpcApiServer(const Options& options, Engine* engine, const Feeds& feeds, AccessControl* access)
      : options_(options),
        access_(access),
        feeds_(feeds),
        pump_(feeds),
        gate_(access, feeds),
        backends_{engine, feeds, &gate_, &pump_, std::make_shared<StreamLimit>(options.streams_per_connection, options.streams)},
        services_(MakeServices(backends_)) {
    services_.push_back(MakeHealthService(backends_));
  }
  ~GrpcApiServer() override { Shutdown(absl::Milliseconds(200)); }

  absl::Status Listen() {
    absl::StatusOr<Listening> own = ListenPlain();
    if (!own.ok()) return own.status();
    address_ = own->address;
    grpc::ServerBuilder builder;
    SetLimits(builder);
    for (const auto& service : services_) builder.RegisterService(service.get());
    std::vector<AcceptLoop::Listener> listeners;
    listeners.push_back({std::move(own->socket), false, IsUnix() ? ForUsers(builder) : ForAnyone(builder)});
    if (options_.tls.has_value()) {
      absl::StatusOr<AcceptLoop::Listener> tls = ListenTls(builder);
      if (!tls.ok()) return tls.status();
      listeners.push_back(*std::move(tls));
    }
    server_ = builder.BuildAndStart();
    if (!server_) return absl::InternalError("gRPC can't serve");
    auto loop = AcceptLoop::Start(std::move(listeners), LoopOptions());
    if (!loop.ok()) return loop.status();
    loop_ = *std::move(loop);
    return absl::OkStatus();
  }

  const std::string& tls_address() const override { return tls_address_; }
  const std::string& address() const override { return address_; }

  void Shutdown(absl::Duration patience) override {
    std::call_once(shutdown_, [&] {
      loop_.reset();
      pump_.EndAll(absl::UnavailableError("the host ends; try again"));
      if (!server_) return;
      server_->Shutdown(absl::ToChronoTime(absl::Now() + patience));
      server_->Wait();
    });
  }

 private:
  bool IsUnix() const { return absl::StartsWith(options_.address, kUnix); }

  absl::StatusOr<Listening> ListenPlain() const {
    if (IsUnix()) return ListenUnix(std::string(absl::StripPrefix(options_.address, kUnix)));
    absl::StatusOr<Listening> tcp = ListenTcp(options_.address, true);
    if (!tcp.ok() || options_.allow_insecure_loopback) return tcp;
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", options_.address,
        "\": every user of this machine could command the host there; allow that explicitly (insecure), or use a Unix socket"));
  }

  auto ForUsers(grpc::ServerBuilder& builder) -> decltype(AcceptLoop::Listener::hand_over) {
    users_ = std::make_unique<UserAcceptors>(builder, access_);
    return [this](UniqueFd connection, std::optional<uid_t> uid) {
      if (uid && !users_->HandOver(std::move(connection), *uid))
        feeds_.logs->Own(3, absl::StrCat("a connection of uid ", *uid, " was refused: more than ", UserAcceptors::kUsers,
                                         " different users since this host started; start it anew"));
    };
  }
  auto ForAnyone(grpc::ServerBuilder& builder) -> decltype(AcceptLoop::Listener::hand_over) {
    anyone_ = AddAcceptor(builder, grpc::experimental::LocalServerCredentials(LOCAL_TCP),
                          std::make_shared<Doorman>(access_, Doorman::Door::kAnyone));
    return [this](UniqueFd connection, std::optional<uid_t>) { HandOver(*anyone_, std::move(connection)); };
  }

  absl::StatusOr<AcceptLoop::Listener> ListenTls(grpc::ServerBuilder& builder) {
    absl::StatusOr<std::unique_ptr<TlsFiles>> files = TlsFiles::Open(options_.tls->files, options_.tls->directory);
    if (!files.ok()) return files.status();
    tls_files_ = *std::move(files);
    absl::StatusOr<Listening> listening = ListenTcp(options_.tls->address, false);
    if (!listening.ok()) return listening.status();
    tls_address_ = listening->address;
    const TlsPaths copies = tls_files_->copies();
    grpc::experimental::TlsServerCredentialsOptions options(std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
        copies.key, copies.certificate, copies.client_ca, kCopiesReadEverySeconds));
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    with_certificates_ = AddAcceptor(builder, grpc::experimental::TlsServerCredentials(options),
                                     std::make_shared<Doorman>(access_, Doorman::Door::kCertificate));
    return AcceptLoop::Listener{std::move(listening->socket), true, [this](UniqueFd connection, std::optional<uid_t>) {
                                  HandOver(*with_certificates_, std::move(connection));
                                }};
  }

  AcceptLoop::Options LoopOptions() {
    AcceptLoop::Options options;
    options.connections = std::min(options_.connections, DescriptorLimit() / kDescriptorShare);
    options.connections_of_one = std::min(options_.connections_of_one, options.connections);
    options.on_refused = [this](const std::string& what) { feeds_.logs->Own(3, what); };
    options.on_tick = [this] { Refresh(); };
    return options;
  }

  // On the accept loop's thread.
  void Refresh() {
    if (const std::optional<absl::Status> read = access_->Refresh()) {
      if (read->ok()) pump_.EndOpen(absl::UnavailableError("the host's access file has changed; try again"));
      Tell("access file", *read, "from now on its new rules hold", "the rules stay as they were");
    }
    if (tls_files_ == nullptr) return;
    if (const std::optional<absl::Status> read = tls_files_->Refresh(absl::Now()))
      Tell("TLS", *read, "new connections get the new certificate", "the certificate stays as it was");
  }
  void Tell(const char* what, const absl::Status& status, const char* well, const char* otherwise) {
    const std::string text = absl::StrCat(what, ": ", status.ok() ? well : absl::StrCat(std::string(status.message()), "; ", otherwise));
    feeds_.logs->Own(status.ok() ? 2 : 4, text);
    v1::Event event;
    event.set_name("host");
    event.set_kind(v1::EVENT_KIND_HOST);
    event.set_severity(status.ok() ? 9 : 17);
    event.set_message(text);
    feeds_.events->Add(std::move(event));
  }

  const Options options_;
  AccessControl* const access_;
  const Feeds feeds_;
  std::string address_, tls_address_;  // constant once it listens
  StreamPump pump_;
  Gate gate_;
  const Backends backends_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<TlsFiles> tls_files_;
  std::unique_ptr<UserAcceptors> users_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> anyone_, with_certificates_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<AcceptLoop> loop_;
  std::once_flag shutdown_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(const Options& options, Engine* engine, const Feeds& feeds,
                                                            AccessControl* access) {
  InitGrpc();
  auto server = std::make_unique<GrpcApiServer>(options, engine, feeds, access);
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace puma::server
