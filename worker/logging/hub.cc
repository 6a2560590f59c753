#include "worker/logging/hub.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "worker/buffer/segment.h"
#include "worker/logging/hub_child.h"
#include "worker/logging/hub_layout.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"
#include "worker/platform/system.h"

namespace puma::logging {
namespace {

constexpr size_t kRound = 256;  // records between two acknowledgements

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// A segment that the child will map writable and this process reads only.
absl::StatusOr<Segment> MakeRing(size_t bytes, size_t reserve, uint32_t slot, UniqueFd& for_child) {
  auto made = Segment::Create("puma-log", bytes, Seals::kSize, reserve);
  if (!made.ok()) return made.status();
  auto& header = *reinterpret_cast<HubRingHeader*>(made->data());
  header.magic = kHubRingMagic;
  header.version = kHubVersion;
  header.slot = slot;
  for_child = Duplicate(made->fd());
  UniqueFd own = made->TakeFd();
  if (!for_child.valid() || !own.valid()) return absl::ResourceExhaustedError("no descriptors for a child's log");
  auto mapped = Segment::MapReadOnly(std::move(own), Seals::kSize, bytes);
  if (mapped.ok()) mapped->TakeFd();  // the mapping is enough
  return mapped;
}

}  // namespace

struct Hub::Impl {
  HubOptions options;
  HubRingMap map{};
  Segment page;
  UniqueFd doorbell;
  std::atomic<bool> stopping{false};
  std::thread thread;
  std::optional<LevelListener> listener;

  Mutex added_mutex;  // after `mutex`; never held while somebody writes
  std::vector<std::unique_ptr<HubChild>> added PUMA_GUARDED_BY(added_mutex);
  std::vector<bool> taken PUMA_GUARDED_BY(added_mutex);
  uint64_t last_token PUMA_GUARDED_BY(added_mutex) = 0;

  Mutex mutex;  // held while records are on their way from the rings to the output
  std::vector<std::unique_ptr<HubChild>> children PUMA_GUARDED_BY(mutex);

