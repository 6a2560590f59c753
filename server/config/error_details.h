#ifndef PUMA_SERVER_CONFIG_ERROR_DETAILS_H_
#define PUMA_SERVER_CONFIG_ERROR_DETAILS_H_
// google.rpc details as payloads of an absl::Status ("type.googleapis.com/google.rpc.BadRequest", ...), which the rpc room sends along.
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"

namespace puma::server {

// Gathers all mistakes of a request. Thread-compatible.
class FieldViolations {
 public:
  // `field` as "tasks.loader.inputs.frames"; `description` says what is wrong and what would be right.
  void Add(const std::string& field, const std::string& description);
  void Add(const FieldViolations& others);
  bool empty() const { return bad_.field_violations().empty(); }
  // OK when there are none, else INVALID_ARGUMENT with a BadRequest; the message begins with `what`, as "pipeline edges", and tells all.
  absl::Status ToStatus(const std::string& what) const;

 private:
  google::rpc::BadRequest bad_;
};

// The violations that a status carries; empty when none.
std::vector<google::rpc::BadRequest::FieldViolation> FieldViolationsOf(const absl::Status& status);

// Each returns `status` with one more detail. `reason` and `type` are UPPER_SNAKE_CASE; the domain is "puma".
absl::Status WithErrorInfo(absl::Status status, const std::string& reason, const std::map<std::string, std::string>& metadata = {});
absl::Status WithRetryInfo(absl::Status status, absl::Duration delay);
absl::Status WithPreconditionFailure(absl::Status status, const std::string& type, const std::string& subject,
                                     const std::string& description);

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_ERROR_DETAILS_H_
