#include "worker/shim/template.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

#include "worker/platform/seqpacket.h"
#include "worker/platform/system.h"

namespace puma::shim {
namespace {

constexpr int kAnswerMs = 1000;  // a template that needs longer is stopped, or starved: an exec is surer

// Which file it is: one that was replaced is another.
bool Identify(const std::string& path, uint64_t (&file)[4]) {
  struct stat stat {};
  if (::stat(path.c_str(), &stat) != 0) return false;
  file[0] = stat.st_dev;
  file[1] = stat.st_ino;
  file[2] = static_cast<uint64_t>(stat.st_mtim.tv_sec);
  file[3] = static_cast<uint64_t>(stat.st_mtim.tv_nsec);
  return true;
}

void Copy(std::string_view text, char (&place)[kNamePlace]) { text.substr(0, kNamePlace - 1).copy(place, kNamePlace - 1); }

std::optional<ForkAnswer> AnswerIn(Packet& packet) {
  ForkAnswer answer;
  if (packet.error != 0 || packet.bytes.size() != sizeof(answer)) return std::nullopt;
  std::memcpy(&answer, packet.bytes.data(), sizeof(answer));
  return answer;
}

}  // namespace

void Template::Prepare(const Program& worker) {
  uint64_t file[4] = {};
  if (!Identify(worker.path, file)) return;
  if (!std::equal(std::begin(file), std::end(file), std::begin(file_))) {
    Retire();
    failed_ = false;
  }
  if (pid_ > 0 || failed_) return;
  auto [ours, theirs] = SeqpacketPair();
  if (!ours.valid()) return;
  Program program;
  program.path = worker.path;
  program.arguments = {worker.arguments[0], std::string(kTemplate)};
  program.arguments[1].resize(kNamePlace - 1, ' ');
  for (const std::string& entry : worker.environment) {
    program.environment.push_back(entry.starts_with("PUMA_RUN=") ? "PUMA_RUN=" + program.arguments[1] : entry);
  }
  const int null = worker.fds[0].first;
  program.fds = {{null, 0}};
  for (int target = 3; target < kTemplateSocket; ++target) program.fds.emplace_back(null, target);
  program.fds.emplace_back(theirs.get(), kTemplateSocket);
  program.files = worker.files;
  Started started = Execute(program);
  if (started.error != 0) {
    failed_ = true;
    return;
  }
  pid_ = started.pid;
  pidfd_ = std::move(started.pidfd);
  socket_ = std::move(ours);
  std::copy(std::begin(file), std::end(file), std::begin(file_));
}

bool Template::Ready() {
  if (ready_ || pid_ <= 0) return ready_;
  pollfd polled{socket_.get(), POLLIN, 0};
  if (::poll(&polled, 1, 0) != 1) return false;
  Packet packet = ReceivePacket(socket_.get());
  const auto answer = AnswerIn(packet);
  ready_ = answer && answer->pid == 0 && answer->error == 0;
  if (!ready_) {
    Retire();
    failed_ = true;
  }
  return ready_;
}

std::optional<Started> Template::Fork(const Program& worker, std::string_view label) {
  if (!Ready()) return std::nullopt;
  ForkRequest request{};
  request.limits = worker.limits;
  request.files = worker.files;
  request.parent = ::getpid();
  Copy(worker.arguments[1], request.name);
  Copy(label, request.label);
  std::vector<int> fds;
  for (const auto& [source, target] : worker.fds) fds.push_back(source);
  request.fds = static_cast<uint32_t>(fds.size());
  if (worker.home.valid()) fds.push_back(worker.home.get());
  request.homes = worker.home.valid() ? 1 : 0;
  for (const UniqueFd& group : worker.groups) fds.push_back(group.get());
  request.groups = static_cast<uint32_t>(worker.groups.size());
  std::optional<ForkAnswer> answer;
  Packet packet;
  if (SendPacket(socket_.get(), std::as_bytes(std::span(&request, 1)), fds) == 0) {
    pollfd polled{socket_.get(), POLLIN, 0};
    while (::poll(&polled, 1, kAnswerMs) < 0 && errno == EINTR) {
    }
    // After this nobody can answer any more: a child that has not done so yet ends. So it is either there, or it may be made by an exec.
    if (polled.revents == 0) ::shutdown(socket_.get(), SHUT_RDWR);
    packet = ReceivePacket(socket_.get());
    answer = AnswerIn(packet);
    if (polled.revents == 0) Retire();
  }
  if (!answer || (answer->error == 0 && packet.fds.size() != 1)) {
    std::fprintf(stderr, "puma-shim: the worker template does not answer: workers are exec'd until the next one is ready\n");
    Retire();
    return std::nullopt;
  }
  Started started;
  started.error = answer->error;
  started.step = answer->step;
  if (answer->error != 0) return started;
  started.pid = answer->pid;
  started.pidfd = std::move(packet.fds[0]);
  return started;
}

void Template::Retire() {
  if (pid_ <= 0) return;
  PidfdSendSignal(pidfd_.get(), SIGKILL);  // and reaped with the other strangers
  Reaped();
}

void Template::End() {
  if (pid_ <= 0) return;
  PidfdSendSignal(pidfd_.get(), SIGKILL);
  pollfd dead{pidfd_.get(), POLLIN, 0};
  while (::poll(&dead, 1, kAnswerMs) < 0 && errno == EINTR) {
  }
  siginfo_t info{};
  ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
  Reaped();
}

void Template::Reaped() {
  if (!ready_) failed_ = true;
  pid_ = -1;
  pidfd_.reset();
  socket_.reset();
  ready_ = false;
}

}  // namespace puma::shim