  HubPage& header() { return *reinterpret_cast<HubPage*>(page.data()); }
  absl::Status Start();
  std::optional<uint32_t> TakeSlot();
  void Loop();
  void Sleep();
  void Welcome() PUMA_REQUIRES(mutex);
  bool AnythingNew();
  size_t DrainRound() PUMA_REQUIRES(mutex);
  void Finish(HubChild& child) PUMA_REQUIRES(mutex);
};

absl::Status Hub::Impl::Start() {
  map = MapOfHubRing(HubRingOptions(options.ring_records, options.ring_bytes));
  if (map.bytes == 0) return RingWriter::BytesNeeded(HubRingOptions(options.ring_records, options.ring_bytes)).status();
  auto made = Segment::Create("puma-log-hub", kHubPageBytes, Seals::kOneWriter, sizeof(HubPage));
  if (!made.ok()) return made.status();
  page = *std::move(made);
  doorbell = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell.valid()) return ErrnoStatus(errno, "eventfd");
  HubPage& h = header();
  h.version = kHubVersion;
  h.ring_records = options.ring_records;
  h.ring_bytes = options.ring_bytes;
  h.magic = kHubMagic;
  {
    MutexLock lock(added_mutex);
    taken.resize(kHubSlots);
  }
  if (options.levels_changed) listener.emplace(options.levels_changed);
  thread = std::thread([this] {
    NameThread("puma-log");
    Loop();
  });
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Hub>> Hub::Create(HubOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  if (absl::Status s = impl->Start(); !s.ok()) return s;
  return std::unique_ptr<Hub>(new Hub(std::move(impl)));
}

Hub::Hub(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Hub::~Hub() {
  impl_->listener.reset();
  impl_->stopping.store(true, std::memory_order_release);
  const uint64_t one = 1;
  (void)!::write(impl_->doorbell.get(), &one, sizeof(one));
  impl_->thread.join();
  MutexLock lock(impl_->mutex);
  impl_->Welcome();
  while (impl_->DrainRound() > 0) {
  }
  for (auto& child : impl_->children) impl_->Finish(*child);
}

std::optional<uint32_t> Hub::Impl::TakeSlot() {
  MutexLock lock(added_mutex);
  const auto is_free = std::find(taken.begin(), taken.end(), false);
  if (is_free == taken.end()) return std::nullopt;
  *is_free = true;
  return static_cast<uint32_t>(is_free - taken.begin());
}

absl::StatusOr<Hub::Child> Hub::AddChild(std::string_view name) {
  const std::optional<uint32_t> slot = impl_->TakeSlot();
  if (!slot.has_value()) return absl::ResourceExhaustedError("the log has no place for another child");
  Child child;
  child.descriptors.page = Duplicate(impl_->page.fd());
  child.descriptors.doorbell = Duplicate(impl_->doorbell.get());
  auto ring = MakeRing(impl_->map.bytes, impl_->map.sources, *slot, child.descriptors.ring);
  const bool all = child.descriptors.page.valid() && child.descriptors.doorbell.valid();
  MutexLock lock(impl_->added_mutex);
  if (!ring.ok() || !all) {
    impl_->taken[*slot] = false;
    return ring.ok() ? absl::ResourceExhaustedError("no descriptors for a child's log") : ring.status();
  }
  Word64& position = SlotsOf(impl_->page.data())[*slot].position;
  position.store(0, std::memory_order_relaxed);
  child.token = ++impl_->last_token;
  impl_->added.push_back(std::make_unique<HubChild>(child.token, *slot, name, *std::move(ring), impl_->map, position));
  return child;
}

void Hub::ChildEnded(uint64_t token) {
  MutexLock lock(impl_->mutex);
  impl_->Welcome();
  const auto at = std::find_if(impl_->children.begin(), impl_->children.end(), [&](const auto& child) { return child->token() == token; });
  if (at == impl_->children.end()) return;
  impl_->Finish(**at);
  {
    MutexLock added_lock(impl_->added_mutex);
    impl_->taken[(*at)->slot()] = false;
  }
  impl_->children.erase(at);
}

void Hub::Impl::Welcome() {
  MutexLock lock(added_mutex);
  for (auto& child : added) children.push_back(std::move(child));
  added.clear();
}

// The rest of a child that writes no more (or will not be heard any more).
void Hub::Impl::Finish(HubChild& child) {
  while (child.Peek()) child.Deliver();
  child.ReportDropped();
  FlushSink();
  child.Acknowledge();
}

// Up to kRound records, the earliest first of those that wait.
size_t Hub::Impl::DrainRound() {
  size_t n = 0;
  for (; n < kRound; ++n) {
    HubChild* first = nullptr;
    for (auto& child : children) {
      if (child->Peek() && (first == nullptr || child->time() < first->time())) first = child.get();
    }
    if (first == nullptr) break;
    first->Deliver();
  }
  if (n == 0) return 0;
  FlushSink();
  for (auto& child : children) child->Acknowledge();
  return n;
}

bool Hub::Impl::AnythingNew() {
  MutexLock lock(mutex);
  Welcome();
  return std::any_of(children.begin(), children.end(), [](auto& child) { return child->Peek(); });
}

void Hub::Impl::Sleep() {
  pollfd bell = {doorbell.get(), POLLIN, 0};
  const uint32_t awake = header().sleeping.load(std::memory_order_relaxed);
  header().sleeping.store(awake + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // the sleep, then the look; a child: the record, then the question (RingIfAsleep)
  if (!AnythingNew() && !stopping.load(std::memory_order_acquire)) ::poll(&bell, 1, -1);
  header().sleeping.store(awake + 2, std::memory_order_relaxed);
  uint64_t rung;
  (void)!::read(doorbell.get(), &rung, sizeof(rung));
}

void Hub::Impl::Loop() {
  const int linger_ms = static_cast<int>(absl::ToInt64Milliseconds(options.linger));
  bool lingered = true;
  while (!stopping.load(std::memory_order_acquire)) {
    size_t n;
    {
      MutexLock lock(mutex);
      Welcome();
      n = DrainRound();
    }
    if (n > 0) {
      lingered = n == kRound;  // there is more: at once
      if (lingered) continue;
    }
    if (n == 0 && lingered) {
      Sleep();
    } else {
      lingered = true;
      pollfd bell = {doorbell.get(), POLLIN, 0};
      ::poll(&bell, 1, linger_ms);
    }
  }
}

}  // namespace puma::logging
