#include "worker/runnable/output_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include "worker/control/failure.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

constexpr int64_t kWarnEveryNs = 1'000'000'000;
constexpr size_t kAlignment = 64;

absl::Status Closed() {
  return absl::FailedPreconditionError("puma: this output is not in use: it exists only while its runnable executes");
}

}  // namespace

int64_t CoarseNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

OutputCore::OutputCore(std::string port, TypeInfo type, RunContext* context) : port_(std::move(port)), type_(type), context_(context) {}

void OutputCore::Connect(std::string buffer, FullPolicy policy, std::vector<std::unique_ptr<OutputLane>> lanes, Growth growth) {
  buffer_ = std::move(buffer);
  policy_ = policy;
  lanes_ = std::move(lanes);
  growth_ = std::move(growth);
  connected_ = true;
}

void OutputCore::ForProgram(absl::Status not_open, std::function<void()> completed, std::function<void()> end) {
  when_completed_ = std::move(completed);
  end_ = std::move(end);
  MutexLock lock(mutex_);
  not_open_ = std::move(not_open);
}

void OutputCore::Refuse(absl::Status not_open) {
  {
    MutexLock lock(mutex_);
    not_open_ = std::move(not_open);
    refused_ = true;
    open_.store(false, std::memory_order_release);
  }
  GatesChanged();  // a publisher that waits for room looks up
}

void OutputCore::Open() {
  MutexLock lock(mutex_);
  if (!refused_) open_.store(true, std::memory_order_release);
}

absl::Status OutputCore::NotOpen() const {
  MutexLock lock(mutex_);
  return not_open_.ok() ? Closed() : not_open_;
}

absl::Status OutputCore::status() const { return open_.load(std::memory_order_acquire) ? absl::OkStatus() : NotOpen(); }
void OutputCore::Cancel() { context_->RequestStop(); }

void OutputCore::End() {
  if (end_) end_();
}

std::string OutputCore::Place() const {
  return port_.empty() ? fmt::format("buffer \"{}\"", buffer_) : fmt::format("output \"{}\"", port_);
}

OutputLane* OutputCore::FindLane(uint64_t lane) {
  for (auto& l : lanes_) {
    if (l->id() == lane) return l.get();
  }
  return nullptr;
}

void OutputCore::Close() {
  open_.store(false, std::memory_order_release);
  Abandon();
}

absl::StatusOr<uint64_t> OutputCore::SetGate(PageAttachment page) {
  MutexLock lock(lanes_mutex_);
  OutputLane* lane = FindLane(page.lane);
  if (lane == nullptr) return absl::NotFoundError(fmt::format("output \"{}\" has no lane {}", port_, page.lane));
  auto start = lane->SetGate(std::move(page));
  GatesChanged();
  return start;
}

void OutputCore::GateDown(uint64_t id, uint64_t subscription, control::GateChange change) {
  MutexLock lock(lanes_mutex_);
  OutputLane* lane = FindLane(id);
  if (lane == nullptr) return;
  lane->GateDown(subscription, change);
  GatesChanged();
}

bool OutputCore::HasLane(uint64_t lane) {
  MutexLock lock(lanes_mutex_);
  return FindLane(lane) != nullptr;
}

void OutputCore::GatesChanged() {
  gates_version_.fetch_add(1, std::memory_order_release);
  context_->kick.Kick();
}

absl::Status OutputCore::TooLarge(size_t bytes) const {
  const bool grows = type_.fixed_size == 0 && !growth_.spares.empty() && !growth_.spares[0].empty();
  const uint64_t most = grows ? growth_.max_bytes / 2 : lanes_[0]->writer().constants().max_message;
  return absl::InvalidArgumentError(fmt::format("{}: a message of {} bytes; buffer \"{}\" takes {} at most (half of its {})", Place(),
                                                bytes, buffer_, most, grows ? "max_bytes" : "capacity_bytes"));
}

