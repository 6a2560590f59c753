// control TARGET SPEC TASK COMMAND [NAME=VALUE ...]: drives a host from C++. control.py does the same.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "google/protobuf/util/json_util.h"
#include "puma/client/client.h"

namespace {

using puma::client::Client;
namespace v1 = puma::v1;

// A watch begins with a snapshot, then has changes; it goes on by itself when the host is restarted.
absl::Status WaitUntilRunning(Client& host, const std::string& pipeline) {
  v1::WatchTasksRequest request;
  request.set_parent(pipeline);
  const auto watch = host.WatchTasks(request, {.deadline = absl::Now() + absl::Minutes(1)});
  std::set<std::string> waiting;
  bool whole = false;
  while (true) {
    const auto batch = watch->Next();
    if (!batch.ok()) return batch.status();
    if (!*batch) return absl::UnavailableError("the watch ended");
    for (const v1::TaskEvent& event : (*batch)->events()) {
      whole |= event.snapshot_complete();
      if (!event.has_task()) continue;
      const v1::TaskStatus& status = event.task().status();
      if (status.state() == v1::TASK_STATE_FAILED) return absl::AbortedError(event.task().name() + " failed: " + status.reason());
      if (status.state() == v1::TASK_STATE_RUNNING || status.state() == v1::TASK_STATE_SUCCEEDED)
        waiting.erase(event.task().name());
      else
        waiting.insert(event.task().name());
    }
    if (whole && waiting.empty()) return absl::OkStatus();
  }
}

absl::Status Call(Client& host, const std::string& task, const std::string& command, int count, char** pairs) {
  v1::InvokeCommandRequest request;
  request.set_name(task);
  request.set_command(command);
  for (int i = 0; i < count; ++i) {
    const std::string pair = pairs[i];
    const size_t equals = std::min(pair.find('='), pair.size());
    auto& value = (*request.mutable_arguments())[pair.substr(0, equals)];
    const std::string text = equals < pair.size() ? pair.substr(equals + 1) : "";
    if (!google::protobuf::util::JsonStringToMessage(text, &value).ok()) value.set_string_value(text);
  }
  const auto answer = host.InvokeCommand(request);
  if (!answer.ok()) return answer.status();
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(answer->result(), &json);
  std::printf("%s: %s\n", command.c_str(), json.c_str());
  return absl::OkStatus();
}

absl::Status PrintLog(Client& host, const std::string& pipeline) {
  v1::TailLogsRequest request;
  request.set_parent(pipeline);
  request.set_history(-1);
  const auto log = host.TailLogs(request);
  while (true) {
    const auto batch = log->Next();
    if (!batch.ok()) return batch.status();
    if (!*batch) return absl::OkStatus();
    for (const v1::LogRecord& record : (*batch)->records())
      std::printf("log: %s: %s\n", (*batch)->sources(static_cast<int>(record.source())).task().c_str(), record.message().c_str());
  }
}

absl::Status Drive(int argc, char** argv) {
  const auto host = Client::Connect(argv[1]);
  if (!host.ok()) return host.status();
  v1::ApplyPipelineRequest apply;
  std::ifstream file(argv[2]);
  const std::string json{std::istreambuf_iterator<char>(file), {}};
  if (const auto read = google::protobuf::util::JsonStringToMessage(json, apply.mutable_spec()); !read.ok())
    return absl::InvalidArgumentError(std::string(argv[2]) + ": " + std::string(read.message()));
  const auto applied = (*host)->ApplyPipeline(apply);
  if (!applied.ok()) return applied.status();
  const std::string pipeline = applied->pipeline().name();
  absl::Status status = WaitUntilRunning(**host, pipeline);
  if (status.ok()) status = Call(**host, pipeline + "/tasks/" + argv[3], argv[4], argc - 5, argv + 5);
  if (status.ok()) status = PrintLog(**host, pipeline);
  v1::DeletePipelineRequest remove;
  remove.set_name(pipeline);
  status.Update((*host)->DeletePipeline(remove).status());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: control TARGET SPEC_JSON TASK COMMAND [NAME=VALUE ...]\n");
    return 2;
  }
  const absl::Status status = Drive(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString(absl::StatusToStringMode::kWithNoExtraData).c_str());
  return 1;
}
