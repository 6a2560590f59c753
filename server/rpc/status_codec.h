#ifndef PUMA_SERVER_RPC_STATUS_CODEC_H_
#define PUMA_SERVER_RPC_STATUS_CODEC_H_
// absl::Status on its way to the wire: code, message, and the payloads as google.rpc.Status details.
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace puma::server {

// The content of grpc-status-details-bin: a google.rpc.Status whose details are the payloads of `status`. "" when it has none.
std::string EncodeDetails(const absl::Status& status);

// A grpc::Status (or what has its constructor) from `status`. The code's numbers are the same.
template <class GrpcStatus>
GrpcStatus ToGrpc(const absl::Status& status) {
  if (status.ok()) return GrpcStatus();
  using Code = decltype(GrpcStatus().error_code());
  return GrpcStatus(static_cast<Code>(status.raw_code()), std::string(status.message()), EncodeDetails(status));
}

// INVALID_ARGUMENT about one field of the request, with a google.rpc.BadRequest.
absl::Status BadField(absl::string_view field, absl::string_view description);

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_STATUS_CODEC_H_
