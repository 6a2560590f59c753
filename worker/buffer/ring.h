#ifndef PUMA_WORKER_BUFFER_RING_H_
#define PUMA_WORKER_BUFFER_RING_H_
// A bounded single-producer ring of messages in memory that others map read-only. Lanes are rings in segments of their own; commands,
// results and logs are rings inside the control segments. README.md has the protocol; the names P0..P5, R1..R5, F1..F5 are its steps.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/buffer/layout.h"
#include "worker/buffer/waiter.h"
#include "worker/platform/mutex.h"

namespace puma {

struct RingOptions {
  RingLayout layout = RingLayout::kDescriptors;
  uint64_t lane_id = 1;
  uint32_t epoch = 1;
  uint64_t base = 0;
  uint64_t capacity = 64;                  // messages, 1 .. 2^20
  uint64_t stride = 0;                     // fixed stride: the message's size, rounded up to 8
  uint64_t payload_bytes = 0;              // descriptors: at least 2 * max_message
  uint64_t max_message = 0;                // bytes
  WakeMode wake_mode = WakeMode::kFenced;  // kAsymmetric becomes kFenced where the process may not register for membarriers
  bool lossy = false;
  bool annotated = false;
};

// A position that keeps messages from being overwritten. The words lie in somebody else's task page and are not trusted. They must stay
// mapped until SetGate has replaced the gate or RemoveGate has removed it; when those return, the publisher no longer looks at them.
struct Gate {
  uint64_t subscription = 0;         // whose it is; names the gate
  const Word64* position = nullptr;  // null: nobody is there yet; `floor` gates
  const Word64* tag = nullptr;       // null: always valid; else the position counts once *tag == lane id
  const Word32* sleep = nullptr;     // its reader's sleep word; null: the reader polls or is woken by other means
  const Word64* seen = nullptr;      // how far a sleeping reader has looked; null: as far as `position`
  uint64_t floor = 0;                // counts until position is valid and lies in [floor, tail]
  bool living = true;                // false: its process has ended; still gates
  bool gates = true;                 // false: it only wakes its reader, who copies and finds gaps
  bool newest = false;               // a subscription that is new here begins at the tail, not at its floor
};

// The writing end. One thread at a time publishes; gates may be changed by another thread meanwhile.
class RingWriter {
 public:
  // How many bytes a ring of these options takes. INVALID_ARGUMENT: the options contradict each other.
  static absl::StatusOr<size_t> BytesNeeded(const RingOptions& options);
  // Formats `memory` (zeroed, kLine-aligned, BytesNeeded long), which must outlive the writer.
  static absl::StatusOr<std::unique_ptr<RingWriter>> Create(std::span<std::byte> memory, const RingOptions& options);
  // Goes on where an earlier writer of the same process role stopped (the host on its command rings). The header is checked.
  // It has no gates: set them before publishing.
  static absl::StatusOr<std::unique_ptr<RingWriter>> Resume(std::span<std::byte> memory);

  // Room for one message, to be written in place and then committed; at most max_message. Never blocks. RESOURCE_EXHAUSTED: full;
  // INVALID_ARGUMENT: too large; FAILED_PRECONDITION: completed. A second Reserve without Commit gives the first one up.
  absl::StatusOr<std::span<std::byte>> TryReserve(size_t bytes);
  // The same for who does not ask why not: null.
  std::byte* ReserveOrNull(size_t bytes);
  // Publishes what was reserved (its first `bytes`, if fewer were needed) and wakes sleeping readers. A fixed-stride ring carries neither
  // `kind` nor a length: each message is a kValue of max_message bytes (and `flags` travels in the annotation, if there is one).
  void Commit(size_t bytes, MessageKind kind = MessageKind::kValue, uint16_t flags = 0, const Annotation* annotation = nullptr);
  // Batches: Stage is a Commit that nobody sees before the next Flush, Commit or Complete. One store and one look at sleepers for all.
  // RingBatch (ring_batch.h) does it faster.
  void Stage(size_t bytes, MessageKind kind = MessageKind::kValue, uint16_t flags = 0, const Annotation* annotation = nullptr);
  void Flush();
  // Publishes messages of `each` bytes that lie one after the other, as many as there is room for, and says how many. They are copied run
  // by run: where slots and payload of several lie one after the other, by one copy. Seen together, but for what made room in between.
  size_t PublishMany(std::span<const std::byte> messages, size_t each, const Annotation* annotation = nullptr);
  // The last message, in its reserved place: never refused for space. Idempotent. The error's text is cut at kErrorBytes.
  void Complete(std::string_view error);

