#include "worker/buffer/task_page.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace puma {
namespace {

constexpr uint32_t kMaxForeignSlots = 1024;
constexpr uint64_t kMostHanded = uint64_t{1} << 20;  // no ring holds more messages

size_t PageBytes(uint32_t slots) { return sizeof(PageHeader) + slots * sizeof(PageSlot); }

}  // namespace

absl::StatusOr<TaskPage> TaskPage::Create(uint64_t task, uint64_t run, std::span<const ReadState> resume) {
  if (resume.size() > kSlots) return absl::ResourceExhaustedError("task page: more lanes to resume than it has slots");
  const size_t bytes = PageBytes(kSlots);
  auto segment = Segment::Create("puma-page", bytes, Seals::kOneWriter, bytes);
  if (!segment.ok()) return segment.status();
  TaskPage page;
  page.segment_ = *std::move(segment);
  page.header_ = reinterpret_cast<PageHeader*>(page.segment_.data());
  page.slots_ = reinterpret_cast<PageSlot*>(page.segment_.data() + sizeof(PageHeader));
  page.header_->constants = {.magic = kPageMagic, .version = kLayoutVersion, .slots = kSlots, .task = task, .run = run};
  for (size_t i = 0; i < resume.size(); ++i) {
    PageSlot& slot = page.slots_[i];
    slot.next.store(resume[i].next, std::memory_order_relaxed);
    slot.deliveries.store(resume[i].deliveries, std::memory_order_relaxed);
    slot.handed.store(resume[i].next + resume[i].handed, std::memory_order_relaxed);
    slot.position.store(resume[i].next, std::memory_order_relaxed);
    slot.backlog.store(resume[i].backlog, std::memory_order_relaxed);
    slot.redelivered.store(resume[i].redelivered, std::memory_order_relaxed);
    slot.missed.store(resume[i].missed, std::memory_order_relaxed);
    slot.tag.store(resume[i].lane_id, std::memory_order_release);  // with RingWriter's look at the tag: the position is set before
  }
  return page;
}

absl::StatusOr<TaskPageView> TaskPageView::Open(UniqueFd fd) {
  auto segment = Segment::MapReadOnly(std::move(fd), Seals::kOneWriter, sizeof(PageHeader));
  if (!segment.ok()) return segment.status();
  TaskPageView view;
  view.segment_ = *std::move(segment);
  view.segment_.TakeFd();  // closed: the mapping is enough
  view.header_ = reinterpret_cast<const PageHeader*>(view.segment_.data());
  memcpy(&view.constants_, &view.header_->constants, sizeof view.constants_);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // from here on only the copy
  const PageConstants& c = view.constants_;
  if (c.magic != kPageMagic) return absl::DataLossError("task page: no task page (wrong magic)");
  if (c.version != kLayoutVersion) return absl::DataLossError("task page: a layout version that this build does not know");
  if (c.slots > kMaxForeignSlots || PageBytes(c.slots) > view.segment_.size())
    return absl::DataLossError("task page: more slots than memory");
  view.slots_ = reinterpret_cast<const PageSlot*>(view.segment_.data() + sizeof(PageHeader));
  return view;
}

std::optional<ReadState> TaskPageView::StateIn(const PageSlot& slot) const {
  const uint64_t tag = slot.tag.load(std::memory_order_acquire);
  if (tag == 0) return std::nullopt;
  const uint64_t next = slot.next.load(std::memory_order_acquire);
  const uint64_t in_hand = slot.in_hand.load(std::memory_order_acquire);
  uint64_t deliveries = slot.deliveries.load(std::memory_order_relaxed);
  uint64_t handed = slot.handed.load(std::memory_order_relaxed) - next;
  if (handed > kMostHanded) handed = 0;  // long ago, or a lie
  if (in_hand == next + 1 && in_hand != 0) {
    ++deliveries;  // died in its handler, or while it was held
    handed = std::max<uint64_t>(handed, 1);
  } else if (in_hand != 0) {
    deliveries = handed != 0 ? 1 : 0;  // died within Finish: `next` had moved on, `deliveries` was still about the one before
  }
  ReadState state{.lane_id = tag, .next = next, .deliveries = deliveries, .handed = handed};
  state.backlog = slot.backlog.load(std::memory_order_relaxed);
  state.redelivered = slot.redelivered.load(std::memory_order_relaxed);
  state.missed = slot.missed.load(std::memory_order_relaxed);
  return state;
}

std::vector<ReadState> TaskPageView::States() const {
  std::vector<ReadState> states;
  for (uint32_t i = 0; i < constants_.slots; ++i) {
    if (std::optional<ReadState> state = StateIn(slots_[i])) states.push_back(*state);
  }
  return states;
}

std::optional<ReadState> TaskPageView::StateOf(uint64_t lane_id) const {
  for (uint32_t i = 0; i < constants_.slots; ++i) {
    if (slots_[i].tag.load(std::memory_order_relaxed) != lane_id) continue;
    std::optional<ReadState> state = StateIn(slots_[i]);
    if (state.has_value() && state->lane_id == lane_id) return state;
  }
  return std::nullopt;
}

}  // namespace puma
