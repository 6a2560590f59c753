#ifndef PUMA_BUFFER_H_
#define PUMA_BUFFER_H_
// The two ends of a buffer as a runnable meets them: publishers that write in place, subscribers that read in place.
#include <functional>
#include <memory>
#include <utility>

#include "puma/codec.h"

namespace puma {

// What a publish does when there is no room in time: what the buffer's spec says, nothing, warn in the log, or fail with
// RESOURCE_EXHAUSTED.
enum class OnFull { kAsSpec, kIgnore, kWarn, kError };

namespace internal {
class OutputCore;
absl::StatusOr<MutableBytes> Reserve(OutputCore&, size_t bytes, Timeout, OnFull);  // may be scratch memory: dropped as asked
bool ReservedIsScratch(const OutputCore&);
absl::Status Commit(OutputCore&);
void Abandon(OutputCore&);
absl::Status Complete(OutputCore&, const absl::Status& error);
absl::Status NotExecuting();
}  // namespace internal

// Room in the lane, to be written in place. The destructor gives back what was not published. A publisher has one loan at a time.
template <class T>
class Loan {
 public:
  Loan(std::shared_ptr<internal::OutputCore> output, MutableBytes room) : output_(std::move(output)), room_(room) {}
  Loan(Loan&& other) noexcept = default;
  Loan& operator=(Loan&& other) noexcept {
    if (output_) internal::Abandon(*output_);
    output_ = std::move(other.output_);
    room_ = other.room_;
    return *this;
  }
  ~Loan() {
    if (output_) internal::Abandon(*output_);
  }
  auto* operator->() requires IsBlock<T>::value { return reinterpret_cast<typename IsBlock<T>::Header*>(room_.data()); }
  T* operator->() requires(!IsBlock<T>::value) { return reinterpret_cast<T*>(room_.data()); }
  auto& operator*() { return *operator->(); }
  auto& header() requires IsBlock<T>::value { return *operator->(); }
  // What follows a Block's header, or the whole value.
  MutableBytes bytes() {
    if constexpr (IsBlock<T>::value) return room_.subspan(T::kTailOffset);
    return room_;
  }
  // Once. FAILED_PRECONDITION: published already, or the run has ended.
  absl::Status Publish() {
    if (!output_) return FailedPrecondition("puma: this loan has been published already");
    return internal::Commit(*std::exchange(output_, nullptr));
  }

 private:
  std::shared_ptr<internal::OutputCore> output_;
  MutableBytes room_;
};

// One publisher. Only its runnable's thread uses it, or one other thread at a time.
//
// With no timeout given the buffer's spec decides (on_full: block waits until there is room). A timeout waits that long; then on_full, or
// the spec's, decides: RESOURCE_EXHAUSTED, or dropped. CANCELLED: the run is being stopped; return it, and the message in hand comes again
// in the next run. FAILED_PRECONDITION: completed already, or the runnable does not execute. INVALID_ARGUMENT: the message is too large for
// its lane.
template <class T>
class Publisher {
 public:
  static_assert(CrossesProcesses<T>,
                "puma: this type can't cross processes: make it a plain struct, a puma::Block or give it a puma::Codec");
  Publisher() = default;
  explicit Publisher(std::shared_ptr<internal::OutputCore> core) : core_(std::move(core)) {}

  absl::Status PublishValue(const T& value, Timeout timeout = kAsSpec, OnFull on_full = OnFull::kAsSpec) requires Encodable<T> {
    if (!core_) return internal::NotExecuting();
    auto room = internal::Reserve(*core_, Codec<T>::Size(value), timeout, on_full);
    if (!room.ok()) return room.status();
    if (!internal::ReservedIsScratch(*core_)) Codec<T>::Encode(value, *room);
    return internal::Commit(*core_);
  }
  // Room for a T, or for a Block with `tail_bytes` bytes after its header. The bytes have any content.
  absl::StatusOr<puma::Loan<T>> Loan(size_t tail_bytes = 0, Timeout timeout = kAsSpec, OnFull on_full = OnFull::kAsSpec) {
    if (!core_) return internal::NotExecuting();
    auto room = internal::Reserve(*core_, LoanSize(tail_bytes), timeout, on_full);
    if (!room.ok()) return room.status();
    return puma::Loan<T>(core_, *room);
  }
  // No more values from here. Never refused for space; a second one is FAILED_PRECONDITION.
  absl::Status PublishComplete(const absl::Status& error = absl::OkStatus()) {
    if (!core_) return internal::NotExecuting();
    return internal::Complete(*core_, error);
  }

 private:
  static size_t LoanSize(size_t tail_bytes) {
    if constexpr (IsBlock<T>::value) {
      return T::kTailOffset + tail_bytes;
    } else {
      static_assert(Codec<T>::kInPlace, "puma: only plain structs and Blocks can be written in place");
      return sizeof(T);
    }
  }
  std::shared_ptr<internal::OutputCore> core_;
};

// What serves one input, or several: it completes when the last of its inputs has, and no value ever follows.
template <class T>
class Subscriber {
 public:
  virtual ~Subscriber() = default;
  virtual absl::Status OnValue(const T& value) = 0;
  // Not OK: an error from upstream. Returning it says "not taken"; returning OK takes it, and the run ends without an error.
  virtual absl::Status OnComplete(const absl::Status& error) { return error; }
};

namespace internal {
using OnReceived = std::function<absl::Status(const Received&)>;
using OnCompleted = std::function<absl::Status(const absl::Status&)>;
}  // namespace internal

}  // namespace puma
#endif  // PUMA_BUFFER_H_
