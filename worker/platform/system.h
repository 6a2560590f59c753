#ifndef PUMA_WORKER_PLATFORM_SYSTEM_H_
#define PUMA_WORKER_PLATFORM_SYSTEM_H_
// System calls that have no wrapper in libc, and errno as a status.
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/platform/unique_fd.h"

namespace puma {

// "open /x: No such file or directory", with the canonical code of `error` (an errno).
absl::Status ErrnoStatus(int error, std::string_view what);

// CLOCK_MONOTONIC in nanoseconds: the same clock in all processes of the machine.
int64_t MonotonicNanos();
// The same as an absl::Time: what deadlines are on, for nobody sets this clock.
inline absl::Time MonotonicTime() { return absl::FromUnixNanos(MonotonicNanos()); }
// CLOCK_BOOTTIME: goes on while the machine sleeps; with the boot id it orders events over restarts of a process.
int64_t BootNanos();
int64_t RealNanos();
absl::StatusOr<std::string> BootId();

// Registers this process for MEMBARRIER_CMD_GLOBAL_EXPEDITED. The first act of main in every process that maps lanes. False: not available.
bool RegisterMembarrier();
bool MembarrierRegistered();  // it was asked for, and granted

UniqueFd PidfdOpen(int pid);
int PidfdSendSignal(int pidfd, int signal);  // 0 or errno

// The thread's id as the kernel and logs have it.
int64_t ThreadId();
// Names the calling thread (cut at 15 bytes).
void NameThread(std::string_view name);

}  // namespace puma
#endif  // PUMA_WORKER_PLATFORM_SYSTEM_H_
