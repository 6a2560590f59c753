#ifndef PUMA_WORKER_CONTROL_LOG_RING_H_
#define PUMA_WORKER_CONTROL_LOG_RING_H_
// The writing end of a log ring, wherever the ring lies: in a worker's W, or between a program and its child (worker/logging/hub.h).
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/buffer/ring.h"
#include "worker/control/control_segments.h"
#include "worker/platform/mutex.h"

namespace puma::control {

// Never blocks: what finds no room is dropped and counted. Thread-safe.
class LogRing {
 public:
  // Formats `memory`. Who reads acknowledges in `position`; `dropped` are the six counters that he sees.
  static absl::StatusOr<std::unique_ptr<LogRing>> Create(std::span<std::byte> memory, const RingOptions& options, const Word64* position,
                                                         Word64* dropped);
  // Writes a record; a text of more than kLogRecordBytes is cut, and says so. False: dropped. A record that was written stands before a
  // full barrier: the caller may ask at once whether the reader sleeps.
  bool Send(const LogEntry& entry, std::string_view text);

 private:
  LogRing(std::unique_ptr<RingWriter> ring, Word64* dropped) : ring_(std::move(ring)), dropped_(dropped) {}
  bool SendCut(const LogEntry& entry, std::string_view text);
  Mutex mutex_;
  const std::unique_ptr<RingWriter> ring_ PUMA_PT_GUARDED_BY(mutex_);
  uint64_t dropped_in_a_row_ PUMA_GUARDED_BY(mutex_) = 0;
  Word64* const dropped_;
};

// Texts in an arena that others read: each once, never moved. Thread-compatible.
class StringArena {
 public:
  StringArena(std::byte* memory, uint32_t bytes) : memory_(memory), bytes_(bytes) {}
  // Where the text lies. False: no room.
  bool Intern(std::string_view text, uint32_t& offset);
  std::string_view View(uint32_t offset, size_t length) const { return {reinterpret_cast<const char*>(memory_) + offset, length}; }

 private:
  std::byte* const memory_;
  const uint32_t bytes_;
  uint32_t used_ = 0;
  std::map<std::string_view, uint32_t> offsets_;  // views of the arena
};

// A place in the code that logs, by the addresses of its constants: the same addresses, the same texts.
struct CallSite {
  const char* logger;
  const char* file;
  const char* function;
  uint32_t line;
  uint32_t slot_plus_one;
  friend bool operator==(const CallSite&, const CallSite&) = default;
};

// The sources of call sites that have logged before: a look costs a few loads. Only ever grows; what finds no place here is looked up by
// its texts each time. Thread-safe, without locks.
class KnownSites {
 public:
  uint32_t Find(const CallSite& site) const;  // 0: not known
  void Add(const CallSite& site, uint32_t source);

 private:
  static constexpr size_t kPlaces = 1024, kTries = 8;
  static constexpr uint32_t kBusy = UINT32_MAX;
  struct Place {
    Word32 source{0};  // 0: free; kBusy: being written; else `site` stands for ever
    CallSite site{};
  };
  static size_t Hash(const CallSite& site);
  std::array<Place, kPlaces> places_;
};

inline size_t KnownSites::Hash(const CallSite& site) {
  const auto number = [](const char* p) { return reinterpret_cast<uintptr_t>(p); };
  uint64_t hash =
      number(site.file) + 31 * number(site.function) + 17 * number(site.logger) + 8191 * uint64_t{site.line} + site.slot_plus_one;
  hash *= 0x9e3779b97f4a7c15;
  return hash >> 54;  // the uppermost bits, kPlaces of them
}

inline uint32_t KnownSites::Find(const CallSite& site) const {
  static_assert(kPlaces == size_t{1} << 10);
  size_t at = Hash(site);
  for (size_t i = 0; i < kTries; ++i, at = (at + 1) % kPlaces) {
    const uint32_t source = places_[at].source.load(std::memory_order_acquire);  // pairs with Add
    if (source == 0) return 0;
    if (source != kBusy && places_[at].site == site) return source;
  }
  return 0;
}

}  // namespace puma::control
#endif  // PUMA_WORKER_CONTROL_LOG_RING_H_
