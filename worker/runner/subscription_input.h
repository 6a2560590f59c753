#ifndef PUMA_WORKER_RUNNER_SUBSCRIPTION_INPUT_H_
#define PUMA_WORKER_RUNNER_SUBSCRIPTION_INPUT_H_
// An input of a program's own runnable: a subscription of a buffer of its environment.
#include <memory>
#include <vector>

#include "worker/environment/subscription_core.h"
#include "worker/runnable/input.h"

namespace puma::runner {

class SubscriptionInput final : public internal::Input {
 public:
  using Input::Input;
  ~SubscriptionInput() override { Leave(); }
  void Connect(std::shared_ptr<internal::SubscriptionCore> subscription);

  const internal::Received* Next(const Logger& log) override;
  void Begin() override { subscription_->Begin(); }
  void Finish() override { subscription_->Done(); }
  void Fail() override { subscription_->Done(); }  // the value counts as taken
  void StorePositions() override;
  void CollectReaders(std::vector<LaneReader*>& out) override { subscription_->CollectReaders(out); }
  void Leave() override;
  size_t batch() const override { return subscription_ != nullptr ? subscription_->batch() : 1; }

 private:
  std::shared_ptr<internal::SubscriptionCore> subscription_;
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_SUBSCRIPTION_INPUT_H_