// The message is too large for the present lanes: all of them are followed by larger ones, in which it goes on at once. What the old ones
// hold stays there without gates, since nobody writes there any more: their segments live as long as somebody reads them.
absl::Status OutputCore::Grow(size_t bytes) {
  if (type_.fixed_size != 0 || bytes > growth_.max_bytes / 2 || growth_.spares.empty() || part_ >= growth_.spares[0].size()) {
    return TooLarge(bytes);
  }
  const uint64_t have = lanes_[0]->writer().constants().payload_bytes;
  const uint64_t need = 2 * ((bytes + kAlignment) / kAlignment * kAlignment);
  const bool last = part_ + 1 == growth_.spares[0].size();
  const uint64_t size = last ? growth_.max_bytes : std::min(growth_.max_bytes, std::max(2 * have, need));
  std::vector<std::unique_ptr<OutputLane>> larger;
  {
    MutexLock lock(lanes_mutex_);  // gates that change meanwhile change in the larger lanes
    for (size_t i = 0; i < lanes_.size(); ++i) {
      auto made = lanes_[i]->Larger(growth_.spares[i][part_], size, type_);
      if (!made.ok()) return made.status();
      larger.push_back(*std::move(made));
    }
    current_ = nullptr;
    lanes_.swap(larger);
    ++part_;
  }
  for (auto& lane : lanes_) {
    context_->grown->fetch_add(1, std::memory_order_release);
    if (!context_->offer_lane) continue;
    if (absl::Status offered = context_->offer_lane(lane->id(), lane->segment()); !offered.ok()) return offered;
  }
  if (context_->logger != nullptr) {
    context_->logger->info("output \"{}\": a message of {} bytes: buffer \"{}\" goes on in a lane of {} bytes", port_, bytes, buffer_,
                           size);
  }
  return absl::OkStatus();
}

// The least filled living lane with room; with none living, the least filled of all. Null: no room.
OutputLane* OutputCore::Choose(size_t bytes) {
  if (lanes_.size() == 1) return lanes_[0].get();
  const bool any_living = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->living(); });
  OutputLane* best = nullptr;
  uint64_t best_waiting = 0;
  const size_t first = turn_++;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    OutputLane* lane = lanes_[(first + i) % lanes_.size()].get();
    if (any_living && !lane->living()) continue;
    if (!lane->writer().HasRoom(bytes)) continue;
    const uint64_t waiting = lane->writer().Waiting();
    if (best == nullptr || waiting < best_waiting) {
      best = lane;
      best_waiting = waiting;
    }
  }
  return best;
}

absl::StatusOr<MutableBytes> OutputCore::Take(OutputLane* lane, size_t bytes) {
  auto room = lane->writer().TryReserve(bytes);
  if (!room.ok()) return room.status();
  current_ = lane;
  reserved_ = true;
  reserved_bytes_ = bytes;
  return *room;
}

absl::StatusOr<MutableBytes> OutputCore::TakeScratch(size_t bytes) {
  if (scratch_.size() < bytes + kAlignment) scratch_.resize(bytes + kAlignment);
  current_ = nullptr;
  reserved_ = true;
  reserved_bytes_ = bytes;
  const size_t misaligned = reinterpret_cast<uintptr_t>(scratch_.data()) % kAlignment;
  return MutableBytes(scratch_.data() + (misaligned == 0 ? 0 : kAlignment - misaligned), bytes);
}

// Waits until a lane that should be used has room. DEADLINE_EXCEEDED, CANCELLED.
absl::StatusOr<OutputLane*> OutputCore::WaitForLane(size_t bytes, absl::Duration at_most) {
  const bool own_thread = context_->OnOwnThread();
  if (own_thread && context_->store_positions) context_->store_positions();
  const absl::Time deadline = at_most == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + at_most;
  const absl::Duration give_up = absl::Nanoseconds(context_->Now()) + at_most;
  while (true) {
    const uint32_t version = gates_version_.load(std::memory_order_acquire);
    if (!open_.load(std::memory_order_acquire)) return NotOpen();  // refused between the caller's look and this version: no kick follows
    const bool any_living = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->living(); });
    std::vector<RingWriter*> rings;
    std::vector<OutputLane*> owners;
    for (auto& lane : lanes_) {
      if (any_living && !lane->living()) continue;
      rings.push_back(&lane->writer());
      owners.push_back(lane.get());
    }
    RoomWait wait{.deadline = deadline, .kick = &context_->kick, .spin = &spin_};
    const CommandSource* commands = context_->commands.load(std::memory_order_acquire);
    if (commands != nullptr) wait.command_tail = commands->tail_word();
    wait.interrupted = [&] { return context_->StopAsked() || gates_version_.load(std::memory_order_acquire) != version; };
    if (context_->stepper != nullptr) wait.deadline = absl::InfinitePast();
    auto ready = WaitForRoom(rings, bytes, wait);
    if (ready.ok()) return owners[*ready];
    if (absl::IsDeadlineExceeded(ready.status()) && LetTake(give_up)) continue;
    if (!absl::IsCancelled(ready.status())) return ready.status();
    if (context_->StopAsked()) return absl::CancelledError(fmt::format("{}: stopped while it waited for room", Place()));
  }
}

