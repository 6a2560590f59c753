#ifndef PUMA_WORKER_PLATFORM_SIGNAL_NAME_H_
#define PUMA_WORKER_PLATFORM_SIGNAL_NAME_H_
// Signals by the names that people write.
#include <string>
#include <string_view>

namespace puma {

// "SIGTERM"; of real-time and unknown ones "signal 40".
std::string SignalName(int signal);
// Of "SIGTERM" or "TERM"; 0: there is none of that name.
int SignalNumber(std::string_view name);

}  // namespace puma
#endif  // PUMA_WORKER_PLATFORM_SIGNAL_NAME_H_
