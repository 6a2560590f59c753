#ifndef PUMA_WORKER_BUFFER_LAYOUT_H_
#define PUMA_WORKER_BUFFER_LAYOUT_H_
// The shared layout of rings and task pages, byte for byte. README.md draws it and says why each line is where it is.
// Every structure here has exactly one writing process; others map it read-only.
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace puma {

inline constexpr size_t kLine = 128;                        // two cache lines: adjacent-line prefetch makes pairs of 64 share their fate
inline constexpr uint64_t kRingMagic = 0x676e695200616d50;  // "Pma\0Ring"
inline constexpr uint64_t kPageMagic = 0x6567615000616d50;  // "Pma\0Page"
inline constexpr uint32_t kLayoutVersion = 3;
inline constexpr size_t kErrorBytes = 4096;
inline constexpr size_t kPayloadAlignment = 64;

enum class RingLayout : uint32_t { kFixedStride = 1, kDescriptors = 2 };
enum class WakeMode : uint32_t { kFenced = 1, kAsymmetric = 2 };  // a constant of the ring; readers obey it

enum class MessageKind : uint16_t { kNone = 0, kValue = 1, kComplete = 2 };  // others are the business of the ring's two ends

using Word32 = std::atomic<uint32_t>;
using Word64 = std::atomic<uint64_t>;
static_assert(Word64::is_always_lock_free && Word32::is_always_lock_free && sizeof(Word64) == 8 && sizeof(Word32) == 4);

// Line 0 of a ring. Written before hand-out; readers copy it once, check the copy and never look again.
struct RingConstants {
  uint64_t magic;
  uint32_t version;
  RingLayout layout;
  uint64_t lane_id;        // given by whoever grants the ring; not zero
  uint64_t base;           // number of the first message
  uint64_t capacity;       // messages, exact
  uint64_t slots;          // power of two, at least capacity + 1: the completion always has a place
  uint64_t stride;         // fixed stride: bytes from one message to the next; else 0
  uint64_t payload_bytes;  // descriptors: size of the payload ring, a multiple of kPayloadAlignment; else slots * stride
  uint64_t max_message;    // bytes
  uint32_t epoch;          // incarnation of the publisher
  WakeMode wake_mode;
  uint32_t lossy;      // 1: no subscription gates
  uint32_t annotated;  // 1: an Annotation for each slot follows the descriptors
};
static_assert(sizeof(RingConstants) <= kLine);

struct RingHeader {
  alignas(kLine) RingConstants constants;
  alignas(kLine) Word64 tail;      // number of the next message; its low half is the futex word of sleeping readers
  alignas(kLine) Word64 released;  // messages below may be overwritten
  alignas(kLine) Word32 want;      // odd: the publisher sleeps until a position reaches want_position
  Word64 want_position;
  alignas(kLine) Word64 dropped;  // statistics, stored when there is no room: messages that found none
  Word64 blocked_times;           // waits for room, and how long those took that are over
  Word64 blocked_ns;
  Word64 blocked_since;                // CLOCK_MONOTONIC; 0: not now
  alignas(kLine) Word64 close_number;  // number of the completion
  Word32 closed;                       // 1: close_number counts
  uint32_t error_length;               // of the error's text, 0: completed without error
  char error[kErrorBytes];
};

struct Descriptor {
  uint64_t offset;  // in the payload ring
  uint32_t length;
  MessageKind kind;
  uint16_t flags;
};
static_assert(sizeof(Descriptor) == 16);
inline constexpr uint16_t kFlagRedelivered = 1;  // the message was made while its cause was handled for a second time

// Where a message comes from; optional, one a slot, beside the descriptors so that both layouts can have it.
struct Annotation {
  int64_t published_ns;  // CLOCK_MONOTONIC
  uint64_t cause_lane;   // the message in whose handler it was published; 0: none
  uint64_t cause_number;
  uint32_t cause_epoch;
  uint32_t flags;
};
static_assert(sizeof(Annotation) == 32);

// A task page: its header, then two lines for each lane that its runnable reads.
struct PageConstants {
  uint64_t magic;
  uint32_t version;
  uint32_t slots;
  uint64_t task;  // uid
  uint64_t run;
};
struct PageHeader {
  alignas(kLine) PageConstants constants;
  alignas(kLine) Word32 sleep;  // a generation; odd: asleep or about to be. Nothing else on this line
};
struct PageSlot {
  alignas(kLine) Word64 position;  // gates; futex word of a publisher that waits for room
  Word64 tag;                      // lane id that the slot is about; 0: free
  Word64 seen;                     // how far its reader has looked when it goes to sleep; beyond `position` by the messages that it holds
  alignas(kLine) Word64 next;      // first number not finished: where the next incarnation goes on
  Word64 in_hand;                  // number + 1 of the oldest message that was handed out and is not finished; 0: none
  Word64 deliveries;               // how often the message `next` was handed out by earlier incarnations
  Word64 handed;                   // all messages below it were handed out: by earlier incarnations, or by this one, which holds some
  Word64 backlog;                  // statistics: the most messages that were found waiting
  Word64 redelivered;              // messages handed out again after a death
  Word64 missed;                   // lossy: messages that were overwritten or passed over
};
static_assert(sizeof(PageSlot) == 2 * kLine);

}  // namespace puma
#endif  // PUMA_WORKER_BUFFER_LAYOUT_H_