// Run inline, whoever takes comes between steps. False: it is too late, or there is nobody.
bool OutputCore::LetTake(absl::Duration give_up) {
  const absl::Duration left = give_up - absl::Nanoseconds(context_->Now());
  return context_->stepper != nullptr && left > absl::ZeroDuration() && context_->stepper->Wait(left);
}

absl::StatusOr<MutableBytes> OutputCore::Full(size_t bytes, OnFull on_full, absl::Duration waited) {
  lanes_[0]->writer().CountDropped();
  if (on_full == OnFull::kAsSpec) {
    on_full = policy_ == FullPolicy::kWarn ? OnFull::kWarn : policy_ == FullPolicy::kIgnore ? OnFull::kIgnore : OnFull::kError;
  }
  std::string what = port_.empty() ? "" : fmt::format("output \"{}\": ", port_);
  fmt::format_to(std::back_inserter(what), "buffer \"{}\" is full", buffer_);
  if (waited > absl::ZeroDuration()) fmt::format_to(std::back_inserter(what), " for {}", absl::FormatDuration(waited));
  RingWriter& ring = lanes_[0]->writer();
  if (lanes_.size() == 1 && ring.Waiting() < ring.constants().capacity) {
    fmt::format_to(std::back_inserter(what), ": it has room for more messages, but not for {} bytes beside what its {} bytes hold", bytes,
                   ring.constants().payload_bytes);
  }
  if (on_full == OnFull::kError || on_full == OnFull::kBlock) return absl::ResourceExhaustedError(what);
  ++dropped_;
  const int64_t now = MonotonicNanos();
  if (on_full == OnFull::kWarn && context_->logger != nullptr && (last_warning_ns_ == 0 || now - last_warning_ns_ >= kWarnEveryNs)) {
    last_warning_ns_ = now;
    context_->logger->warn("{}; {} messages dropped since the last warning", what, std::exchange(dropped_, 0));
  }
  return TakeScratch(bytes);
}

absl::StatusOr<MutableBytes> OutputCore::Reserve(size_t bytes, Timeout timeout, OnFull on_full) {
  if (!open_.load(std::memory_order_acquire)) return NotOpen();
  if (completed()) return absl::FailedPreconditionError(fmt::format("{}: it has been completed", Place()));
  if (!timeout.valid())
    return absl::InvalidArgumentError(fmt::format("{}: a timeout is a duration above zero, kNoWait or kInfinite", Place()));
  if (on_full == OnFull::kDropOldest || on_full == OnFull::kLatest)
    return absl::InvalidArgumentError(fmt::format("{}: drop_oldest and latest are chosen for the whole buffer", Place()));
  reserved_ = false;
  if (lanes_.empty()) return TakeScratch(bytes);
  if (bytes > lanes_[0]->writer().constants().max_message) {
    if (absl::Status grown = Grow(bytes); !grown.ok()) return grown;
  }
  OutputLane* lane = Choose(bytes);
  if (lane != nullptr) {
    auto room = Take(lane, bytes);
    if (room.ok() || !absl::IsResourceExhausted(room.status())) return room;
  }
  absl::Duration at_most = timeout.duration();
  if (timeout.as_spec()) {
    const bool blocks = on_full == OnFull::kBlock || (on_full == OnFull::kAsSpec && policy_ == FullPolicy::kBlock);
    at_most = blocks ? absl::InfiniteDuration() : absl::ZeroDuration();
  }
  if (at_most == absl::ZeroDuration()) return Full(bytes, on_full, at_most);
  auto waited = WaitForLane(bytes, at_most);
  if (waited.ok()) return Take(*waited, bytes);
  if (absl::IsDeadlineExceeded(waited.status())) return Full(bytes, on_full, at_most);
  return waited.status();
}