  // Waiting for room (F1..F5) is WaitForRoom below: one publisher may wait on several rings at once.
  bool HasRoom(size_t bytes);
  void AnnounceWant(size_t bytes);                       // F1, F2. Then look once more before sleeping
  void WithdrawWant();                                   // F5
  bool CanSleepLong() const { return can_sleep_long_; }  // false: F2 is not available here, sleep for a millisecond
  bool AddLaggingTo(WaitSet& set);  // F4: the positions whose move could make room. False: none lags any more, look again

  // A gate per subscription. The same subscription again replaces it: the new gate's floor is raised to what the old one had reached.
  // Returns the number from which it gates: the floor, or the oldest message that is still there. In a lossy ring it wakes, but never
  // gates. Without any gate a ring overwrites its oldest messages.
  uint64_t SetGate(const Gate& gate) PUMA_EXCLUDES(gates_mutex_);
  void RemoveGate(uint64_t subscription) PUMA_EXCLUDES(gates_mutex_);
  void MarkDown(uint64_t subscription) PUMA_EXCLUDES(gates_mutex_);
  bool AllGatesLiving() PUMA_EXCLUDES(gates_mutex_);
  bool completed() const { return completed_; }

  // Statistics in the header (RingReader::Statistics). WaitForRoom counts by itself.
  void CountDropped();
  void BeginBlocked(int64_t now_ns);
  void EndBlocked(int64_t now_ns);

  uint64_t tail() const { return tail_; }
  uint64_t Waiting();  // tail - slowest gate: how full it is
  // Wakes whoever sleeps on the tail, asked or not: for readers whose sleep word this process can't see.
  void WakeTail() const;
  const RingConstants& constants() const { return constants_; }

 private:
  friend class RingWriterTestPeer;
  friend class RingBatch;
  RingWriter(std::span<std::byte> memory, const RingConstants& constants);
  absl::Status TakeUp();  // Resume's half: where the earlier writer stopped
  bool Fits(uint64_t need) const { return tail_ - min_ < constants_.capacity && need <= free_end_ - head_; }
  uint64_t NeedOf(size_t bytes) const;
  bool Release(uint64_t need) PUMA_EXCLUDES(gates_mutex_);  // P0, the slow path
  size_t PublishRun(const std::byte* messages, size_t count, size_t each, const Annotation* annotation);
  bool HasRoomAbove(uint64_t min, uint64_t need, uint64_t& head, uint64_t& end) const;
  uint64_t Overwritable(uint64_t need) const;
  uint64_t Reached(const Gate& gate, uint64_t tail) const;
  uint64_t SlowestGate() PUMA_REQUIRES(gates_mutex_);
  bool ReserveSlowly(size_t bytes);
  void Describe(uint64_t number, uint64_t offset, size_t bytes, MessageKind kind, uint16_t flags, const Annotation* annotation);
  absl::Status Refusal(size_t bytes) const;
  bool MustWake();  // P4, when somebody is asleep who has not been woken
  void WatchAgain() PUMA_EXCLUDES(gates_mutex_);
  void GatesChanged() PUMA_EXCLUDES(gates_mutex_);

  // What a fast publish reads. Only the publisher writes here.
  RingHeader* header_;
  Descriptor* descriptors_;
  Annotation* annotations_;  // null: none
  std::byte* payload_;
  const RingConstants constants_;
  const WakeMode busy_mode_;  // P3 in this process: fenced also where the sleeper's membarrier would not reach it
  uint64_t tail_;
  uint64_t min_;           // cached slowest gate, = released; changes under gates_mutex_, so that SetGate may read it
  uint64_t head_ = 0;      // next free byte of the payload ring
  uint64_t free_end_ = 0;  // [head_, free_end_) is free
  uint64_t reserved_ = 0;  // bytes + 1 at head_; 0: nothing is
  bool completed_ = false;
  uint64_t wanted_ = 0;         // what F1 announced
  uint32_t seen_gates_ = 0;     // gates_changed_ before F3
  bool can_sleep_long_ = true;  // F2 could be issued
  struct Sleeper {
    const Word32* sleep;
    const Word64* seen;
    uint32_t woken;  // the generation that was woken already
  };
  std::vector<Sleeper> sleepers_;  // the publisher's own copy of what it must look at in P4
  uint32_t watched_version_ = 0;
  Word64 shown_;   // the tail that readers see; less than tail_: messages are staged
  Word64 looked_;  // the tail up to which P5 is done; else the publisher may be looking at a gate's words

