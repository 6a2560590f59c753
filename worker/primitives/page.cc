#include "worker/primitives/page.h"

#include <fcntl.h>

#include <cerrno>
#include <new>

#include "worker/platform/system.h"

namespace puma::internal {
namespace {

constexpr uint64_t kMagic = 0x6c6c6543'00616d50;  // "Pma\0Cell"

size_t BytesFor(uint32_t waiters) { return sizeof(PageLayout) + waiters * sizeof(Waiter); }

void MakeMutex(pthread_mutex_t& mutex) {
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  ::pthread_mutex_init(&mutex, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
}

}  // namespace

absl::StatusOr<std::shared_ptr<PrimitivePage>> PrimitivePage::Create(bool shared, uint32_t waiters, uint64_t cell) {
  std::shared_ptr<PrimitivePage> page(new PrimitivePage);
  const size_t bytes = BytesFor(waiters);
  if (shared) {
    auto segment = Segment::Create("puma-primitive", bytes, Seals::kSize, bytes);
    if (!segment.ok()) return segment.status();
    page->segment_ = *std::move(segment);
    page->layout_ = new (page->segment_.data()) PageLayout();
  } else {
    page->layout_ = new (::operator new (bytes, std::align_val_t{alignof(PageLayout)})) PageLayout();
  }
  page->Format(waiters, cell);
  return page;
}

void PrimitivePage::Format(uint32_t waiters, uint64_t cell) {
  layout_->waiters = waiters_ = waiters;
  layout_->cell.store(cell, std::memory_order_relaxed);
  MakeMutex(layout_->mutex);
  for (Waiter& waiter : this->waiters()) {
    new (&waiter) Waiter();
    MakeMutex(waiter.alive);
  }
  layout_->magic = kMagic;
}

absl::StatusOr<std::shared_ptr<PrimitivePage>> PrimitivePage::Map(UniqueFd fd) {
  auto segment = Segment::MapWritable(std::move(fd), sizeof(PageLayout));
  if (!segment.ok()) return segment.status();
  std::shared_ptr<PrimitivePage> page(new PrimitivePage);
  page->segment_ = *std::move(segment);
  page->layout_ = reinterpret_cast<PageLayout*>(page->segment_.data());
  page->waiters_ = page->layout_->waiters;
  if (page->layout_->magic != kMagic || page->waiters_ > kWaiters || BytesFor(page->waiters_) > page->segment_.size())
    return absl::DataLossError("a segment that is no primitive");
  return page;
}

// The mutexes of a shared page are not destroyed: other processes may use them, and they own nothing.
PrimitivePage::~PrimitivePage() {
  if (segment_.data() != nullptr || layout_ == nullptr) return;
  for (Waiter& waiter : waiters()) ::pthread_mutex_destroy(&waiter.alive);
  ::pthread_mutex_destroy(&layout_->mutex);
  ::operator delete (layout_, std::align_val_t{alignof(PageLayout)});
}

absl::StatusOr<UniqueFd> PrimitivePage::Duplicate() const {
  UniqueFd fd(::fcntl(segment_.fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "pass a primitive on");
  return fd;
}

}  // namespace puma::internal
