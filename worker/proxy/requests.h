#ifndef PUMA_WORKER_PROXY_REQUESTS_H_
#define PUMA_WORKER_PROXY_REQUESTS_H_
// What facades and a proxy say to each other: requests in the proxy's buffer, answers in a buffer of the facade's own.
#include <puma/environment.h>

#include <cstdint>
#include <string>

#include "worker/environment/facts_bytes.h"

namespace puma::internal {

// The first of each facade, the rest, and {objects...} that are let go of.
enum class Request : uint8_t { kHello = 1, kCall, kRelease };

inline constexpr size_t kRequestBytes = (1 << 20) + (64 << 10);  // the largest request or answer
inline constexpr size_t kRequestsWaiting = 64;                   // of each facade

inline BufferOptions RequestBuffer() {
  BufferOptions options;
  options.capacity = kRequestsWaiting;
  options.capacity_bytes = 2 * kRequestBytes;
  options.on_full = OnFull::kError;
  options.warn_on_discard = false;  // its end is how the other side learns of ours
  return options;
}

}  // namespace puma::internal
#endif  // PUMA_WORKER_PROXY_REQUESTS_H_
