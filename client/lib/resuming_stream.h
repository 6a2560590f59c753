#ifndef PUMA_CLIENT_LIB_RESUMING_STREAM_H_
#define PUMA_CLIENT_LIB_RESUMING_STREAM_H_
// A server stream that is opened again when it breaks.
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "client/lib/waiting.h"
#include "puma/client/client.h"

namespace puma::client {

// `Resume` is TaskResume or LogResume.
template <class Request, class Batch, class Resume>
class ResumingStream final : public Stream<Batch> {
 public:
  using Reader = grpc::ClientReader<Batch>;
  using Open = std::function<std::unique_ptr<Reader>(grpc::ClientContext*, const Request&)>;
  // Says the error in the client's words.
  using Translate = std::function<absl::Status(const grpc::Status&)>;

  ResumingStream(Resume resume, Open open, Translate translate, absl::Time deadline, absl::Duration resume_for, std::stop_token stop)
      : resume_(std::move(resume)),
        open_(std::move(open)),
        translate_(std::move(translate)),
        deadline_(deadline),
        resume_for_(resume_for),
        stopped_(stop, [this] { Cancel(); }) {}
  ~ResumingStream() override {
    Cancel();
    Batch ignored;
    while (reader_ && reader_->Read(&ignored)) {
    }
    if (reader_) reader_->Finish();
  }

  absl::StatusOr<std::optional<Batch>> Next() override {
    absl::Time give_up = absl::InfiniteFuture();  // set when it breaks
    Backoff backoff;
    for (;;) {
      if (!reader_ && !OpenOnce()) return absl::CancelledError("cancelled");
      Batch batch;
      if (reader_->Read(&batch)) {
        resume_.Observe(batch);
        return std::optional<Batch>(std::move(batch));
      }
      const absl::Status error = translate_(reader_->Finish());
      reader_.reset();
      if (error.ok()) return std::optional<Batch>();
      if (cancel_.stop_requested()) return absl::CancelledError("cancelled");
      if (!resume_.GoOnAfter(error)) return error;
      give_up = std::min(give_up, std::min(deadline_, absl::Now() + resume_for_));
      if (!backoff.Wait(give_up, cancel_.get_token())) return error;
    }
  }

  void Cancel() override {
    cancel_.request_stop();
    std::lock_guard<std::mutex> lock(mutex_);
    if (context_) context_->TryCancel();
  }

 private:
  // False: cancelled.
  bool OpenOnce() {
    auto context = std::make_unique<grpc::ClientContext>();
    if (deadline_ != absl::InfiniteFuture()) context->set_deadline(absl::ToChronoTime(deadline_));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      context_ = std::move(context);
    }
    if (cancel_.stop_requested()) return false;
    reader_ = open_(context_.get(), resume_.Request());
    if (cancel_.stop_requested()) context_->TryCancel();
    return true;
  }

  Resume resume_;
  const Open open_;
  const Translate translate_;
  const absl::Time deadline_;
  const absl::Duration resume_for_;
  std::stop_source cancel_;
  std::mutex mutex_;                              // context_ changes in Next and is cancelled from anywhere
  std::unique_ptr<grpc::ClientContext> context_;  // outlives the reader
  std::unique_ptr<Reader> reader_;
  std::stop_callback<std::function<void()>> stopped_;
};

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_RESUMING_STREAM_H_
