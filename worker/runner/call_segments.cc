#include "worker/runner/call_segments.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <puma/log.h>

#include <cstring>
#include <utility>

#include "worker/environment/error_text.h"
#include "worker/platform/bytes.h"
#include "worker/platform/system.h"
#include "worker/runnable/value_bytes.h"

namespace puma::runner {
namespace {

constexpr size_t kErrorText = 64 << 10;
constexpr absl::Duration kAnswerAtMost = absl::Seconds(10);

enum class Said : uint8_t { kAnswer, kError, kStatus };

RingOptions OptionsOf(size_t capacity) {
  RingOptions options;
  options.capacity = capacity;
  options.max_message = kCallBytes;
  options.payload_bytes = size_t{4} << 20;
  return options;
}
size_t SegmentBytes(size_t header, size_t capacity) { return header + RingWriter::BytesNeeded(OptionsOf(capacity)).value(); }

template <class Header>
std::span<std::byte> RingIn(const Segment& segment) {
  return {segment.data() + sizeof(Header), segment.size() - sizeof(Header)};
}

UniqueFd Duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

absl::Status TooLarge(std::string_view what, size_t bytes) {
  return absl::ResourceExhaustedError(
      fmt::format("{}: {} bytes; {} is the most between processes, a buffer carries more", what, bytes, kCallBytes));
}

}  // namespace

// ---- the program's end -----------------------------------------------------------------------------------------------------------------

CallerEnd::CallerEnd(Segment ours, Segment theirs, std::unique_ptr<RingWriter> calls)
    : ours_(std::move(ours)), theirs_(std::move(theirs)), calls_(std::move(calls)) {}

// Both are made here, so that the child can be given them when it starts; the second is written only there. Their pages come on touch.
absl::StatusOr<std::unique_ptr<CallerEnd>> CallerEnd::Create() {
  auto ours = Segment::Create("puma-calls", SegmentBytes(sizeof(CallerHeader), kCommandCapacity), Seals::kSize, sizeof(CallerHeader));
  if (!ours.ok()) return ours.status();
  auto theirs = Segment::Create("puma-answers", SegmentBytes(sizeof(CalleeHeader), kAnswerCapacity), Seals::kSize, sizeof(CalleeHeader));
  if (!theirs.ok()) return theirs.status();
  auto calls = RingWriter::Create(RingIn<CallerHeader>(*ours), OptionsOf(kCommandCapacity));
  if (!calls.ok()) return calls.status();
  Gate gate;
  gate.subscription = 1;
  gate.position = &reinterpret_cast<const CalleeHeader*>(theirs->data())->calls_read;
  (*calls)->SetGate(gate);
  return std::unique_ptr<CallerEnd>(new CallerEnd(*std::move(ours), *std::move(theirs), *std::move(calls)));
}

std::vector<UniqueFd> CallerEnd::Descriptors() const {
  std::vector<UniqueFd> fds;
  fds.push_back(Duplicate(ours_.fd()));
  fds.push_back(Duplicate(theirs_.fd()));
  return fds;
}

absl::Status CallerEnd::Send(const OutgoingCall& call, absl::Time deadline) {
  ByteWriter to;
  to.Put(call.id).Put(call.deadline_ns).Put(call.answered).PutText(call.name).Put(static_cast<uint64_t>(call.arguments.size()));
  for (const Value& argument : call.arguments) internal::PackValue(argument, to);
  const std::string& bytes = to.bytes();
  if (bytes.size() > kCallBytes) return TooLarge(fmt::format("arguments of \"{}\"", call.name), bytes.size());
  MutexLock lock(send_mutex_);
  RingWriter* const ring = calls_.get();
  auto room = ring->TryReserve(bytes.size());
  if (!room.ok() && absl::IsResourceExhausted(room.status())) {
    RoomWait wait{.deadline = deadline, .kick = &kick_};
    wait.interrupted = [this] { return ended_.load(std::memory_order_acquire); };
    auto waited = WaitForRoom({&ring, 1}, bytes.size(), wait);
    if (absl::IsDeadlineExceeded(waited.status()))
      return absl::ResourceExhaustedError(
          fmt::format("\"{}\" was not sent: {} commands wait already to be executed", call.name, ring->Waiting()));
    if (!waited.ok()) return absl::UnavailableError(fmt::format("\"{}\" was not sent: the runnable has ended", call.name));
    room = ring->TryReserve(bytes.size());
  }
  if (!room.ok()) return absl::UnavailableError(fmt::format("\"{}\" was not sent: the runnable is being stopped", call.name));
  std::memcpy(room->data(), bytes.data(), bytes.size());
  ring->Commit(bytes.size());
  ring->WakeTail();
  return absl::OkStatus();
}

void CallerEnd::Stop() {
  MutexLock lock(send_mutex_);
  calls_->Complete("");
  calls_->WakeTail();
}

void CallerEnd::End() {
  ended_.store(true, std::memory_order_release);
  kick_.Kick();
}

void CallerEnd::Watch(WaitSet& words) const { words.AddShared(&callee().said, callee().said.load(std::memory_order_acquire)); }

bool CallerEnd::Open() {
  if (answers_) return true;
  if (callee().ready.load(std::memory_order_acquire) == 0) return false;
  auto answers = RingReader::Open(RingIn<CalleeHeader>(theirs_));
  if (!answers.ok()) return false;
  answers_ = *std::move(answers);
  return true;
}

void CallerEnd::Fetch(RunListener& listener) {
  MutexLock lock(fetch_mutex_);
  if (!Open()) return;
  const uint64_t first = next_;
  for (auto item = answers_->Look(next_); item.ok() && item->has_value(); item = answers_->Look(next_)) {
    ByteReader from({reinterpret_cast<const char*>((*item)->bytes.data()), (*item)->bytes.size()});
    const Said said = from.Get<Said>();
    if (said == Said::kStatus) {
      std::string type(from.GetText());
      listener.OnStatus(std::move(type), internal::UnpackValue(from));
    } else {
      const auto call = from.Get<uint64_t>();
      if (said == Said::kError) {
        listener.OnAnswer(call, internal::ErrorFromText(from.GetText()));
      } else {
        listener.OnAnswer(call, internal::UnpackValue(from));
      }
    }
    ++next_;
  }
  if (next_ == first) return;
  header().answers_read.store(next_, std::memory_order_release);
  answers_->WakePublisher(next_, &header().answers_read, want_);
}

// ---- the runnable's end ----------------------------------------------------------------------------------------------------------------

CalleeEnd::CalleeEnd(Segment caller, Segment callee, RingReader calls, std::unique_ptr<RingWriter> answers, std::function<void()> news)
    : caller_(std::move(caller)),
      callee_(std::move(callee)),
      calls_(std::move(calls)),
      answers_(std::move(answers)),
      news_(std::move(news)) {}

absl::StatusOr<std::unique_ptr<CalleeEnd>> CalleeEnd::Open(UniqueFd caller, UniqueFd callee, std::function<void()> news) {
  auto theirs = Segment::MapReadOnly(std::move(caller), Seals::kSize, SegmentBytes(sizeof(CallerHeader), kCommandCapacity));
  if (!theirs.ok()) return theirs.status();
  auto ours = Segment::MapWritable(std::move(callee), SegmentBytes(sizeof(CalleeHeader), kAnswerCapacity));
  if (!ours.ok()) return ours.status();
  auto calls = RingReader::Open(RingIn<CallerHeader>(*theirs));
  if (!calls.ok()) return calls.status();
  auto answers = RingWriter::Create(RingIn<CalleeHeader>(*ours), OptionsOf(kAnswerCapacity));
  if (!answers.ok()) return answers.status();
  Gate gate;
  gate.subscription = 1;
  gate.position = &reinterpret_cast<const CallerHeader*>(theirs->data())->answers_read;
  (*answers)->SetGate(gate);
  std::unique_ptr<CalleeEnd> end(
      new CalleeEnd(*std::move(theirs), *std::move(ours), *std::move(calls), *std::move(answers), std::move(news)));
  end->header().ready.store(1, std::memory_order_release);  // with CallerEnd::Open: the ring is formatted
  return end;
}

bool CalleeEnd::Poll(const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) {
  while (true) {
    auto item = calls_.Look(position_);
    if (!item.ok()) {
      log().error("the ring of calls is corrupt: {}", std::string(item.status().message()));
      return true;
    }
    if (!item->has_value()) return false;
    if ((*item)->kind == MessageKind::kComplete) return true;  // not passed: it is there for whoever looks again
    const std::string bytes(reinterpret_cast<const char*>((*item)->bytes.data()), (*item)->bytes.size());
    ++position_;
    header().calls_read.store(position_, std::memory_order_release);  // its place is free; it is executed at most once
    calls_.WakePublisher(position_, &header().calls_read, want_);
    Serve(bytes, serve);
  }
}

void CalleeEnd::Serve(const std::string& bytes, const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) {
  ByteReader from(bytes);
  internal::CommandCall call;
  call.id = from.Get<uint64_t>();
  call.deadline_ns = from.Get<int64_t>();
  call.answered = from.Get<bool>();
  call.name = from.GetText();
  std::vector<Value> arguments;
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) arguments.push_back(internal::UnpackValue(from));
  call.positional = &arguments;
  const absl::StatusOr<Value> result = serve(call);
  if (call.answered) Answer(call.id, result);
}

