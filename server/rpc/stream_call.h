#ifndef PUMA_SERVER_RPC_STREAM_CALL_H_
#define PUMA_SERVER_RPC_STREAM_CALL_H_
// A server stream that takes its batches from a source. One write is in flight at a time, so a slow reader holds one batch and nobody up;
// its next batch is simply larger, or has a gap.
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <utility>

#include "server/rpc/status_codec.h"
#include "server/rpc/stream_pump.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// What a source says: the batch was filled, there is nothing new, or the stream is over.
enum class Taken { kBatch, kNothing, kEnd };

// Thread-safe towards the pump. Lives until OnDone (and for as long as the pump holds it just then).
template <class Response>
class StreamCall final : public grpc::ServerWriteReactor<Response>, public PumpedStream {
 public:
  // Only one thread at a time is in the source. An error ends the stream with it.
  using Source = std::function<absl::StatusOr<Taken>(Response&)>;

  // Opens the stream. `permit` is held until the end.
  static grpc::ServerWriteReactor<Response>* Open(StreamPump* pump, unsigned causes, std::shared_ptr<void> permit, Source source) {
    auto call = std::make_shared<StreamCall>(std::move(permit), std::move(source));
    call->self_ = call;
    call->StartSendInitialMetadata();  // the client learns that it is served, even before there is news
    pump->Add(call, causes);
    call->Wake();
    return call.get();
  }
  // A stream that ends at once.
  static grpc::ServerWriteReactor<Response>* Refuse(const absl::Status& status) {
    auto call = std::make_shared<StreamCall>(nullptr, nullptr);
    call->self_ = call;
    call->End(status);
    return call.get();
  }
  StreamCall(std::shared_ptr<void> permit, Source source) : permit_(std::move(permit)), source_(std::move(source)) {}

  void Wake() override {
    {
      MutexLock lock(mutex_);
      woken_ = true;
      if (busy_ || ended_) return;
      busy_ = true;
    }
    WriteNext();
  }

  void End(const absl::Status& status) override {
    {
      MutexLock lock(mutex_);
      if (ended_) return;
      ended_ = true;
      status_ = status;
      if (busy_) return;  // who is busy finishes
    }
    this->Finish(ToGrpc<grpc::Status>(status));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) End(absl::CancelledError("the client has gone"));
    WriteNext();
  }
  void OnCancel() override { End(absl::CancelledError("cancelled by the client")); }
  void OnDone() override { std::shared_ptr<StreamCall> last = std::move(self_); }

 private:
  // Only who has set busy_ comes here. Leaves it set while a write is in flight.
  void WriteNext() {
    for (;;) {
      if (FinishIfEnded()) return;
      batch_.Clear();
      const absl::StatusOr<Taken> taken = source_(batch_);
      if (taken.ok() && *taken == Taken::kBatch) {
        this->StartWrite(&batch_);
        return;
      }
      if (!taken.ok() || *taken == Taken::kEnd) {
        End(taken.status());
        continue;
      }
      MutexLock lock(mutex_);
      if (woken_ || ended_) {
        woken_ = false;
        continue;
      }
      busy_ = false;
      return;
    }
  }

  bool FinishIfEnded() {
    {
      MutexLock lock(mutex_);
      woken_ = false;  // what woke us is looked at after this
      if (!ended_) return false;
    }
    this->Finish(ToGrpc<grpc::Status>(status_));  // status_ does not change any more
    return true;
  }

  const std::shared_ptr<void> permit_;
  const Source source_;
  Response batch_;  // of the one who is busy
  Mutex mutex_;
  bool busy_ PUMA_GUARDED_BY(mutex_) = false;   // someone is in the source, or a write is in flight
  bool woken_ PUMA_GUARDED_BY(mutex_) = false;  // there may be news that the source was not asked for
  bool ended_ PUMA_GUARDED_BY(mutex_) = false;  // set once: whoever sees it while not busy, or is busy then, calls Finish, once
  absl::Status status_;                         // written once, before ended_ is seen
  std::shared_ptr<StreamCall> self_;            // let go in OnDone
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_STREAM_CALL_H_
