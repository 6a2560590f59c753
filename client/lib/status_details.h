#ifndef PUMA_CLIENT_LIB_STATUS_DETAILS_H_
#define PUMA_CLIENT_LIB_STATUS_DETAILS_H_
#include <string>

#include "absl/status/status.h"

namespace puma::client {

// Adds the details of an encoded google.rpc.Status (what grpc-status-details-bin holds) to `status` as payloads.
void AddDetails(const std::string& encoded, absl::Status& status);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_STATUS_DETAILS_H_
