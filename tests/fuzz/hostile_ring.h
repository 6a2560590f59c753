#ifndef PUMA_TESTS_FUZZ_HOSTILE_RING_H_
#define PUMA_TESTS_FUZZ_HOSTILE_RING_H_
// A ring with some messages in memory that is exactly as long as it must be, and a reader that uses all of the reading end.
#include <cstdlib>
#include <memory>
#include <string>

#include "tests/fuzz/fuzz_input.h"
#include "worker/buffer/ring.h"

namespace puma::fuzz {

class HostileRing {
 public:
  explicit HostileRing(Input& input) {
    const auto kind = input.Take<uint8_t>();
    RingOptions options;
    options.base = (kind & 1) != 0 ? ~uint64_t{0} - 4 : 0;
    options.annotated = (kind & 2) != 0;
    options.lossy = (kind & 4) != 0;
    options.capacity = 1 + (kind >> 4) % 6;
    options.max_message = 64;
    if ((kind & 8) != 0) {
      options.layout = RingLayout::kFixedStride;
      options.stride = 64;
    } else {
      options.payload_bytes = 256;
    }
    bytes_ = RingWriter::BytesNeeded(options).value();
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kLine, bytes_)));
    memset(memory_.get(), 0, bytes_);
    writer_ = RingWriter::Create(memory(), options).value();
    const auto messages = input.Take<uint8_t>() % 8;
    for (int i = 0; i < messages; ++i) {
      auto room = writer_->TryReserve(64);
      if (!room.ok()) break;
      memset(room->data(), i, room->size());
      writer_->Commit(messages % 2 == 0 ? 64 : 8 + i);  // side by side, or with gaps
    }
    if (messages == 7) writer_->Complete("the error");
  }
  std::span<std::byte> memory() const { return {memory_.get(), bytes_}; }
  RingWriter& writer() { return *writer_; }

  // Whatever stands there: what is handed out lies in the ring.
  void Read(RingReader reader) const {
    const uint64_t base = reader.constants().base;
    std::string out;
    for (uint64_t number : {base, base + 1, base + 2, base + 7, reader.tail() - 1, reader.tail(), reader.released()}) {
      if (auto item = reader.Look(number); item.ok() && item->has_value()) CheckPlace(**item);
      if (const RingRun run = reader.LookRun(number, 100); run.count != 0) {
        Must(run.count <= reader.constants().slots, "a run longer than the ring");
        CheckPlace({.bytes = {run.data, run.count * run.each}});
      }
      std::optional<RingReader::Gap> gap;
      uint64_t next = number;
      auto copied = reader.CopyOut(next, out, gap);
      if (copied.ok() && copied->has_value()) {
        Must((*copied)->bytes.size() <= reader.constants().max_message, "a copy longer than max_message");
        Touch((*copied)->bytes);
      }
      Must(out.size() <= reader.constants().max_message, "a copy longer than max_message");
    }
    Must(reader.ErrorText().size() <= kErrorBytes, "an error longer than its place");
    Word64 position{base};
    uint32_t seen = 0;
    reader.WakePublisher(base + 1, &position, seen);
  }
  void CheckPlace(const RingItem& item) const {
    Touch(item.bytes);
    if (item.bytes.empty()) return;
    Must(item.bytes.data() >= memory_.get() && item.bytes.data() + item.bytes.size() <= memory_.get() + bytes_, "an item outside the ring");
  }

 private:
  struct Free {
    void operator()(std::byte* data) const { free(data); }
  };
  size_t bytes_ = 0;
  std::unique_ptr<std::byte, Free> memory_;
  std::unique_ptr<RingWriter> writer_;
};

}  // namespace puma::fuzz
#endif  // PUMA_TESTS_FUZZ_HOSTILE_RING_H_
