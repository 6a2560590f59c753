#include "server/config/spec_checks.h"

namespace puma::server {
namespace {

void Default(google::protobuf::Duration* field, bool given, int64_t milliseconds) {
  if (given) return;
  field->set_seconds(milliseconds / 1000);
  field->set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1'000'000));
}

void FillBuffer(v1::BufferSpec& buffer) {
  if (!buffer.has_capacity()) buffer.mutable_capacity()->set_bytes(16 << 20);
  if (buffer.capacity_items() == 0) buffer.set_capacity_items(64);
  if (buffer.on_full() == v1::ON_FULL_UNSPECIFIED) buffer.set_on_full(v1::ON_FULL_BLOCK);
  if (!buffer.has_max_bytes()) *buffer.mutable_max_bytes() = buffer.capacity();
  if (buffer.wake() == v1::WAKE_UNSPECIFIED) buffer.set_wake(v1::WAKE_FENCED);
}

void FillTask(v1::TaskSpec& task) {
  if (task.placement() == v1::PLACEMENT_UNSPECIFIED) task.set_placement(v1::PLACEMENT_PROCESS);
  if (task.replicas() == 0) task.set_replicas(1);
  if (!task.has_max_deliveries()) task.set_max_deliveries(5);
  if (task.log_level() == v1::LOG_LEVEL_UNSPECIFIED) task.set_log_level(v1::LOG_LEVEL_INFO);
  v1::RestartSpec& restart = *task.mutable_restart();
  if (restart.policy() == v1::RESTART_POLICY_UNSPECIFIED) restart.set_policy(v1::RESTART_POLICY_ON_FAILURE);
  if (restart.max_restarts() == 0) restart.set_max_restarts(5);
  v1::BackoffSpec& backoff = *restart.mutable_backoff();
  const bool initial_given = backoff.has_initial(), max_given = backoff.has_max(), within_given = restart.has_within();
  Default(backoff.mutable_initial(), initial_given, 100);
  Default(backoff.mutable_max(), max_given, 30'000);
  // Only one of the two given: the other one follows it.
  if (initial_given && !max_given && backoff.initial().seconds() >= 30) *backoff.mutable_max() = backoff.initial();
  if (max_given && !initial_given && backoff.max().seconds() == 0 && backoff.max().nanos() < 100'000'000)
    *backoff.mutable_initial() = backoff.max();
  Default(restart.mutable_within(), within_given, 30'000);
  v1::StopSpec& stop = *task.mutable_stop();
  const bool grace_given = stop.has_grace(), term_grace_given = stop.has_term_grace();
  Default(stop.mutable_grace(), grace_given, 5'000);
  Default(stop.mutable_term_grace(), term_grace_given, 2'000);
  const bool deadline_given = task.has_start_deadline();
  Default(task.mutable_start_deadline(), deadline_given, 30'000);
  for (auto& [port, input] : *task.mutable_inputs()) {
    if (input.from() == v1::JOIN_UNSPECIFIED) input.set_from(v1::JOIN_OLDEST);
  }
  for (auto& [name, condition] : *task.mutable_depends_on()) {
    if (condition == v1::CONDITION_UNSPECIFIED) condition = v1::CONDITION_RUNNING;
  }
}

}  // namespace

void FillDefaults(v1::PipelineSpec& spec) {
  if (spec.strategy() == v1::STRATEGY_UNSPECIFIED) spec.set_strategy(v1::STRATEGY_ONE_FOR_ONE);
  for (auto& [name, buffer] : *spec.mutable_buffers()) FillBuffer(buffer);
  for (auto& [name, task] : *spec.mutable_tasks()) FillTask(task);
}

}  // namespace puma::server
