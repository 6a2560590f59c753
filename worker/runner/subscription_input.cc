#include "worker/runner/subscription_input.h"

#include <puma/log.h>

#include <utility>

namespace puma::runner {

void SubscriptionInput::Connect(std::shared_ptr<internal::SubscriptionCore> subscription) {
  subscription_ = std::move(subscription);
  connected_ = true;
}

const internal::Received* SubscriptionInput::Next(const Logger& log) {
  if (complete_) return nullptr;
  const internal::Received* const received = subscription_->Look(name());
  if (absl::Status fault = subscription_->TakeFault(); !fault.ok()) log.error("input \"{}\": {}", name(), std::string(fault.message()));
  if (received == nullptr) complete_ = subscription_->CompletedNow(error_);
  return received;
}

void SubscriptionInput::StorePositions() {
  if (subscription_ != nullptr) subscription_->StorePositions();
}

void SubscriptionInput::Leave() {
  if (subscription_ != nullptr) subscription_->End();
  subscription_ = nullptr;
  connected_ = false;
}

}  // namespace puma::runner
