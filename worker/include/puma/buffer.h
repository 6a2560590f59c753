#ifndef PUMA_BUFFER_H_
#define PUMA_BUFFER_H_
// The two ends of a buffer as a runnable meets them: publishers that write in place, subscribers that read in place.
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "puma/codec.h"

namespace puma {

// What a publish does when there is no room in time: what the buffer was made with, nothing, warn in the log, fail with
// RESOURCE_EXHAUSTED; or wait for ever, if no timeout is given. The last two are for whole buffers only: old messages give way, or all but
// the newest.
enum class OnFull { kAsSpec, kIgnore, kWarn, kError, kBlock, kDropOldest, kLatest };

namespace internal {
class OutputCore;
absl::StatusOr<MutableBytes> Reserve(OutputCore&, size_t bytes, Timeout, OnFull);  // may be scratch memory: dropped as asked
bool ReservedIsScratch(const OutputCore&);
absl::Status Commit(OutputCore&);
absl::StatusOr<size_t> PublishMany(OutputCore&, Bytes messages, size_t each, Timeout, OnFull);
void Abandon(OutputCore&);
absl::Status Complete(OutputCore&, const absl::Status& error);
absl::Status NotExecuting();
absl::Status StatusOf(const OutputCore&);  // why it can't be used
void End(OutputCore&);                     // leaves; a second time warns
void Cancel(OutputCore&);                  // any thread
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

// One publisher. Only its runnable's thread uses it, or one other thread at a time. Buffer::Publish's is a scope: its destructor leaves.
//
// With no timeout given the buffer's on_full decides (block waits until there is room). A timeout waits that long; then on_full, or
// the spec's, decides: RESOURCE_EXHAUSTED, or dropped. CANCELLED: the run is being stopped; return it, and the message in hand comes again
// in the next run. FAILED_PRECONDITION: completed already, or the runnable does not execute. INVALID_ARGUMENT: the message is too large for
// its lane.
template <class T>
class Publisher {
 public:
  Publisher() = default;
  explicit Publisher(std::shared_ptr<internal::OutputCore> core, std::shared_ptr<void> scope = nullptr)
      : core_(std::move(core)), scope_(std::move(scope)) {}

  absl::Status PublishValue(const T& value, Timeout timeout = kAsSpec, OnFull on_full = OnFull::kAsSpec) requires Encodable<T> {
    if (!core_) return internal::NotExecuting();
    auto room = internal::Reserve(*core_, Codec<T>::Size(value), timeout, on_full);
    if (!room.ok()) return room.status();
    if (!internal::ReservedIsScratch(*core_)) Codec<T>::Encode(value, *room);
    return internal::Commit(*core_);
  }
  // An array of plain values, by few copies and one look at sleepers for all: several times as fast as one by one. How many were published,
  // from the first on: fewer than all when the room did not suffice in time. An error: none was.
  absl::StatusOr<size_t> PublishValues(std::span<const T> values, Timeout timeout = kAsSpec,
                                       OnFull on_full = OnFull::kAsSpec) requires Encodable<T> {
    static_assert(Codec<T>::kInPlace, "puma: only plain values lie in an array as they lie in the buffer");
    if (!core_) return internal::NotExecuting();
    return internal::PublishMany(*core_, std::as_bytes(values), sizeof(T), timeout, on_full);
  }
  // A type without a Codec travels between threads of one process only: its owner does. Refused, the value stays with the caller.
  absl::Status PublishValue(T&& value, Timeout timeout = kAsSpec, OnFull on_full = OnFull::kAsSpec) requires ThreadOnly<T> {
    if (!core_) return internal::NotExecuting();
    auto room = internal::Reserve(*core_, sizeof(T*), timeout, on_full);
    if (!room.ok()) return room.status();
    if (internal::ReservedIsScratch(*core_)) return internal::Commit(*core_);
    auto owned = std::make_unique<T>(std::move(value));
    T* const travelling = owned.get();
    std::memcpy(room->data(), &travelling, sizeof(void*));
    absl::Status status = internal::Commit(*core_);
    if (status.ok()) static_cast<void>(owned.release());
    return status;
  }
  absl::Status PublishValue(const T& value, Timeout timeout = kAsSpec,
                            OnFull on_full = OnFull::kAsSpec) requires(ThreadOnly<T>&& std::is_copy_constructible_v<T>) {
    return PublishValue(T(value), timeout, on_full);
  }
  // Room for a T, or for a Block with `tail_bytes` bytes after its header. The bytes have any content.
  absl::StatusOr<puma::Loan<T>> Loan(size_t tail_bytes = 0, Timeout timeout = kAsSpec,
                                     OnFull on_full = OnFull::kAsSpec) requires CrossesProcesses<T> {
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

  // The rest is for publishers of Buffer::Publish. Why it can't be used; each use says the same.
  absl::Status status() const { return core_ ? internal::StatusOf(*core_) : internal::NotExecuting(); }
  // Leaves, without completing. What was published stays for the subscription.
  void Close() {
    if (core_) internal::End(*core_);
  }
  // Any thread. A publish that waits for room, now or later, returns CANCELLED.
  void Cancel() {
    if (core_) internal::Cancel(*core_);
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
  std::shared_ptr<void> scope_;  // null: a runnable's
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
