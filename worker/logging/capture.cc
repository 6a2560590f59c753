#include "worker/logging/capture.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "worker/logging/crash_handler.h"
#include "worker/platform/system.h"

namespace puma::logging {

Capture::Capture(UniqueFd standard_output, UniqueFd standard_error, OnLine on_line)
    : on_line_(std::move(on_line)),
      ends_{{std::move(standard_output), Stream::kStdout, {}}, {std::move(standard_error), Stream::kStderr, {}}},
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Capture::~Capture() { Stop(); }

absl::Status Capture::Start() {
  if (!wake_.valid()) return ErrnoStatus(errno, "eventfd");
  thread_ = std::thread([this] {
    NameThread("puma-capture");
    Loop();
  });
  return absl::OkStatus();
}

void Capture::Stop() {
  MutexLock lock(stop_mutex_);
  if (std::exchange(stopped_, true)) return;
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
  for (End& end : ends_) {
    while (Drain(end)) {
    }
    Flush(end);
  }
}

void Capture::Loop() {
  bool open = true;
  while (open) {
    pollfd polled[3] = {{wake_.get(), POLLIN, 0}, {ends_[0].fd.get(), POLLIN, 0}, {ends_[1].fd.get(), POLLIN, 0}};
    if (poll(polled, 3, -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    open = false;
    for (int i = 0; i < 2; ++i) {
      if (polled[i + 1].revents != 0 && !Drain(ends_[i]) && (polled[i + 1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        ends_[i].fd.reset();
      open = open || ends_[i].fd.valid();
    }
  }
}

// One read, of what is there now: the descriptor is shared with others, so it stays blocking.
bool Capture::Drain(End& end) {
  const ReadingTurn turn;
  if (!turn) return false;
  pollfd polled = {end.fd.get(), POLLIN, 0};
  if (!end.fd.valid() || poll(&polled, 1, 0) <= 0 || (polled.revents & POLLIN) == 0) return false;
  char buffer[16 << 10];
  const ssize_t n = read(end.fd.get(), buffer, sizeof(buffer));
  if (n <= 0) return false;
  Feed(end, {buffer, static_cast<size_t>(n)});
  return true;
}

void Capture::Feed(End& end, std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const std::string_view part = bytes.substr(0, newline);
    if (end.line.empty() && newline != std::string_view::npos && part.size() <= kMaxLine) {
      on_line_(end.stream, part);  // the usual case: no copy
    } else {
      end.line += part;
      while (end.line.size() > kMaxLine) {
        on_line_(end.stream, std::string_view(end.line).substr(0, kMaxLine));
        end.line.erase(0, kMaxLine);
      }
      if (newline != std::string_view::npos) {
        on_line_(end.stream, end.line);
        end.line.clear();
      }
    }
    if (newline == std::string_view::npos) return;
    bytes.remove_prefix(newline + 1);
  }
}

void Capture::Flush(End& end) {
  if (!end.line.empty()) on_line_(end.stream, end.line);
  end.line.clear();
}

}  // namespace puma::logging
