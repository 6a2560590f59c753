#include "server/supervisor/event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "worker/platform/system.h"

namespace puma::server {

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus(errno, "epoll_create1");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoStatus(errno, "eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return ErrnoStatus(errno, "epoll_ctl");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

void EventLoop::Post(std::function<void()> work) {
  bool first;
  {
    MutexLock lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!first) return;  // the loop was woken for the earlier ones and has not looked yet
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wake_.get(), &one, sizeof(one));  // full means that it is awake
}

void EventLoop::Stop() {
  Post([this] {
    MutexLock lock(mutex_);
    stopped_ = true;
  });
}

void EventLoop::Watch(int fd, std::function<void()> ready) {
  watched_[fd] = std::make_shared<std::function<void()>>(std::move(ready));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void EventLoop::WatchWritable(int fd, bool on) {
  epoll_event event{};
  event.events = EPOLLIN | (on ? EPOLLOUT : 0u);
  event.data.fd = fd;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::RunPosted() {
  uint64_t count;
  [[maybe_unused]] ssize_t got = read(wake_.get(), &count, sizeof(count));
  std::vector<std::function<void()>> work;
  {
    MutexLock lock(mutex_);
    work.swap(posted_);
  }
  for (auto& f : work) f();
}

void EventLoop::Run(const std::function<int64_t()>& idle) {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
    }
    const int64_t due = idle();
    int timeout = -1;
    if (due != 0) timeout = static_cast<int>(std::clamp<int64_t>((due - BootNanos() + 999'999) / 1'000'000, 0, 60'000));
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, 64, timeout);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wake_.get()) {
        RunPosted();
        continue;
      }
      auto it = watched_.find(fd);  // an earlier callback may have unwatched it
      if (it == watched_.end()) continue;
      auto ready = it->second;
      (*ready)();
    }
  }
}

}  // namespace puma::server
