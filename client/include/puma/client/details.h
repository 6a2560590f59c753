#ifndef PUMA_CLIENT_DETAILS_H_
#define PUMA_CLIENT_DETAILS_H_
// What a host's error says beyond code and message. The details of google.rpc.Status are payloads of the absl::Status, by type URL.
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace puma::client {

// A field of the request that is wrong, as in google.rpc.BadRequest.
struct FieldViolation {
  std::string field;        // "spec.tasks.loader.inputs.frames"
  std::string description;  // what is wrong and what would be right
};

// All of them; empty when the status has none.
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// The reason of google.rpc.ErrorInfo, an UPPER_SNAKE_CASE word for programs; "" when the status has none.
std::string ErrorReason(const absl::Status& status);

}  // namespace puma::client
#endif  // PUMA_CLIENT_DETAILS_H_
