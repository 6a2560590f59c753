#ifndef EDGES_RATE_H_
#define EDGES_RATE_H_
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

namespace edges {

// The time between two frames: "30Hz", "30" and "0.5Hz" are frames a second; "0" is as fast as they are taken (a zero duration).
// INVALID_ARGUMENT: anything else.
absl::StatusOr<absl::Duration> ParseRate(const std::string& text);

}  // namespace edges
#endif  // EDGES_RATE_H_
