#ifndef PUMA_CLIENT_LIB_CREDENTIALS_H_
#define PUMA_CLIENT_LIB_CREDENTIALS_H_
// What a client shows a host, from its options.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "puma/client/client.h"

namespace puma::client {

struct Credentials {
  std::shared_ptr<grpc::ChannelCredentials> channel;
  std::string authorization;  // header of each call; "": none
};

// INVALID_ARGUMENT: options that don't fit together or to the target. NOT_FOUND, PERMISSION_DENIED: a file can't be read.
absl::StatusOr<Credentials> ReadCredentials(const std::string& target, const Options& options);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_CREDENTIALS_H_
