#ifndef PUMA_SERVER_RPC_STREAM_LIMIT_H_
#define PUMA_SERVER_RPC_STREAM_LIMIT_H_
// How many streams may be open. HTTP/2's own limit makes a client hang without a word; this one lies below it and says so.
#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe. Outlived by none of its permits (they share it).
class StreamLimit {
 public:
  StreamLimit(size_t per_connection, size_t in_all) : per_connection_(per_connection), in_all_(in_all) {}

  // One stream of `connection`, given back when the permit goes. RESOURCE_EXHAUSTED says which limit was reached.
  static absl::StatusOr<std::shared_ptr<void>> Take(const std::shared_ptr<StreamLimit>& limit, const std::string& connection);

 private:
  void GiveBack(const std::string& connection) PUMA_EXCLUDES(mutex_);

  const size_t per_connection_;
  const size_t in_all_;
  Mutex mutex_;
  size_t open_ PUMA_GUARDED_BY(mutex_) = 0;
  std::map<std::string, size_t> by_connection_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_STREAM_LIMIT_H_
