#ifndef PUMA_SERVER_RPC_UNARY_CALL_H_
#define PUMA_SERVER_RPC_UNARY_CALL_H_
// A unary call that the engine answers later, from a thread of its own.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <utility>

#include "server/rpc/status_codec.h"
#include "server/supervisor/engine.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Answered once: by the engine, by the client's cancel or deadline, or, when the engine forgets it, by the last copy of the reply.
template <class Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryCall(Response* response) : shared_(std::make_shared<Shared>(this, response)) {}

  // For the engine; may be called from any thread, also after the call is long over.
  Reply<Response> MakeReply() {
    auto answerer = std::make_shared<Answerer>(shared_);
    return [answerer](absl::StatusOr<Response> answer) { answerer->shared->Answer(std::move(answer)); };
  }
  // Keeps what gives the engine's work up.
  void Keep(std::unique_ptr<CallHandle> handle) { shared_->Keep(std::move(handle)); }

  void OnCancel() override { shared_->Cancel(); }
  void OnDone() override {
    shared_->Forget();
    delete this;
  }

 private:
  struct Shared {
    Shared(UnaryCall* call, Response* response) : call(call), response(response) {}

    // `call` and `response` live until OnDone, which can't come before the one who sets `finished` has called Finish.
    void Answer(absl::StatusOr<Response> answer) {
      if (finished.exchange(true)) return;
      if (answer.ok()) *response = *std::move(answer);
      call->Finish(ToGrpc<grpc::Status>(answer.status()));
    }
    void Keep(std::unique_ptr<CallHandle> new_handle) {
      bool cancel;
      {
        MutexLock lock(mutex);
        cancel = cancelled;
        if (!cancel && !forgotten) handle.swap(new_handle);
      }
      if (cancel && new_handle) new_handle->Cancel();
    }
    void Cancel() {
      std::unique_ptr<CallHandle> taken = Take(/*cancel=*/true);
      if (taken) taken->Cancel();
      Answer(absl::CancelledError("cancelled by the client, or its deadline has passed"));
    }
    void Forget() { Take(/*cancel=*/false); }  // also breaks the ring handle -> engine's call -> reply -> this
    std::unique_ptr<CallHandle> Take(bool cancel) {
      MutexLock lock(mutex);
      if (cancel) cancelled = true;
      if (!cancel) forgotten = true;
      return std::move(handle);
    }

    UnaryCall* const call;
    Response* const response;
    std::atomic<bool> finished{false};
    Mutex mutex;
    bool cancelled PUMA_GUARDED_BY(mutex) = false;
    bool forgotten PUMA_GUARDED_BY(mutex) = false;
    std::unique_ptr<CallHandle> handle PUMA_GUARDED_BY(mutex);
  };
  struct Answerer {
    explicit Answerer(std::shared_ptr<Shared> shared) : shared(std::move(shared)) {}
    ~Answerer() { shared->Answer(absl::UnavailableError("the host ends; try again")); }
    const std::shared_ptr<Shared> shared;
  };

  const std::shared_ptr<Shared> shared_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_UNARY_CALL_H_
