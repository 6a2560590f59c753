#include <functional>
#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/rpc/names.h"
#include "server/rpc/services.h"
#include "server/rpc/status_codec.h"
#include "server/rpc/stream_call.h"

namespace puma::server {
namespace {

namespace health = grpc::health::v1;
using health::HealthCheckResponse;

class HealthService final : public health::Health::CallbackService {
 public:
  explicit HealthService(const Backends& backends) : backends_(backends) {}

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const health::HealthCheckRequest* request,
                                  HealthCheckResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (absl::Status status = backends_.gate->CheckViewer(*context, request->service()); !status.ok()) {
      reactor->Finish(ToGrpc<grpc::Status>(status));
      return reactor;
    }
    const auto state = StateOf(backends_.engine, request->service());
    response->set_status(state);
    if (state == HealthCheckResponse::SERVICE_UNKNOWN) {
      reactor->Finish(
          ToGrpc<grpc::Status>(absl::NotFoundError("no such service; ask for \"\" or \"pipelines/{pipeline}\" of a pipeline that exists")));
    } else {
      reactor->Finish(grpc::Status::OK);
    }
    return reactor;
  }

  grpc::ServerWriteReactor<HealthCheckResponse>* Watch(grpc::CallbackServerContext* context,
                                                       const health::HealthCheckRequest* request) override {
    using Call = StreamCall<HealthCheckResponse>;
    if (absl::Status status = backends_.gate->CheckViewer(*context, request->service()); !status.ok()) return Call::Refuse(status);
    auto permit = StreamLimit::Take(backends_.limit, ConnectionOf(*context));
    if (!permit.ok()) return Call::Refuse(permit.status());
    return Call::Open(backends_.pump, StreamPump::kTasks | StreamPump::kTick, *std::move(permit),
                      [engine = backends_.engine, service = request->service(), last = -1](HealthCheckResponse& response) mutable {
                        const auto state = StateOf(engine, service);
                        if (state == last) return Taken::kNothing;
                        last = state;
                        response.set_status(state);
                        return Taken::kBatch;
                      });
  }

 private:
  static HealthCheckResponse::ServingStatus StateOf(Engine* engine, const std::string& service) {
    if (service.empty()) return engine->serving() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
    if (!CheckName(NameForm::kPipeline, service, "service").ok()) return HealthCheckResponse::SERVICE_UNKNOWN;
    if (!engine->serving()) return HealthCheckResponse::NOT_SERVING;  // it is not known yet which pipelines there are
    const absl::StatusOr<bool> healthy = engine->PipelineHealthy(service);
    if (!healthy.ok()) return HealthCheckResponse::SERVICE_UNKNOWN;
    return *healthy ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }

  const Backends backends_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHealthService(const Backends& backends) { return std::make_unique<HealthService>(backends); }

}  // namespace puma::server
