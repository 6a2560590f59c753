#include "server/rpc/status_codec.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace puma::server {

// google.rpc.Status is {int32 code = 1; string message = 2; repeated Any details = 3}.
std::string EncodeDetails(const absl::Status& status) {
  google::protobuf::UnknownFieldSet encoded;
  bool any_payload = false;
  encoded.AddVarint(1, static_cast<uint64_t>(status.raw_code()));
  encoded.AddLengthDelimited(2, std::string(status.message()));
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    google::protobuf::Any any;
    any.set_type_url(std::string(type_url));
    any.set_value(std::string(payload));
    encoded.AddLengthDelimited(3, any.SerializeAsString());
    any_payload = true;
  });
  std::string bytes;
  if (any_payload) encoded.SerializeToString(&bytes);
  return bytes;
}

// google.rpc.BadRequest is {repeated FieldViolation field_violations = 1 {string field = 1; string description = 2}}.
absl::Status BadField(absl::string_view field, absl::string_view description) {
  google::protobuf::UnknownFieldSet violation, bad_request;
  violation.AddLengthDelimited(1, std::string(field));
  violation.AddLengthDelimited(2, std::string(description));
  std::string bytes;
  violation.SerializeToString(&bytes);
  bad_request.AddLengthDelimited(1, bytes);
  bytes.clear();
  bad_request.SerializeToString(&bytes);
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(field, ": ", description));
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest", absl::Cord(bytes));
  return status;
}

}  // namespace puma::server
