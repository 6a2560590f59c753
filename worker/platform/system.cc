#include "worker/platform/system.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace puma {
namespace {

int64_t Nanos(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view what) {
  return absl::Status(absl::ErrnoToStatusCode(error), absl::StrCat(std::string(what), ": ", strerror(error)));
}

int64_t MonotonicNanos() { return Nanos(CLOCK_MONOTONIC); }
int64_t BootNanos() { return Nanos(CLOCK_BOOTTIME); }
int64_t RealNanos() { return Nanos(CLOCK_REALTIME); }

absl::StatusOr<std::string> BootId() {
  static constexpr char kPath[] = "/proc/sys/kernel/random/boot_id";
  UniqueFd fd(::open(kPath, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", kPath));
  char text[64];
  ssize_t length;
  do length = ::read(fd.get(), text, sizeof text);
  while (length < 0 && errno == EINTR);
  if (length < 0) return ErrnoStatus(errno, absl::StrCat("read ", kPath));
  if (length > 0 && text[length - 1] == '\n') --length;
  return std::string(text, length);
}

namespace {
std::atomic<bool> membarrier_registered{false};
}  // namespace

bool RegisterMembarrier() {
  const bool granted = ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
  membarrier_registered.store(granted, std::memory_order_relaxed);
  return granted;
}

bool MembarrierRegistered() { return membarrier_registered.load(std::memory_order_relaxed); }

UniqueFd PidfdOpen(int pid) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

int PidfdSendSignal(int pidfd, int signal) { return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0 ? 0 : errno; }

int64_t ThreadId() { return ::syscall(SYS_gettid); }

void NameThread(std::string_view name) {
  char cut[16] = {};
  memcpy(cut, name.data(), std::min(name.size(), sizeof cut - 1));
  pthread_setname_np(pthread_self(), cut);
}

}  // namespace puma
