#include "server/supervisor/invocations.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "worker/control/failure.h"

namespace puma::server {
namespace {
constexpr size_t kMostWaiting = 1000;  // for one task
constexpr size_t kMostWaitingBytes = 4 << 20;

void Fill(const Error& error, v1::RunError& out) {
  out.set_code(absl::StatusCodeToString(error.code));
  out.set_message(error.message);
  for (const std::string& type : error.types) out.add_types(type);
  for (const Frame& frame : error.stack) {
    v1::StackFrame& added = *out.add_stack();
    added.set_function(frame.function);
    added.set_file(frame.file);
    added.set_line(frame.line);
    added.set_module(frame.module);
    added.set_offset(frame.offset);
  }
  for (const std::string& runnable : error.path) out.add_path(runnable);
  for (const Error& cause : error.causes) Fill(cause, *out.add_causes());
}
}  // namespace

Invocations::Invocations() {
  std::random_device random;
  next_id_ = (uint64_t{random()} << 32 | random()) >> 1;
}

void Invocations::Add(uint64_t id, Pending pending, const Send& send) {
  const uint64_t task = pending.task;
  const auto queue = waiting_.find(task);
  const bool others_wait = queue != waiting_.end();
  const size_t bytes = pending.arguments.size();
  if (others_wait && (queue->second.ids.size() >= kMostWaiting || queue->second.bytes + bytes > kMostWaitingBytes)) {
    return pending.reply(absl::ResourceExhaustedError(
        absl::StrCat("command ", pending.command, ": ", queue->second.ids.size(), " others wait already; the runnable is busy")));
  }
  pending_.emplace(id, std::move(pending));
  if (!others_wait && SendNow(id, send)) return;
  Queue& waits = waiting_[task];
  waits.ids.push_back(id);
  waits.bytes += bytes;
}

bool Invocations::SendNow(uint64_t id, const Send& send) {
  Pending& pending = pending_.at(id);
  const absl::Status sent = send(pending);
  if (absl::IsResourceExhausted(sent)) return false;
  if (!sent.ok()) {
    const Reply<v1::InvokeCommandResponse> reply = std::move(pending.reply);
    pending_.erase(id);
    reply(sent);
    return true;
  }
  pending.sent = true;
  pending.arguments = std::string();
  return true;
}

void Invocations::SendWaiting(const Send& send) {
  for (auto queue = waiting_.begin(); queue != waiting_.end();) {
    Queue& waits = queue->second;
    while (!waits.ids.empty()) {
      const uint64_t id = waits.ids.front();
      const size_t bytes = pending_.at(id).arguments.size();
      if (!SendNow(id, send)) break;
      waits.ids.pop_front();
      waits.bytes -= bytes;
    }
    queue = waits.ids.empty() ? waiting_.erase(queue) : std::next(queue);
  }
}

std::optional<Invocations::Pending> Invocations::Take(uint64_t id) {
  auto it = pending_.find(id);
  if (it == pending_.end()) return std::nullopt;
  Pending pending = std::move(it->second);
  pending_.erase(it);
  if (const auto queue = waiting_.find(pending.task); !pending.sent && queue != waiting_.end()) {
    queue->second.bytes -= pending.arguments.size();
    std::erase(queue->second.ids, id);
    if (queue->second.ids.empty()) waiting_.erase(queue);
  }
  return pending;
}

void Invocations::Answer(uint64_t worker, const control::ResultRecord& record, std::string_view text) {
  auto it = pending_.find(record.id);
  if (it == pending_.end() || it->second.worker != worker || !it->second.sent) return;
  std::optional<Pending> pending = Take(record.id);
  if (record.code != 0) return pending->reply(StatusOfFailure(text));
  v1::InvokeCommandResponse response;
  response.set_run(pending->run);
  const std::string json = text.empty() ? "null" : std::string(text);
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, response.mutable_result());
  if (!parsed.ok())
    return pending->reply(
        absl::InternalError(absl::StrCat("command ", pending->command, ": its result is no JSON: ", std::string(parsed.message()))));
  pending->reply(std::move(response));
}

void Invocations::RunEnded(uint64_t task, int64_t run) {
  std::vector<uint64_t> ended;
  for (const auto& [id, pending] : pending_) {
    if (pending.task == task && pending.run == run) ended.push_back(id);
  }
  for (uint64_t id : ended) {
    Pending pending = *Take(id);
    const char* outcome = pending.sent ? ": outcome unknown, run " : ": it did not begin, run ";
    pending.reply(absl::AbortedError(absl::StrCat("command ", pending.command, outcome, run, " ended")));
  }
}

absl::StatusOr<std::string> ArgumentsToJson(const v1::InvokeCommandRequest& request) {
  google::protobuf::Struct arguments;
  for (const auto& [name, value] : request.arguments()) (*arguments.mutable_fields())[name] = value;
  std::string json;
  const auto done = google::protobuf::util::MessageToJsonString(arguments, &json);
  if (!done.ok())
    return absl::InvalidArgumentError(absl::StrCat("arguments of command ", request.command(), ": ", std::string(done.message())));
  if (json.size() + request.command().size() + sizeof(control::CommandRecord) > control::kCommandBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("arguments of command ", request.command(), ": ", json.size(), " bytes; at most ", control::kCommandBytes, " fit"));
  }
  return json;
}

void SetError(std::string_view failure_json, v1::RunExit& exit) {
  v1::RunError& out = *exit.mutable_error();
  absl::StatusOr<Error> error = control::FailureFromJson(failure_json);
  if (error.ok()) {
    Fill(*error, out);
    exit.set_code(error->exit_code);
    exit.set_signal(error->signal);
  } else {
    out.set_code("UNKNOWN");
    out.set_message(std::string(failure_json));
  }
}

absl::Status StatusOfFailure(std::string_view failure_json) {
  absl::StatusOr<Error> error = control::FailureFromJson(failure_json);
  if (!error.ok()) return absl::UnknownError(std::string(failure_json));
  std::string message = error->message;
  if (!error->types.empty()) message = absl::StrCat(error->types.front(), ": ", message);
  return absl::Status(error->code == absl::StatusCode::kOk ? absl::StatusCode::kUnknown : error->code, message);
}

}  // namespace puma::server
