#ifndef PUMA_SERVER_TELEMETRY_REVISION_H_
#define PUMA_SERVER_TELEMETRY_REVISION_H_
// Places in a ring of changes, as clients hold them: opaque texts of a random epoch of this host process and a counter.
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace puma::server {

// Immutable, so thread-safe.
class Revisions {
 public:
  Revisions();
  std::string Of(uint64_t counter) const;
  // The counter, if the ring still has what follows it: first <= counter <= end. OUT_OF_RANGE: too old, or of another host process.
  // INVALID_ARGUMENT: not a revision.
  absl::StatusOr<uint64_t> Find(const std::string& revision, uint64_t first, uint64_t end) const;

 private:
  const uint64_t epoch_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_REVISION_H_
