#include "worker/logging/hub_child.h"

#include <fmt/format.h>
#include <puma/logging.h>

#include <cstring>
#include <utility>

#include "worker/logging/record_sink.h"
#include "worker/platform/system.h"

namespace puma::logging {

HubChild::HubChild(uint64_t token, uint32_t slot, std::string_view name, Segment ring, const HubRingMap& map, Word64& position)
    : token_(token), slot_(slot), name_(name), ring_(std::move(ring)), map_(map), position_(position) {}

bool HubChild::OpenRing() {
  if (header().ready.load(std::memory_order_acquire) == 0) return false;  // the child has not attached, or never will
  auto opened = RingReader::Open({ring_.data() + map_.ring, map_.bytes - map_.ring});
  if (!opened.ok()) return Spoiled(std::string(opened.status().message()));
  reader_ = *opened;
  next_ = reader_.constants().base;
  return open_ = true;
}

bool HubChild::Peek() {
  if (waiting_) return true;
  if (spoiled_ || (!open_ && !OpenRing())) return false;
  RingItem item;
  if (!reader_.LookInto(next_, item)) {
    auto looked = reader_.Look(next_);  // knows what is wrong, if anything is
    if (!looked.ok()) return Spoiled(std::string(looked.status().message()));
    if (!looked->has_value()) return false;
    item = **looked;
  }
  return TakeApart(item);
}

bool HubChild::TakeApart(const RingItem& item) {
  if (item.bytes.size() < sizeof(entry_)) return Spoiled("a record that is too short");
  std::memcpy(&entry_, item.bytes.data(), sizeof(entry_));
  if (entry_.level < 0 || entry_.level > 5 || entry_.length > item.bytes.size() - sizeof(entry_)) return Spoiled("an impossible record");
  text_ = {reinterpret_cast<const char*>(item.bytes.data()) + sizeof(entry_), entry_.length};
  return waiting_ = true;
}

const HubChild::Texts& HubChild::ReadSource(uint32_t index) {
  static const auto* const unknown = new Texts;
  const uint32_t count = header().source_count.load(std::memory_order_acquire);
  if (index == 0 || index >= count || index >= control::kMaxSources) return *unknown;
  while (sources_.size() <= index) {
    HubSource source;
    std::memcpy(&source, ring_.data() + map_.sources + sources_.size() * sizeof(source), sizeof(source));
    const char* const arena = reinterpret_cast<const char*>(ring_.data()) + map_.arena;
    const auto text = [&](uint32_t offset, uint32_t length) {
      const bool good = offset <= control::kSourceBytes && length <= control::kSourceBytes - offset;
      return good ? std::string(arena + offset, length) : std::string("?");
    };
    sources_.push_back({text(source.process, source.process_length), text(source.logger, source.logger_length),
                        text(source.file, source.file_length), text(source.function, source.function_length),
                        static_cast<int>(source.line)});
  }
  return sources_[index];
}

void HubChild::Deliver() {
  if (entry_.dropped_before > 0) ReportDropped();
  const Texts& source = ReadSource(entry_.source);
  Record record;
  record.time_unix_ns = entry_.time_unix_ns;
  record.level = static_cast<Level>(entry_.level);
  record.process = source.process.empty() ? name_ : source.process;
  record.logger = source.logger;
  record.where = {source.file.c_str(), source.function.c_str(), source.line};
  record.thread = entry_.tid;
  record.text = text_;
  record.only_for_captures = entry_.stream == kForCaptures;
  record.more = true;
  Dispatch(record);
  ++next_;
  waiting_ = false;
}

void HubChild::Acknowledge() {
  // The child never waits for room: nobody is to be woken.
  if (open_ && position_.load(std::memory_order_relaxed) != next_) position_.store(next_, std::memory_order_release);
}

void HubChild::ReportDropped() {
  std::string list;
  for (uint32_t level = 0; level < 6; ++level) {
    const uint64_t dropped = header().dropped[level].load(std::memory_order_relaxed);
    const uint64_t since = dropped - std::exchange(reported_[level], dropped);
    if (since > 0) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", since, LevelName(static_cast<Level>(level)));
  }
  if (!list.empty()) Say(fmt::format("records were dropped, since the log's ring was full: {}", list));
}

bool HubChild::Spoiled(std::string_view why) {
  spoiled_ = true;
  Say(fmt::format("the process has spoiled its log, which is not read any more: {}", why));
  return false;
}

void HubChild::Say(std::string_view text) {
  static const std::atomic<uint32_t>* const level = LevelWord("puma.logging");
  if (static_cast<uint32_t>(Level::kWarn) < level->load(std::memory_order_relaxed)) return;
  Record record;
  record.time_unix_ns = RealNanos();
  record.level = Level::kWarn;
  record.process = name_;
  record.logger = "puma.logging";
  record.where = Here::Now();
  record.thread = CachedThreadId();
  record.text = text;
  record.more = true;
  record.only_for_captures = OnlyForCaptures(record.logger, Level::kWarn);
  Dispatch(record);
}

}  // namespace puma::logging
