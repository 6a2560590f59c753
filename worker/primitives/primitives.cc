// The public classes.
#include <puma/primitives.h>

#include <utility>

#include "worker/primitives/primitive_core.h"

namespace puma {
namespace internal {

std::atomic<uint64_t>* CellIn(PrimitiveCore& core) { return core.cell(); }
void RefuseUse(const PrimitiveCore& core) { Throw(core.status()); }

}  // namespace internal

const std::string& Primitive::name() const { return core_->name(); }
absl::Status Primitive::status() const { return core_->status(); }

void AutoResetEvent::Set() { core_->SetOnce(); }
absl::Status AutoResetEvent::Wait(Timeout timeout) { return core_->TakeSet(timeout); }

void ManualEvent::Set() { core_->SetUntilReset(); }
void ManualEvent::Reset() { core_->Reset(); }
bool ManualEvent::IsSet() const { return core_->IsSet(); }
absl::Status ManualEvent::Wait(Timeout timeout) { return core_->AwaitSet(timeout); }

Locked::Locked(const std::shared_ptr<internal::PrimitiveCore>& core, Timeout timeout) {
  bool held = false;
  status_ = core->Acquire(timeout, held);
  if (held) core_ = core;
}

void Locked::Release() {
  if (core_ != nullptr) std::exchange(core_, nullptr)->Release();
}

namespace {
internal::PrimitiveCore& HeldCore(const Locked& locked, const std::shared_ptr<internal::PrimitiveCore>& core) {
  if (locked.held()) return *core;
  Throw(FailedPrecondition("puma: a condition is waited for and notified with its lock held"));
}
}  // namespace

absl::Status LockedCondition::Wait(Timeout timeout) { return HeldCore(*this, core_).AwaitNotification(timeout); }

absl::Status LockedCondition::WaitUntil(absl::FunctionRef<bool()> predicate, Timeout timeout) {
  return HeldCore(*this, core_).AwaitPredicate(predicate, timeout);
}
void LockedCondition::NotifyOne() { HeldCore(*this, core_).NotifyOne(); }
void LockedCondition::NotifyAll() { HeldCore(*this, core_).NotifyAll(); }

}  // namespace puma
