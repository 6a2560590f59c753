#ifndef PUMA_WORKER_TESTING_INLINE_RUN_H_
#define PUMA_WORKER_TESTING_INLINE_RUN_H_
// What TestRun stands on: the same run as everywhere (worker/runner/perform.h), on a fiber, between buffers of an environment of its own.
#include <puma/testing/test_run.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/environment/environment_core.h"
#include "worker/environment/subscription_core.h"
#include "worker/logging/record_sink.h"
#include "worker/runnable/runnable_core.h"
#include "worker/runner/run_plan.h"
#include "worker/testing/fiber.h"

namespace puma::testing::internal {

class InlineRun final : public puma::internal::Stepper {
 public:
  InlineRun(puma::internal::RunnableType type, const Params& params, TestRunOptions options);
  ~InlineRun() override;
  // Stops it. False: it does not end; this object must be kept for ever then.
  bool Finish();

  absl::Status Start();
  absl::Status Step();
  absl::Status Advance(absl::Duration by);
  void Stop();
  bool ended() const { return ended_; }
  const absl::Status& result() const { return result_; }
  ManualClock& clock() { return clock_; }
  const LogCapture& log() const { return log_; }

  std::shared_ptr<puma::internal::OutputCore> In(std::string_view port, const TypeInfo& type);
  size_t Take(std::string_view port, const TypeInfo& type, puma::internal::ReceivedRef on_value);
  std::optional<absl::Status> Completion(std::string_view port);
  Runnable& Object() const;
  Runnable& ParentHalf() const;
  absl::StatusOr<Value> Command(std::string_view method, const std::vector<Value>& arguments);
  absl::StatusOr<Value> Latest(const std::string& type);

  int64_t Now() const override { return absl::ToInt64Nanoseconds(clock_.now()); }
  bool Wait(absl::Duration at_most) override;

 private:
  // What the test publishes. Whoever holds a publisher keeps it.
  struct Feed {
    explicit Feed(const TypeInfo& type) : output("", type, &context) {}
    puma::internal::RunContext context;
    puma::internal::OutputCore output;
  };
  struct Input {
    TypeInfo type{};
    std::shared_ptr<Feed> feed;
    std::shared_ptr<puma::internal::PublisherEnd> end;
  };
  struct Output {
    TypeInfo type{};
    std::shared_ptr<puma::internal::SubscriptionCore> subscription;
    std::optional<absl::Status> completion;
  };
  using Wires = std::vector<runner::Wire>;
  std::unique_ptr<puma::internal::RunnableCore> Construct(Scope scope);
  void WireAll(const puma::internal::RunnableCore& described);
  static std::shared_ptr<puma::internal::EnvironmentCore> EnvironmentOf(const TestRunOptions& options);
  absl::Status WireFacade(const FacadeWire& wire, const puma::internal::RunnableCore& described);
  bool Connected(const std::string& port);
  absl::StatusOr<puma::internal::BufferFacts> MakeBuffer(Wires& wires, const std::string& port, const TypeInfo& type);
  absl::Status WireInput(const std::string& port, const TypeInfo& type);
  absl::Status WireOutput(const std::string& port, const TypeInfo& type);
  class Link;
  template <class F>
  absl::StatusOr<Value> AsRunnable(F&& act);
  void Break(const absl::Status& why);
  void Perform();
  void Resume();
  Output& FindOutput(std::string_view port);
  absl::Duration NextDue() const;

  const LogCapture log_{{.level = Level::kDebug}};
  TestRunOptions options_;
  ManualClock own_clock_;
  ManualClock& clock_;
  const std::shared_ptr<puma::internal::EnvironmentCore> environment_;
  runner::RunPlan plan_;
  absl::Status broken_;                                 // why it can't start
  std::unique_ptr<puma::internal::RunnableCore> half_;  // the parent's
  std::map<std::string, Input, std::less<>> inputs_;
  std::map<std::string, Output, std::less<>> outputs_;
  std::vector<std::string> unconnected_left_;
  std::map<std::string, Value> statuses_;
  const std::shared_ptr<Link> link_;  // of results that are referred to

  std::unique_ptr<Fiber> fiber_;
  logging::ThreadIdentity identity_;                   // of the fiber, while it pauses
  puma::internal::RunnableCore* executing_ = nullptr;  // the same
  puma::internal::RunnableCore* core_ = nullptr;       // the child's half
  absl::Duration due_;                                 // it waits until then
  bool ended_ = false;
  absl::Status result_;
};

}  // namespace puma::testing::internal
#endif  // PUMA_WORKER_TESTING_INLINE_RUN_H_
