#ifndef PUMA_WORKER_ENVIRONMENT_PAGE_TABLE_H_
#define PUMA_WORKER_ENVIRONMENT_PAGE_TABLE_H_
// Which primitives an environment has, by name, in the process that made it. Thread-safe.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "worker/environment/orders.h"
#include "worker/platform/mutex.h"

namespace puma::internal {

class PageTable {
 public:
  // `party`: whose end is the name's end; null: this process's own.
  absl::StatusOr<uint64_t> Keep(const Party* party, uint64_t maker, std::string_view name, KeptPage page) PUMA_EXCLUDES(mutex_);
  absl::StatusOr<KeptPage> Find(uint64_t maker, std::string_view name) PUMA_EXCLUDES(mutex_);
  void Drop(const Party* party, uint64_t page) PUMA_EXCLUDES(mutex_);
  void PartyGone(const Party& party) PUMA_EXCLUDES(mutex_);

 private:
  struct Entry {
    const Party* party;
    uint64_t maker;
    std::string name;
    KeptPage page;
  };
  const Entry* FindNamed(uint64_t maker, std::string_view name) const PUMA_REQUIRES(mutex_);
  Mutex mutex_;
  uint64_t last_ PUMA_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Entry> entries_ PUMA_GUARDED_BY(mutex_);
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_PAGE_TABLE_H_
