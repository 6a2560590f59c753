#include "worker/logging/hub_sink.h"

#include <unistd.h>

#include <cstring>
#include <utility>

namespace puma::logging {
namespace {

constexpr size_t kPageBytes = 4096;  // rings begin on pages, so that untouched payload costs no memory
size_t Align(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

RingOptions HubRingOptions(uint64_t records, uint64_t bytes) {
  RingOptions options;
  options.capacity = records;
  options.max_message = sizeof(control::LogEntry) + control::kLogRecordBytes;
  options.payload_bytes = bytes;
  return options;
}

HubRingMap MapOfHubRing(const RingOptions& options) {
  HubRingMap map{};
  const auto ring = RingWriter::BytesNeeded(options);
  if (!ring.ok()) return map;
  map.sources = Align(sizeof(HubRingHeader), kLine);
  map.arena = Align(map.sources + control::kMaxSources * sizeof(HubSource), kLine);
  map.ring = Align(map.arena + control::kSourceBytes, kPageBytes);
  map.bytes = map.ring + Align(*ring, kPageBytes);
  return map;
}

HubSink::HubSink(Segment page, Segment ring, UniqueFd doorbell, const HubRingMap& map)
    : page_(std::move(page)),
      ring_(std::move(ring)),
      doorbell_(std::move(doorbell)),
      map_(map),
      arena_(ring_.data() + map.arena, static_cast<uint32_t>(control::kSourceBytes)) {}

absl::StatusOr<std::unique_ptr<HubSink>> HubSink::Open(HubDescriptors descriptors) {
  auto page = Segment::MapReadOnly(std::move(descriptors.page), Seals::kOneWriter, kHubPageBytes);
  if (!page.ok()) return page.status();
  const auto& hub = *reinterpret_cast<const HubPage*>(page->data());
  if (hub.magic != kHubMagic || hub.version != kHubVersion) return absl::DataLossError("log hub: not of this version");
  const RingOptions options = HubRingOptions(hub.ring_records, hub.ring_bytes);
  const HubRingMap map = MapOfHubRing(options);
  if (map.bytes == 0) return absl::DataLossError("log hub: impossible ring");
  auto ring = Segment::MapWritable(std::move(descriptors.ring), map.bytes);
  if (!ring.ok()) return ring.status();
  std::unique_ptr<HubSink> sink(new HubSink(*std::move(page), *std::move(ring), std::move(descriptors.doorbell), map));
  HubRingHeader& header = sink->header();
  if (header.magic != kHubRingMagic || header.version != kHubVersion || header.slot >= kHubSlots)
    return absl::DataLossError("log ring: not of this version");
  if (header.ready.load(std::memory_order_relaxed) != 0) return absl::DataLossError("log ring: in use");
  auto logs = control::LogRing::Create({sink->ring_.data() + map.ring, map.bytes - map.ring}, options,
                                       &SlotsOf(sink->page_.data())[header.slot].position, header.dropped);
  if (!logs.ok()) return logs.status();
  sink->logs_ = *std::move(logs);
  header.source_count.store(1, std::memory_order_relaxed);
  header.ready.store(1, std::memory_order_release);  // pairs with the hub's OpenRing
  return sink;
}

void HubSink::Write(const Record& record) {
  control::LogEntry entry;
  entry.time_unix_ns = record.time_unix_ns;
  entry.level = static_cast<int32_t>(record.level);
  entry.source = SourceOf(record);
  entry.tid = record.thread;
  entry.stream = record.only_for_captures ? kForCaptures : kForAll;
  entry.length = 0;
  entry.dropped_before = 0;
  if (logs_->Send(entry, record.text)) RingIfAsleep();
}

uint32_t HubSink::SourceOf(const Record& record) {
  if (!record.process.empty()) return InternSource(record);  // a child's: its texts are no constants here
  const control::CallSite site{record.logger.data(), record.where.file, record.where.function, static_cast<uint32_t>(record.where.line), 0};
  if (const uint32_t known = known_.Find(site); known != 0) return known;
  const uint32_t source = InternSource(record);
  known_.Add(site, source);
  return source;
}

uint32_t HubSink::InternSource(const Record& record) {
  const std::string_view file = record.where.file, function = record.where.function;
  const auto line = static_cast<uint32_t>(record.where.line);
  MutexLock lock(mutex_);
  if (const auto at = sources_.find(Key{line, record.process, record.logger, file, function}); at != sources_.end()) return at->second;
  const uint32_t index = header().source_count.load(std::memory_order_relaxed);
  HubSource source{};
  source.line = line;
  const auto intern = [&](std::string_view text, uint32_t& offset, uint32_t& length) PUMA_REQUIRES(mutex_) {
    length = static_cast<uint32_t>(text.size());
    return arena_.Intern(text, offset);
  };
  if (index >= control::kMaxSources || !intern(record.process, source.process, source.process_length) ||
      !intern(record.logger, source.logger, source.logger_length) || !intern(file, source.file, source.file_length) ||
      !intern(function, source.function, source.function_length)) {
    return 0;
  }
  std::memcpy(ring_.data() + map_.sources + index * sizeof(HubSource), &source, sizeof(source));
  sources_.emplace(Key{line, arena_.View(source.process, source.process_length), arena_.View(source.logger, source.logger_length),
                       arena_.View(source.file, source.file_length), arena_.View(source.function, source.function_length)},
                   index);
  header().source_count.store(index + 1, std::memory_order_release);  // pairs with the hub's ReadSource
  return index;
}

// The record, a barrier (LogRing::Send), then the question; in the hub the sleep, a barrier, then the question whether there are records.
void HubSink::RingIfAsleep() {
  const uint32_t sleep = reinterpret_cast<const HubPage*>(page_.data())->sleeping.load(std::memory_order_relaxed);
  if (sleep % 2 == 0 || rung_.exchange(sleep, std::memory_order_relaxed) == sleep) return;
  const uint64_t one = 1;
  (void)!::write(doorbell_.get(), &one, sizeof(one));
}

absl::Status AttachToHub(HubDescriptors descriptors, std::string_view process_name, std::string_view levels) {
  auto sink = HubSink::Open(std::move(descriptors));
  if (!sink.ok()) return sink.status();
  ForgetThreadId();
  SetProcessName(process_name);
  InstallSink(sink->release());  // stays: some thread may log to the very end
  return ApplyLevels(levels);
}

void DetachFromHub() {
  ForgetThreadId();
  InstallSink(nullptr);
}

}  // namespace puma::logging
