#ifndef PUMA_WORKER_PRIMITIVES_PRIMITIVE_CORE_H_
#define PUMA_WORKER_PRIMITIVES_PRIMITIVE_CORE_H_
// What a primitive does, on its page. Thread-safe.
#include <puma/status.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "worker/primitives/page.h"

namespace puma::internal {

class PrimitiveCore {
 public:
  // `scope` is let go with the last handle.
  PrimitiveCore(std::string name, std::shared_ptr<PrimitivePage> page, std::shared_ptr<void> scope)
      : name_(std::move(name)), page_(std::move(page)), scope_(std::move(scope)) {}
  PrimitiveCore(std::string name, absl::Status refused) : name_(std::move(name)), status_(std::move(refused)) {}
  const std::string& name() const { return name_; }
  const absl::Status& status() const { return status_; }
  std::atomic<uint64_t>* cell() { return page_ != nullptr ? &layout().cell : nullptr; }

  void SetOnce();  // of an event that resets itself
  absl::Status TakeSet(Timeout timeout);
  void SetUntilReset();
  void Reset();
  bool IsSet();
  absl::Status AwaitSet(Timeout timeout);

  absl::Status Acquire(Timeout timeout, bool& held);  // as Locked::status
  void Release();
  // By who holds the mutex, which it does afterwards, too.
  absl::Status AwaitNotification(Timeout timeout);
  absl::Status AwaitPredicate(absl::FunctionRef<bool()> predicate, Timeout timeout);
  void NotifyOne();
  void NotifyAll();

 private:
  PageLayout& layout() { return page_->layout(); }
  PageLayout& Usable();  // throws puma::Exception
  absl::Status CheckTimeout(Timeout timeout) const;
  absl::Status NotWithin(Timeout timeout, std::string_view what) const;
  absl::Status AcquireUntil(absl::Time deadline, bool& held);
  absl::Status AwaitUntil(absl::Time deadline);
  Waiter* NewWaiter();
  Waiter* FirstWaiter();

  const std::string name_;
  const absl::Status status_;
  const std::shared_ptr<PrimitivePage> page_;  // null: refused
  const std::shared_ptr<void> scope_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_PRIMITIVES_PRIMITIVE_CORE_H_
