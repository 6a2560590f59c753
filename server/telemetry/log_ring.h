#ifndef PUMA_SERVER_TELEMETRY_LOG_RING_H_
#define PUMA_SERVER_TELEMETRY_LOG_RING_H_
// The newest records in memory, in chunks that never change once they are in: readers copy pointers under the lock and look without it.
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "server/telemetry/log_store.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// Thread-safe.
class LogRing {
 public:
  struct Chunk {
    uint64_t first = 0;  // number of its first record
    std::shared_ptr<const std::vector<LogLine>> lines;
    size_t bytes = 0;
    uint64_t end() const { return first + lines->size(); }
  };
  explicit LogRing(size_t bytes) : limit_(bytes) {}

  // Forgets the oldest chunks above the limit, but never the newest one.
  void Append(std::vector<LogLine> lines);

  // At most `at_most` chunks from the one that holds record `next` on (or from the oldest); empty: nothing new.
  std::vector<Chunk> From(uint64_t next, size_t at_most) const;
  uint64_t first() const;
  uint64_t end() const;

 private:
  void Push(std::vector<LogLine> lines, size_t bytes) PUMA_REQUIRES(mutex_);
  const size_t limit_;
  mutable Mutex mutex_;
  std::deque<Chunk> chunks_ PUMA_GUARDED_BY(mutex_);
  uint64_t end_ PUMA_GUARDED_BY(mutex_) = 0;
  size_t bytes_ PUMA_GUARDED_BY(mutex_) = 0;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_LOG_RING_H_
