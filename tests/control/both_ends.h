#ifndef PUMA_TESTS_CONTROL_BOTH_ENDS_H_
#define PUMA_TESTS_CONTROL_BOTH_ENDS_H_
// Host and worker in one process, with H, W and the doorbell between them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/control/control_segments.h"

namespace puma::control {

inline UniqueFd Copy(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

class BothEnds : public ::testing::Test {
 protected:
  void SetUp() override {
    auto host = HostControl::Create(2);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = std::move(*host);
    host_fd_ = Copy(host_->host_fd());
    doorbell_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    auto worker = WorkerControl::Create(Copy(host_fd_.get()), Copy(doorbell_.get()), 0);
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = std::move(*worker);
    worker_fd_ = Copy(worker_->segment().fd());
  }
  void Connect() {
    const absl::Status status = host_->ConnectWorker(Copy(worker_fd_.get()));
    ASSERT_TRUE(status.ok()) << status;
  }
  // The host dies; the next one takes H and W as the shim kept them.
  void ReplaceHost() {
    host_.reset();
    auto next = HostControl::Adopt(Copy(host_fd_.get()));
    ASSERT_TRUE(next.ok()) << next.status();
    host_ = std::move(*next);
    Connect();
  }
  // How often the doorbell was rung since the last time.
  uint64_t Rings() {
    uint64_t rings = 0;
    return ::read(doorbell_.get(), &rings, sizeof(rings)) == sizeof(rings) ? rings : 0;
  }
  bool Log(std::string_view text, int level = 2) {
    LogEntry entry{};
    entry.level = level;
    return worker_->SendLog(entry, text);
  }
  std::vector<std::pair<uint64_t, std::string>> Logs(size_t at_most = 1 << 20) {
    std::vector<std::pair<uint64_t, std::string>> logs;
    status_ = host_->DrainLogs([&](uint64_t n, const LogEntry&, std::string_view text) { logs.emplace_back(n, text); }, at_most);
    return logs;
  }
  void Result(uint64_t id, std::string_view text, uint32_t slot = 0) {
    ResultRecord record{};
    record.id = id;
    record.slot = slot;
    worker_->SendResult(record, text);
  }
  std::vector<std::pair<uint64_t, std::string>> Results() {
    std::vector<std::pair<uint64_t, std::string>> results;
    status_ = host_->DrainResults([&](const ResultRecord& record, std::string_view text) { results.emplace_back(record.id, text); });
    return results;
  }
  // What a runnable's thread does with its next command; "" for none, "stop" for the completion.
  std::string NextCommand(uint32_t slot) {
    Word64& position = worker_->command_position(slot);
    auto item = worker_->commands(slot).Look(position.load());
    if (!item.ok() || !item->has_value()) return item.ok() ? "" : std::string(item.status().message());
    std::string command = "stop";
    if ((*item)->kind == MessageKind::kValue) {
      CommandRecord record;
      std::memcpy(&record, (*item)->bytes.data(), sizeof(record));
      command.assign(reinterpret_cast<const char*>((*item)->bytes.data()) + sizeof(record), record.name_length + record.arguments_length);
    }
    position.fetch_add(1);
    return command;
  }

  std::unique_ptr<HostControl> host_;
  std::unique_ptr<WorkerControl> worker_;
  UniqueFd host_fd_, worker_fd_, doorbell_;  // as the shim keeps them
  absl::Status status_;
};

}  // namespace puma::control
#endif  // PUMA_TESTS_CONTROL_BOTH_ENDS_H_
