#include "worker/runner/control_commands.h"

#include <puma/log.h>
#include <puma/status.h>

#include <cstring>
#include <utility>

#include "worker/control/failure.h"

namespace puma::runner {

ControlCommands::ControlCommands(control::WorkerControl& control, uint32_t slot)
    : control_(control), slot_(slot), reader_(control.commands(slot)), position_(reader_.constants().base) {}

bool ControlCommands::Poll(const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) {
  while (!stop_) {
    auto item = reader_.Look(position_);
    if (!item.ok()) {
      log().error("the command ring is corrupt, the task is stopped: {}", item.status().ToString());
      stop_ = true;
      break;
    }
    if (!item->has_value()) break;
    if ((*item)->kind == MessageKind::kComplete) {  // not passed: it is there for whoever looks again
      stop_ = true;
      break;
    }
    const std::string copy(reinterpret_cast<const char*>((*item)->bytes.data()), (*item)->bytes.size());
    ++position_;
    control_.command_position(slot_).store(position_, std::memory_order_release);  // its place is free; it is executed at most once
    Serve(std::as_bytes(std::span(copy)), serve);
  }
  return stop_;
}

void ControlCommands::Serve(std::span<const std::byte> bytes,
                            const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) {
  control::CommandRecord command;
  if (bytes.size() < sizeof(command)) return;
  std::memcpy(&command, bytes.data(), sizeof(command));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(command), bytes.size() - sizeof(command));
  if (uint64_t{command.name_length} + command.arguments_length > text.size()) return;
  if (const Answer* kept = FindKept(command)) return Send(command, *kept);
  internal::CommandCall call;
  call.id = command.id;
  call.deadline_ns = command.deadline_ns;
  call.name = text.substr(0, command.name_length);
  call.arguments = text.substr(command.name_length, command.arguments_length);
  auto result = serve(call);
  Answer answer{{command.request_hash[0], command.request_hash[1]}, 0, ""};
  if (result.ok()) {
    answer.text = result->ToJson();
  } else {
    answer.code = static_cast<int32_t>(result.status().code());
    answer.text = control::FailureToJson(ErrorOf(result.status()), control::kFailureBytes);
  }
  Send(command, answer);
  if (command.request_hash[0] != 0 || command.request_hash[1] != 0) Keep(std::move(answer));
}

void ControlCommands::Send(const control::CommandRecord& command, const Answer& answer) {
  control::ResultRecord record{};
  record.id = command.id;
  std::memcpy(record.request_hash, command.request_hash, sizeof(record.request_hash));
  record.slot = slot_;
  record.code = answer.code;
  control_.SendResult(record, answer.text);
}

const ControlCommands::Answer* ControlCommands::FindKept(const control::CommandRecord& command) const {
  if (command.request_hash[0] == 0 && command.request_hash[1] == 0) return nullptr;
  for (const Answer& answer : kept_) {
    if (answer.hash[0] == command.request_hash[0] && answer.hash[1] == command.request_hash[1]) return &answer;
  }
  return nullptr;
}

void ControlCommands::Keep(Answer answer) {
  kept_bytes_ += answer.text.size();
  kept_.push_back(std::move(answer));
  while (kept_.size() > kKept || (kept_bytes_ > kKeptBytes && kept_.size() > 1)) {
    kept_bytes_ -= kept_.front().text.size();
    kept_.pop_front();
  }
}

}  // namespace puma::runner
