#ifndef PUMA_TESTS_BUFFER_RING_FIXTURE_H_
#define PUMA_TESTS_BUFFER_RING_FIXTURE_H_
// A ring in plain memory with one reader, as a small language: Publish("a"), Full(), Read() ...
#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "worker/buffer/ring.h"

namespace puma::testing {

// Zeroed, line-aligned memory, exactly as long as asked: the sanitizer sees a step beyond it.
class AlignedMemory {
 public:
  explicit AlignedMemory(size_t bytes) : bytes_(bytes), data_(static_cast<std::byte*>(std::aligned_alloc(kLine, bytes))) {
    memset(data_.get(), 0, bytes);
  }
  std::span<std::byte> span() { return {data_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const { free(data); }
  };
  size_t bytes_;
  std::unique_ptr<std::byte, Free> data_;
};

// A reader's page slot and sleep word without a segment.
struct FakePage {
  Word32 sleep{0};
  Word64 position{0}, tag{0};
  Gate ToGate(uint64_t subscription, uint64_t floor = 0) const {
    return {.subscription = subscription, .position = &position, .tag = &tag, .sleep = &sleep, .floor = floor};
  }
};

inline RingOptions Descriptors(uint64_t capacity, uint64_t max_message, uint64_t payload_bytes, uint64_t base = 0) {
  return {.base = base, .capacity = capacity, .payload_bytes = payload_bytes, .max_message = max_message};
}
inline RingOptions Fixed(uint64_t capacity, uint64_t stride, uint64_t base = 0) {
  return {.layout = RingLayout::kFixedStride, .base = base, .capacity = capacity, .stride = stride};
}

class TestRing {
 public:
  static constexpr uint64_t kReader = 7;  // the subscription of the gate that is there from the beginning

  explicit TestRing(const RingOptions& options, bool gated = true)
      : memory_(RingWriter::BytesNeeded(options).value()),
        writer_(RingWriter::Create(memory_.span(), options).value()),
        reader_(RingReader::Open(memory_.span()).value()),
        next_(options.base) {
    if (!gated) return;
    page_.position = options.base;
    page_.tag = options.lane_id;
    writer_->SetGate(page_.ToGate(kReader, options.base));
  }

  absl::Status Publish(std::string_view text, MessageKind kind = MessageKind::kValue, uint16_t flags = 0) {
    auto room = writer_->TryReserve(text.size());
    if (!room.ok()) return room.status();
    memcpy(room->data(), text.data(), text.size());
    writer_->Commit(text.size(), kind, flags);
    return absl::OkStatus();
  }
  // Publishes "0", "1", ... until there is no room; how many that were.
  uint64_t Fill(size_t bytes = 1) {
    uint64_t count = 0;
    while (Publish(std::string(bytes, static_cast<char>('a' + count % 26))).ok()) ++count;
    return count;
  }
  // Both ways to look must agree: one gives the reasons, the other is fast.
  absl::StatusOr<std::optional<RingItem>> Look() {
    RingItem fast;
    const bool found = reader_.LookInto(next_, fast);
    absl::StatusOr<std::optional<RingItem>> item = reader_.Look(next_);
    EXPECT_EQ(found, item.ok() && item->has_value());
    if (found && item.ok() && item->has_value()) {
      EXPECT_EQ(std::tie(fast.number, fast.kind, fast.flags, fast.annotation),
                std::tie((*item)->number, (*item)->kind, (*item)->flags, (*item)->annotation));
      EXPECT_EQ(fast.bytes.data(), (*item)->bytes.data());
      EXPECT_EQ(fast.bytes.size(), (*item)->bytes.size());
    }
    return item;
  }
  // Reads one message and moves the gate. Fails the test if there is none.
  std::string Read() {
    auto item = Look();
    if (!item.ok() || !item->has_value()) {
      ADD_FAILURE() << "nothing to read at " << next_ << ": " << item.status();
      return "";
    }
    std::string text(reinterpret_cast<const char*>((*item)->bytes.data()), (*item)->bytes.size());
    page_.position.store(++next_, std::memory_order_release);
    return text;
  }
  RingHeader& header() { return *reinterpret_cast<RingHeader*>(memory_.span().data()); }
  Descriptor& descriptor(uint64_t number) {
    auto* first = reinterpret_cast<Descriptor*>(memory_.span().data() + sizeof(RingHeader));
    return first[number & (reader_.constants().slots - 1)];
  }
  RingWriter& writer() { return *writer_; }
  RingReader& reader() { return reader_; }
  FakePage& page() { return page_; }
  uint64_t& next() { return next_; }
  std::span<std::byte> memory() { return memory_.span(); }

 private:
  AlignedMemory memory_;
  FakePage page_;
  std::unique_ptr<RingWriter> writer_;
  RingReader reader_;
  uint64_t next_;
};

inline std::string Text(const RingItem& item) { return {reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()}; }

}  // namespace puma::testing
#endif  // PUMA_TESTS_BUFFER_RING_FIXTURE_H_
