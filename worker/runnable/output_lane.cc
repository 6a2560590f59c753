#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "worker/runnable/output_core.h"

namespace puma::internal {
namespace {

constexpr uint64_t kDefaultPayload = 16 << 20;

RingOptions RingOptionsOf(const LaneOptions& options, const TypeInfo& type) {
  RingOptions ring;
  ring.lane_id = options.lane;
  ring.epoch = options.epoch;
  ring.capacity = options.capacity;
  ring.base = options.base;
  ring.lossy = options.lossy;
  ring.wake_mode = options.stream ? WakeMode::kAsymmetric : WakeMode::kFenced;
  ring.annotated = true;
  if (type.fixed_size != 0) {
    ring.layout = RingLayout::kFixedStride;
    ring.stride = (type.fixed_size + 7) / 8 * 8;  // keeps the alignment: a size is a multiple of it
    ring.max_message = type.fixed_size;
  } else {
    ring.layout = RingLayout::kDescriptors;
    const uint64_t bytes = options.payload_bytes == 0 ? kDefaultPayload : options.payload_bytes;
    ring.payload_bytes = std::max<uint64_t>((bytes + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment, 4 * kPayloadAlignment);
    ring.max_message = ring.payload_bytes / 2;
  }
  return ring;
}

}  // namespace

absl::StatusOr<FullPolicy> FullPolicyOf(std::string_view on_full) {
  if (on_full.empty() || on_full == "block") return FullPolicy::kBlock;
  if (on_full == "error") return FullPolicy::kError;
  if (on_full == "warn") return FullPolicy::kWarn;
  if (on_full == "ignore") return FullPolicy::kIgnore;
  if (on_full == "drop_oldest" || on_full == "latest") return FullPolicy::kOverwrite;
  return absl::InvalidArgumentError(fmt::format("on_full \"{}\": it is block, error, warn, ignore, drop_oldest or latest", on_full));
}

OutputLane::OutputLane(Segment segment, std::unique_ptr<RingWriter> writer, LaneOptions options)
    : segment_(std::move(segment)), writer_(std::move(writer)), options_(std::move(options)) {
  for (uint64_t subscription : options_.subscriptions) gates_[subscription] = true;
}

absl::StatusOr<std::unique_ptr<OutputLane>> OutputLane::Create(const LaneOptions& options, const TypeInfo& type) {
  const RingOptions ring = RingOptionsOf(options, type);
  auto bytes = RingWriter::BytesNeeded(ring);
  if (!bytes.ok()) return bytes.status();
  // All of it now (4 ms for 16 MiB): what is not there is an error at the start, not a SIGBUS or the kernel's choice in a publisher.
  auto segment = Segment::Create("puma-lane", *bytes, Seals::kOneWriter, *bytes, {options.huge_pages, options.prefault});
  if (!segment.ok()) return segment.status();
  auto writer = RingWriter::Create({segment->data(), segment->size()}, ring);
  if (!writer.ok()) return writer.status();
  for (uint64_t subscription : options.subscriptions) {
    Gate gate;
    gate.subscription = subscription;
    gate.floor = ring.base;
    (*writer)->SetGate(gate);
  }
  return std::unique_ptr<OutputLane>(new OutputLane(*std::move(segment), *std::move(writer), options));
}

absl::StatusOr<std::unique_ptr<OutputLane>> OutputLane::Larger(uint64_t lane, uint64_t payload_bytes, const TypeInfo& type) {
  MutexLock lock(mutex_);
  LaneOptions options = options_;
  options.lane = lane;
  options.payload_bytes = payload_bytes;
  options.base = writer_->tail();
  options.subscriptions.clear();
  for (const auto& [subscription, living] : gates_) options.subscriptions.push_back(subscription);
  auto larger = Create(options, type);
  if (!larger.ok()) return larger;
  (*larger)->Follow(gates_, out_);
  return larger;
}

void OutputLane::Follow(const std::map<uint64_t, bool>& gates, bool out) {
  MutexLock lock(mutex_);
  for (const auto& [subscription, living] : gates) {
    if (!living) writer_->MarkDown(subscription);
  }
  gates_ = gates;
  out_ = out;
  Judge();
}

void OutputLane::Judge() { living_.store(writer_->AllGatesLiving() && !out_, std::memory_order_release); }

absl::StatusOr<uint64_t> OutputLane::SetGate(PageAttachment page) {
  auto view = TaskPageView::Open(std::move(page.fd));
  if (!view.ok()) return view.status();
  if (page.page_slot >= view->constants().slots) return absl::InvalidArgumentError("a page's slot that it doesn't have");
  Gate gate;
  gate.subscription = page.subscription;
  gate.position = &view->slot(page.page_slot).position;
  gate.tag = &view->slot(page.page_slot).tag;
  gate.sleep = &view->header().sleep;
  gate.gates = !page.lossy;
  gate.newest = page.newest;
  gate.floor = options_.base;  // raised to what the gate before it had reached, or to what is still there
  MutexLock lock(mutex_);
  const uint64_t start = writer_->SetGate(gate);  // the old page's words are no longer looked at
  pages_.insert_or_assign(page.subscription, *std::move(view));
  if (page.lossy) {
    gates_.erase(page.subscription);
  } else {
    gates_[page.subscription] = true;
    out_ = false;
  }
  Judge();
  return start;
}

absl::StatusOr<uint64_t> OutputLane::SetGate(uint64_t subscription, ReaderPages pages) {
  Gate gate;
  gate.subscription = subscription;
  gate.gates = pages.gates;
  gate.floor = pages.floor;
  std::optional<TaskPageView> position, sleep;
  if (pages.position.valid()) {
    auto views = std::pair(TaskPageView::Open(std::move(pages.position)), TaskPageView::Open(std::move(pages.sleep)));
    if (!views.first.ok() || !views.second.ok()) return views.first.ok() ? views.second.status() : views.first.status();
    if (pages.slot >= views.first->constants().slots) return absl::InvalidArgumentError("a page's slot that it doesn't have");
    gate.position = &views.first->slot(pages.slot).position;
    gate.tag = &views.first->slot(pages.slot).tag;
    gate.seen = &views.first->slot(pages.slot).seen;
    gate.sleep = &views.second->header().sleep;
    position = *std::move(views.first);
    sleep = *std::move(views.second);
  }
  MutexLock lock(mutex_);
  if (pages.from_now) gate.floor = reinterpret_cast<const RingHeader*>(segment_.data())->tail.load(std::memory_order_acquire);
  const uint64_t start = writer_->SetGate(gate);  // the old pages' words are no longer looked at
  pages_.erase(subscription);
  sleep_pages_.erase(subscription);
  if (position) pages_.emplace(subscription, *std::move(position));
  if (sleep) sleep_pages_.emplace(subscription, *std::move(sleep));
  return start;
}

void OutputLane::GateDown(uint64_t subscription, control::GateChange change) {
  MutexLock lock(mutex_);
  if (change == control::GateChange::kDown) {
    writer_->MarkDown(subscription);
    if (auto gate = gates_.find(subscription); gate != gates_.end()) gate->second = false;
  } else {
    writer_->RemoveGate(subscription);
    pages_.erase(subscription);
    sleep_pages_.erase(subscription);
    gates_.erase(subscription);
    out_ = out_ || change == control::GateChange::kLaneIsOut;
  }
  Judge();
}

}  // namespace puma::internal
