#include "worker/environment/broker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "worker/platform/system.h"

namespace puma::internal {

Broker::Broker(std::function<void(int64_t)> tick) : tick_(std::move(tick)), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
Broker::~Broker() { Stop(); }

void Broker::RingBell() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &one, sizeof one);
}

void Broker::Begin() {
  if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { Run(); });
  RingBell();
}

void Broker::WakeAt(int64_t monotonic_ns) {
  MutexLock lock(mutex_);
  if (wake_at_ == 0 || monotonic_ns < wake_at_) wake_at_ = monotonic_ns;
  Begin();
}

void Broker::Add(std::shared_ptr<Served> served) {
  MutexLock lock(mutex_);
  const int socket = served->socket();
  served_[socket] = std::move(served);
  Begin();
}

void Broker::LookAgain() { RingBell(); }

void Broker::Post(std::function<void()> act) {
  MutexLock lock(mutex_);
  posted_.push_back(std::move(act));
  Begin();
}

bool Broker::CallPosted(const std::atomic<bool>& left) {
  std::vector<std::function<void()>> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (auto& act : posted) {
    act();
    act = nullptr;
    if (left.load(std::memory_order_relaxed)) return false;
  }
  return true;
}

void Broker::Stop() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    thread.swap(thread_);
    RingBell();
  }
  if (!thread.joinable()) return;
  if (thread.get_id() != std::this_thread::get_id()) return thread.join();
  left_->store(true, std::memory_order_relaxed);
  thread.detach();
}

// Milliseconds until the clock must be looked at, rounded up; -1: never.
int Broker::TimeLeft() {
  MutexLock lock(mutex_);
  if (wake_at_ == 0) return -1;
  const int64_t left = wake_at_ - MonotonicNanos();
  return left <= 0 ? 0 : static_cast<int>(std::min<int64_t>((left + 999'999) / 1'000'000, 3'600'000));
}

void Broker::Run() {
  NameThread("puma-broker");
  const std::shared_ptr<std::atomic<bool>> left = left_;
  std::vector<pollfd> polled;
  std::vector<std::shared_ptr<Served>> parties;
  while (true) {
    polled.assign(1, {bell_.get(), POLLIN, 0});
    parties.clear();
    {
      MutexLock lock(mutex_);
      if (stopping_) break;
      for (auto& [socket, served] : served_) parties.push_back(served);
    }
    for (auto& served : parties)
      polled.push_back({served->socket(), static_cast<short>(POLLIN | (served->wants_to_send() ? POLLOUT : 0)), 0});
    ::poll(polled.data(), polled.size(), TimeLeft());
    uint64_t rung;
    if (polled[0].revents != 0) [[maybe_unused]]
      const ssize_t read = ::read(bell_.get(), &rung, sizeof rung);
    for (size_t i = 0; i < parties.size(); ++i) {
      if (polled[i + 1].revents == 0 || parties[i]->Serve(polled[i + 1].revents)) continue;
      {
        MutexLock lock(mutex_);
        served_.erase(parties[i]->socket());
      }
      parties[i]->Over();
      parties[i] = nullptr;  // perhaps the last who knew the environment
      if (left->load(std::memory_order_relaxed)) return;
    }
    if (!CallPosted(*left)) return;
    const int64_t now = MonotonicNanos();
    bool due;
    {
      MutexLock lock(mutex_);
      due = wake_at_ != 0 && wake_at_ <= now;
      if (due) wake_at_ = 0;
    }
    if (due) tick_(now);
  }
  if (!CallPosted(*left)) return;
  MutexLock lock(mutex_);
  served_.clear();
}

}  // namespace puma::internal
