#ifndef PUMA_TESTS_PROCESS_WORKER_FIXTURE_H_
#define PUMA_TESTS_PROCESS_WORKER_FIXTURE_H_
// Plays shim and host for a real puma-worker.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "worker/control/control_segments.h"
#include "worker/control/failure.h"
#include "worker/control/start_spec.h"
#include "worker/platform/seqpacket.h"
#include "worker/platform/unique_fd.h"
#include "worker/shim/protocol.h"

namespace puma {

class WorkerFixture : public ::testing::Test {
 protected:
  struct LogLine {
    std::string text, logger;
    int level;
    uint32_t stream, slot_plus_one;
  };
  struct Result {
    int code;
    std::string text;
  };

  void SpawnWorker(uint32_t slots) {
    auto host = control::HostControl::Create(slots);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    auto [mine, theirs] = SeqpacketPair();
    socket_ = std::move(mine);
    UniqueFd doorbell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int out[2], err[2];
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(err, O_CLOEXEC), 0);
    out_ = UniqueFd(out[0]);
    err_ = UniqueFd(err[0]);
    UniqueFd out_end(out[1]), err_end(err[1]);
    const int at[] = {out_end.get(), err_end.get(), theirs.get(), host_->host_fd(), doorbell.get(), out_.get(), err_.get()};
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      int high[7];  // out of the way first
      for (int i = 0; i < 7; ++i) high[i] = fcntl(at[i], F_DUPFD_CLOEXEC, 100);
      for (int i = 0; i < 7; ++i) dup2(high[i], i + 1);
      execl(PUMA_WORKER, "puma-worker", "test", nullptr);
      _exit(127);
    }
  }

  void TearDown() override {
    if (pid_ > 1 && !reaped_) {
      kill(pid_, SIGKILL);
      waitpid(pid_, &status_, 0);
    }
  }

  template <class T>
  void Send(shim::Type type, const T& body, const std::vector<int>& fds, std::string_view text = {}) {
    shim::Header header;
    header.type = type;
    header.length = static_cast<uint32_t>(sizeof(header) + sizeof(body) + text.size());
    header.fd_count = static_cast<uint32_t>(fds.size());
    std::vector<std::byte> bytes(header.length);
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + sizeof(header), &body, sizeof(body));
    if (!text.empty()) std::memcpy(bytes.data() + sizeof(header) + sizeof(body), text.data(), text.size());
    ASSERT_EQ(SendPacket(socket_.get(), bytes, fds), 0);
  }

  // A task of the sample module. Ids: task 100 + slot, run 1.
  control::StartSpec SpecFor(const std::string& type, uint32_t slot = 0, const std::string& module = "sample_module") {
    control::StartSpec spec;
    spec.pipeline = "p";
    spec.name = "t" + std::to_string(slot);
    spec.task = 100 + slot;
    spec.run = 1;
    spec.ticket = 1000 + slot;
    spec.slot = slot;
    spec.module = std::string(MODULE_DIR) + "/" + module + ".so";
    spec.module_name = module;
    spec.type = type;
    spec.page = 500 + slot;
    return spec;
  }
  void StartTask(const control::StartSpec& spec) {
    auto fd = control::ToMemfd(spec);
    ASSERT_TRUE(fd.ok()) << fd.status();
    shim::StartTask start{};
    start.id = {7, 1, 1};
    start.slot = spec.slot;
    start.task = spec.task;
    start.task_run = spec.run;
    Send(shim::Type::kStartTask, start, {fd->get()});
  }

  // Takes in everything that the worker has sent.
  void Pump() {
    pollfd polled = {socket_.get(), POLLIN, 0};
    while (poll(&polled, 1, 0) > 0 && (polled.revents & POLLIN) != 0) {
      Packet packet = ReceivePacket(socket_.get());
      if (packet.error != 0 || packet.bytes.empty()) break;
      OnPacket(std::move(packet));
    }
    if (!host_->connected()) return;
    ASSERT_TRUE(host_
                    ->DrainResults([&](const control::ResultRecord& r, std::string_view text) {
                      results_[r.id].push_back({r.code, std::string(text)});
                    })
                    .ok());
    ASSERT_TRUE(host_
                    ->DrainLogs(
                        [&](uint64_t, const control::LogEntry& e, std::string_view text) {
                          auto source = host_->SourceAt(e.source);
                          logs_.push_back({std::string(text), source.ok() ? source->logger : "?", e.level, e.stream,
                                           source.ok() ? source->slot_plus_one : 0});
                        },
                        10000)
                    .ok());
    host_->AcknowledgeLogs();
  }
  void OnPacket(Packet packet) {
    shim::Header header;
    std::memcpy(&header, packet.bytes.data(), sizeof(header));
    const std::byte* body = packet.bytes.data() + sizeof(header);
    if (header.type == shim::Type::kOffer) {
      shim::Offer offer;
      std::memcpy(&offer, body, sizeof(offer));
      if (offer.kind == shim::SegmentKind::kControl) {
        ASSERT_TRUE(host_->ConnectWorker(std::move(packet.fds.at(0))).ok());
      } else {
        segments_[offer.segment] = std::move(packet.fds.at(0));
      }
    } else if (header.type == shim::Type::kAttached) {
      shim::Attached attached;
      std::memcpy(&attached, body, sizeof(attached));
      attached_.push_back(attached);
    } else if (header.type == shim::Type::kWorkerFailed) {
      failures_.emplace_back(reinterpret_cast<const char*>(body) + sizeof(shim::WorkerFailed),
                             packet.bytes.size() - sizeof(header) - sizeof(shim::WorkerFailed));
    }
  }
  ::testing::AssertionResult Eventually(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (absl::Now() < deadline) {
      Pump();
      if (condition()) return ::testing::AssertionSuccess();
      absl::SleepFor(absl::Microseconds(500));
    }
    std::string logs;
    for (const LogLine& line : logs_) logs += "\n  " + line.text;
    return ::testing::AssertionFailure() << "never came; log:" << logs;
  }
  control::SlotState State(uint32_t slot = 0) { return host_->connected() ? host_->View(slot).state : control::SlotState::kFree; }
  ::testing::AssertionResult Reaches(control::SlotState state, uint32_t slot = 0) {
    return Eventually([&] { return State(slot) == state; });
  }
  Error Failure(uint32_t slot = 0) {
    auto error = control::FailureFromJson(host_->View(slot).failure);
    EXPECT_TRUE(error.ok()) << error.status();
    return error.ok() ? *error : Error{};
  }
  // Sends a command and waits for its answer.
  Result Call(const std::string& name, const std::string& arguments, uint64_t hash = 0, uint32_t slot = 0) {
    control::CommandRecord record{};
    record.id = ++next_id_;
    record.request_hash[0] = hash;
    EXPECT_TRUE(host_->SendCommand(slot, record, name, arguments).ok());
    EXPECT_TRUE(Eventually([&] { return results_.count(next_id_) > 0; }));
    return results_.count(next_id_) > 0 ? results_[next_id_][0] : Result{-1, ""};
  }
  int WaitForExit() {
    EXPECT_TRUE(Eventually([&] { return reaped_ || (waitpid(pid_, &status_, WNOHANG) == pid_ && (reaped_ = true)); }));
    Pump();
    return status_;
  }
  bool Logged(const std::string& text) const {
    for (const LogLine& line : logs_) {
      if (line.text.find(text) != std::string::npos) return true;
    }
    return false;
  }
  // What is left in a pipe.
  static std::string Rest(const UniqueFd& fd) {
    std::string text;
    pollfd polled = {fd.get(), POLLIN, 0};
    char buffer[4096];
    while (poll(&polled, 1, 0) > 0 && (polled.revents & POLLIN) != 0) {
      const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
      if (n <= 0) break;
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }

  std::unique_ptr<control::HostControl> host_;
  UniqueFd socket_, out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  uint64_t next_id_ = 0;
  std::map<uint64_t, std::vector<Result>> results_;
  std::vector<LogLine> logs_;
  std::map<uint64_t, UniqueFd> segments_;
  std::vector<shim::Attached> attached_;
  std::vector<std::string> failures_;
};

}  // namespace puma
#endif  // PUMA_TESTS_PROCESS_WORKER_FIXTURE_H_
