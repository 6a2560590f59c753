#include "server/rpc/stream_limit.h"

#include "absl/strings/str_cat.h"

namespace puma::server {

absl::StatusOr<std::shared_ptr<void>> StreamLimit::Take(const std::shared_ptr<StreamLimit>& limit, const std::string& connection) {
  {
    MutexLock lock(limit->mutex_);
    if (limit->open_ >= limit->in_all_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the host serves ", limit->in_all_, " streams already; end some, or try again later"));
    }
    size_t& open = limit->by_connection_[connection];
    if (open >= limit->per_connection_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("this connection has ", open, " open streams, the most that one may have; end some, or open another connection"));
    }
    ++open;
    ++limit->open_;
  }
  // Any non-null pointer will do: the deleter is what counts.
  return std::shared_ptr<void>(limit.get(), [limit, connection](void*) { limit->GiveBack(connection); });
}

void StreamLimit::GiveBack(const std::string& connection) {
  MutexLock lock(mutex_);
  --open_;
  const auto it = by_connection_.find(connection);
  if (--it->second == 0) by_connection_.erase(it);
}

}  // namespace puma::server
