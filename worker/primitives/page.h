#ifndef PUMA_WORKER_PRIMITIVES_PAGE_H_
#define PUMA_WORKER_PRIMITIVES_PAGE_H_
// Where a primitive lies: a few words and mutexes, in memory of this process or in a segment that all of a program's processes map. The one
// kind of memory with several writers: words that are lock-free, and what a robust mutex protects.
#include <pthread.h>

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "worker/buffer/layout.h"
#include "worker/buffer/segment.h"
#include "worker/platform/unique_fd.h"

namespace puma::internal {

// One thread that waits for a condition. Free if ticket is 0; changed only by who holds the page's mutex.
struct Waiter {
  pthread_mutex_t alive;  // held by the waiting thread: the kernel says when it has died
  uint64_t ticket;        // who came first is woken first
  Word32 notified;        // what it sleeps on
};

struct PageLayout {
  uint64_t magic;
  uint32_t waiters;  // how many follow
  alignas(64) Word64 cell;
  Word32 word;  // of events
  alignas(64) pthread_mutex_t mutex;
  uint64_t last_ticket;
};

class PrimitivePage {
 public:
  static constexpr uint32_t kWaiters = 256;  // of a condition
  // `shared`: other processes may map it.
  static absl::StatusOr<std::shared_ptr<PrimitivePage>> Create(bool shared, uint32_t waiters, uint64_t cell);
  static absl::StatusOr<std::shared_ptr<PrimitivePage>> Map(UniqueFd fd);  // DATA_LOSS: it is none
  ~PrimitivePage();
  PrimitivePage(const PrimitivePage&) = delete;
  PrimitivePage& operator=(const PrimitivePage&) = delete;

  PageLayout& layout() { return *layout_; }
  std::span<Waiter> waiters() { return {reinterpret_cast<Waiter*>(layout_ + 1), waiters_}; }
  absl::StatusOr<UniqueFd> Duplicate() const;  // of a shared one, for another process

 private:
  PrimitivePage() = default;
  void Format(uint32_t waiters, uint64_t cell);
  Segment segment_;  // empty: on the heap
  PageLayout* layout_ = nullptr;
  uint32_t waiters_ = 0;  // as checked: others may write what is in the page
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_PRIMITIVES_PAGE_H_