  alignas(kLine) Mutex gates_mutex_;
  std::vector<Gate> gates_ PUMA_GUARDED_BY(gates_mutex_);
  Word32 gates_version_{0};  // moves under the mutex
  KickWord gates_changed_;   // wakes a publisher that waits for room
};

// Blocks until one of `rings` has room for `bytes`, and returns its index. DEADLINE_EXCEEDED; CANCELLED: `wait.interrupted` said so.
absl::StatusOr<size_t> WaitForRoom(std::span<RingWriter* const> rings, size_t bytes, const RoomWait& wait);

// What a publisher says of itself. Bounded by what can be, but its word.
struct RingStatistics {
  uint64_t dropped = 0;
  uint64_t blocked_times = 0;
  int64_t blocked_ns = 0;        // the present wait included
  int64_t blocked_since_ns = 0;  // CLOCK_MONOTONIC; 0: not now
};

// A message in its place. Valid until the reader's position passes it.
struct RingItem {
  uint64_t number = 0;
  MessageKind kind = MessageKind::kNone;
  uint16_t flags = 0;
  std::span<const std::byte> bytes;
  const Annotation* annotation = nullptr;  // null: the ring has none
};

// Messages of one size that lie one after the other in their places.
struct RingRun {
  const std::byte* data = nullptr;
  size_t each = 0, count = 0;
};

// The reading end: looks, never writes. The header was checked and copied; descriptors are copied once and then checked.
// Thread-compatible. The memory must outlive it.
class RingReader {
 public:
  RingReader() = default;
  // DATA_LOSS names the first thing that is wrong with the header.
  static absl::StatusOr<RingReader> Open(std::span<const std::byte> memory);

  const RingConstants& constants() const { return constants_; }
  uint64_t tail() const;            // acquire. A tail that ran backwards or too far is reported by Look
  const Word32* tail_word() const;  // to sleep on
  uint64_t released() const;
  const RingHeader& header() const { return *header_; }
  // The message `number`, or nothing if it is not yet published. `position` is what this reader gates with (for the sanity checks).
  // DATA_LOSS: the ring is corrupt and must be quarantined.
  absl::StatusOr<std::optional<RingItem>> Look(uint64_t number);
  // The same for who reads many: false if there is none, or if Look knows what is wrong.
  bool LookInto(uint64_t number, RingItem& item);
  // Of the messages from `number` on those, at most so many, that are values of one size and lie one after the other. None: there is none,
  // it is the completion, or Look knows what is wrong.
  RingRun LookRun(uint64_t number, size_t at_most);
  // A lossy reader's look: the payload is copied to `out`, then validated. If the message was overwritten, `number` moves on and the gap
  // [first, last] is set: exactly what is lost. A reader that can't keep up gets a gap without a message. Does not consume; the item is
  // valid until the next call.
  struct Gap {
    uint64_t first = 0, last = 0;
  };
  absl::StatusOr<std::optional<RingItem>> CopyOut(uint64_t& number, std::string& out, std::optional<Gap>& gap);
  // The same for who wants a message's beginning only: `out` gets at most `at_most` bytes of it, `whole` says how many it has.
  absl::StatusOr<std::optional<RingItem>> CopyOut(uint64_t& number, std::string& out, std::optional<Gap>& gap, size_t at_most,
                                                  size_t& whole);
  // The completion's error text; "" for none. Call only after a kComplete was seen.
  std::string ErrorText() const;
  RingStatistics Statistics(int64_t now_ns) const;
  // The most messages that a fresh look at the tail has found at or behind the number that was asked for.
  uint64_t largest_backlog() const { return largest_backlog_; }
  // Bytes of payload that the messages [from, to) hold, rounded as they lie. `to` may be the tail.
  uint64_t BytesHeld(uint64_t from, uint64_t to) const;
  // R4, R5: call after a position was stored; wakes a publisher that waits for it.
  void WakePublisher(uint64_t position, const Word64* position_word, uint32_t& seen_want) const;

 private:
  friend class RingWriter;  // Resume checks a header as a reader does
  absl::Status SeeTail(uint64_t number);
  const char* Find(uint64_t number, RingItem& item) const;
  bool SeeMore(uint64_t number);
  bool CopyMessage(uint64_t number, std::string& out, size_t at_most, size_t& whole, RingItem& item, const char*& fault);

  const RingHeader* header_ = nullptr;
  const Descriptor* descriptors_ = nullptr;
  const Annotation* annotations_ = nullptr;
  const std::byte* payload_ = nullptr;
  RingConstants constants_{};
  uint64_t seen_tail_ = 0;
  uint64_t largest_backlog_ = 0;
  Annotation copied_annotation_{};
};

}  // namespace puma

#include "worker/buffer/ring_look.h"     // IWYU pragma: export
#include "worker/buffer/ring_publish.h"  // IWYU pragma: export
#endif                                   // PUMA_WORKER_BUFFER_RING_H_