absl::Status OutputCore::Commit() {
  if (!open_.load(std::memory_order_acquire)) return NotOpen();
  if (!reserved_) return absl::FailedPreconditionError(fmt::format("{}: there is no loan to publish", Place()));
  reserved_ = false;
  if (current_ == nullptr) return absl::OkStatus();
  const Annotation annotation = NewAnnotation();
  current_->writer().Commit(reserved_bytes_, MessageKind::kValue, static_cast<uint16_t>(annotation.flags), &annotation);
  context_->published->fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

Annotation OutputCore::NewAnnotation() {
  Annotation annotation{};
  annotation.published_ns = std::max(context_->Now(), last_published_ns_ + 1);  // strictly rising: readers of several lanes merge by it
  last_published_ns_ = annotation.published_ns;
  if (context_->cause_lane != 0 && context_->OnOwnThread()) {
    annotation.cause_lane = context_->cause_lane;
    annotation.cause_number = context_->cause_number;
    annotation.cause_epoch = context_->cause_epoch;
    annotation.flags = context_->cause_redelivered ? kFlagRedelivered : 0;
  }
  return annotation;
}

// What there is room for goes run by run; where there is none, one message waits for it, or is dropped, as all messages are.
absl::StatusOr<size_t> OutputCore::PublishMany(Bytes messages, size_t each, Timeout timeout, OnFull on_full) {
  const size_t count = messages.size() / each;
  size_t done = 0;
  while (done < count) {
    auto room = Reserve(each, timeout, on_full);
    if (!room.ok() && done != 0) return done;
    if (!room.ok()) return room.status();
    if (reserved_is_scratch()) return Commit().ok() ? done : absl::StatusOr<size_t>(NotOpen());
    reserved_ = false;
    const Annotation annotation = NewAnnotation();
    const size_t published = current_->writer().PublishMany(messages.subspan(done * each), each, &annotation);
    context_->published->fetch_add(published, std::memory_order_relaxed);
    done += published;
  }
  return done;
}

void OutputCore::Abandon() {
  reserved_ = false;
  current_ = nullptr;
}

absl::Status OutputCore::Complete(const absl::Status& error) {
  if (!open_.load(std::memory_order_acquire)) return NotOpen();
  if (completed_.exchange(true, std::memory_order_acq_rel)) {
    return absl::FailedPreconditionError(fmt::format("{}: it has been completed already", Place()));
  }
  const std::string text = error.ok() ? "" : control::FailureToJson(ErrorOf(error), kErrorBytes);
  for (auto& lane : lanes_) lane->writer().Complete(text);
  if (when_completed_) when_completed_();
  return absl::OkStatus();
}

// ---- what the templates of buffer.h call ----------------------------------------------------------------------------------------------

absl::StatusOr<MutableBytes> Reserve(OutputCore& o, size_t bytes, Timeout t, OnFull f) { return o.Reserve(bytes, t, f); }
bool ReservedIsScratch(const OutputCore& o) { return o.reserved_is_scratch(); }
absl::Status Commit(OutputCore& o) { return o.Commit(); }
absl::StatusOr<size_t> PublishMany(OutputCore& o, Bytes messages, size_t each, Timeout t, OnFull f) {
  return o.PublishMany(messages, each, t, f);
}
void Abandon(OutputCore& o) { o.Abandon(); }
absl::Status Complete(OutputCore& o, const absl::Status& error) { return o.Complete(error); }
absl::Status NotExecuting() { return Closed(); }
absl::Status StatusOf(const OutputCore& o) { return o.status(); }
void End(OutputCore& o) { o.End(); }
void Cancel(OutputCore& o) { o.Cancel(); }

}  // namespace puma::internal
