#ifndef PUMA_WORKER_RUNNER_CALL_SEGMENTS_H_
#define PUMA_WORKER_RUNNER_CALL_SEGMENTS_H_
// Calls between a program and a runnable in a process of its own: two segments, each written by one of them.
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/segment.h"
#include "worker/buffer/waiter.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/run_context.h"
#include "worker/runner/run.h"

namespace puma::runner {

inline constexpr size_t kCallBytes = (1 << 20) + (64 << 10);  // the largest call, answer or status, as bytes
inline constexpr size_t kStatusesUnread = 64;                 // then the program is told to read
inline constexpr size_t kAnswerCapacity = 256;

// Written by the program; then its ring of calls.
struct CallerHeader {
  alignas(kLine) Word64 answers_read;  // gates the ring of answers
};
// Written by the runnable; then its ring of answers and statuses.
struct CalleeHeader {
  alignas(kLine) Word64 calls_read;  // gates the ring of calls
  alignas(kLine) Word32 said;        // counts what was said: who waits for an answer sleeps on it
  Word32 ready;                      // the ring is there; release
};

// The program's end. Thread-safe.
class CallerEnd {
 public:
  static absl::StatusOr<std::unique_ptr<CallerEnd>> Create();
  std::vector<UniqueFd> Descriptors() const;  // for the child: both segments
  absl::Status Send(const OutgoingCall& call, absl::Time deadline) PUMA_EXCLUDES(send_mutex_);
  void Stop() PUMA_EXCLUDES(send_mutex_);  // behind the calls that were sent
  void End();                              // who waits for room gets UNAVAILABLE
  void Watch(WaitSet& words) const;
  void Fetch(RunListener& listener) PUMA_EXCLUDES(fetch_mutex_);  // hands on what was said

 private:
  CallerEnd(Segment ours, Segment theirs, std::unique_ptr<RingWriter> calls);
  CallerHeader& header() { return *reinterpret_cast<CallerHeader*>(ours_.data()); }
  const CalleeHeader& callee() const { return *reinterpret_cast<const CalleeHeader*>(theirs_.data()); }
  bool Open() PUMA_REQUIRES(fetch_mutex_);
  const Segment ours_, theirs_;
  KickWord kick_;
  std::atomic<bool> ended_{false};
  Mutex send_mutex_;
  const std::unique_ptr<RingWriter> calls_ PUMA_PT_GUARDED_BY(send_mutex_);
  Mutex fetch_mutex_;
  std::optional<RingReader> answers_ PUMA_GUARDED_BY(fetch_mutex_);
  uint64_t next_ PUMA_GUARDED_BY(fetch_mutex_) = 0;
  uint32_t want_ PUMA_GUARDED_BY(fetch_mutex_) = 0;
};

// The runnable's end, on its thread.
class CalleeEnd final : public internal::CommandSource {
 public:
  // `news`: tells the program that statuses wait to be read.
  static absl::StatusOr<std::unique_ptr<CalleeEnd>> Open(UniqueFd caller, UniqueFd callee, std::function<void()> news);
  void Say(std::string type, const Value& status);  // dropped, with a warning, if the program does not read

  bool Poll(const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) override;
  bool Pending() const override { return calls_.tail() != position_; }
  bool StopAsked() const override { return calls_.header().closed.load(std::memory_order_acquire) != 0; }
  const Word32* tail_word() const override { return calls_.tail_word(); }
  uint32_t tail_seen() const override { return static_cast<uint32_t>(position_); }

 private:
  CalleeEnd(Segment caller, Segment callee, RingReader calls, std::unique_ptr<RingWriter> answers, std::function<void()> news);
  CalleeHeader& header() { return *reinterpret_cast<CalleeHeader*>(callee_.data()); }
  void Serve(const std::string& bytes, const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve);
  void Answer(uint64_t call, const absl::StatusOr<Value>& result);
  bool Write(std::string_view bytes);
  const Segment caller_;
  const Segment callee_;
  RingReader calls_;
  const std::unique_ptr<RingWriter> answers_;
  const std::function<void()> news_;
  uint64_t position_ = 0;
  uint32_t want_ = 0;
  bool warned_ = false;
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_CALL_SEGMENTS_H_