void CalleeEnd::Answer(uint64_t call, const absl::StatusOr<Value>& result) {
  ByteWriter to;
  if (result.ok()) {
    to.Put(Said::kAnswer).Put(call);
    internal::PackValue(*result, to);
  }
  if (!result.ok() || to.bytes().size() > kCallBytes) {
    const absl::Status error = result.ok() ? TooLarge("the result", to.bytes().size()) : result.status();
    to = ByteWriter();
    to.Put(Said::kError).Put(call).PutText(internal::TextOfError(error, kErrorText));
  }
  RingWriter* const ring = answers_.get();
  if (!ring->HasRoom(to.bytes().size())) {  // statuses that nobody has read
    news_();
    WaitForRoom({&ring, 1}, to.bytes().size(), {.deadline = MonotonicTime() + kAnswerAtMost}).status().IgnoreError();
  }
  if (!Write(to.bytes())) log().error("an answer is lost: the program that asked does not read");
}

void CalleeEnd::Say(std::string type, const Value& status) {
  ByteWriter to;
  to.Put(Said::kStatus).PutText(type);
  internal::PackValue(status, to);
  const uint64_t waiting = answers_->Waiting();
  const bool written = to.bytes().size() <= kCallBytes && waiting < kAnswerCapacity / 2 && Write(to.bytes());
  if (!written && !std::exchange(warned_, true))
    log().warn("a status of type {} is dropped: too large, or the program does not read", type);
  if (waiting + 1 == kStatusesUnread || !written) news_();
}

bool CalleeEnd::Write(std::string_view bytes) {
  auto room = answers_->TryReserve(bytes.size());
  if (!room.ok()) return false;
  std::memcpy(room->data(), bytes.data(), bytes.size());
  answers_->Commit(bytes.size());
  header().said.fetch_add(1, std::memory_order_release);  // with CallerEnd::Watch
  WakeShared(&header().said);
  return true;
}

}  // namespace puma::runner
