#include "puma/client/details.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include "absl/strings/cord.h"
#include "client/lib/status_details.h"

namespace puma::client {
namespace {

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

constexpr char kBadRequest[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";

// Calls f(bytes) for each length-delimited field of that number.
template <class F>
void ForEach(const std::string& message, int number, F f) {
  UnknownFieldSet fields;
  if (!fields.ParseFromString(message)) return;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    if (field.number() == number && field.type() == UnknownField::TYPE_LENGTH_DELIMITED) f(field.length_delimited());
  }
}

std::string Payload(const absl::Status& status, const char* type_url) {
  const auto payload = status.GetPayload(type_url);
  return payload ? std::string(*payload) : "";
}

}  // namespace

// google.rpc.Status is {int32 code = 1; string message = 2; repeated Any details = 3}.
void AddDetails(const std::string& encoded, absl::Status& status) {
  ForEach(encoded, 3, [&](const std::string& bytes) {
    google::protobuf::Any any;
    if (any.ParseFromString(bytes)) status.SetPayload(any.type_url(), absl::Cord(any.value()));
  });
}

// google.rpc.BadRequest is {repeated FieldViolation field_violations = 1 {string field = 1; string description = 2}}.
std::vector<FieldViolation> FieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  ForEach(Payload(status, kBadRequest), 1, [&](const std::string& bytes) {
    FieldViolation violation;
    ForEach(bytes, 1, [&](const std::string& field) { violation.field = field; });
    ForEach(bytes, 2, [&](const std::string& description) { violation.description = description; });
    violations.push_back(std::move(violation));
  });
  return violations;
}

// google.rpc.ErrorInfo is {string reason = 1; string domain = 2; map<string, string> metadata = 3}.
std::string ErrorReason(const absl::Status& status) {
  std::string reason;
  ForEach(Payload(status, kErrorInfo), 1, [&](const std::string& bytes) { reason = bytes; });
  return reason;
}

}  // namespace puma::client
