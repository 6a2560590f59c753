#include "worker/process/control_sink.h"

#include "worker/platform/system.h"

namespace puma::process {
namespace {

int64_t CachedThreadId() {
  static thread_local const int64_t id = ThreadId();
  return id;
}

// Sources that this thread has used: a direct-mapped cache, keyed by addresses, which are constants of a call site.
struct Cached {
  const char* file = nullptr;
  const char* logger = nullptr;
  int line = 0;
  uint32_t slot_plus_one = 0;
  uint32_t source = 0;
};

}  // namespace

uint32_t ControlSink::SourceOf(uint32_t slot_plus_one, const logging::Site& site) {
  static thread_local Cached cache[64];
  const size_t hash = reinterpret_cast<uintptr_t>(site.where.file) / 16 + static_cast<size_t>(site.where.line) * 31;
  Cached& c = cache[hash % 64];
  if (c.file != site.where.file || c.line != site.where.line || c.logger != site.logger.data() || c.slot_plus_one != slot_plus_one) {
    const uint32_t source =
        control_.InternSource(slot_plus_one, site.logger, site.where.file, static_cast<uint32_t>(site.where.line), site.where.function);
    c = {site.where.file, site.logger.data(), site.where.line, slot_plus_one, source};
  }
  return c.source;
}

void ControlSink::Write(Level level, const logging::Site& site, std::string_view text) {
  control::LogEntry entry{};
  entry.time_unix_ns = RealNanos();
  entry.level = static_cast<int32_t>(level);
  entry.source = SourceOf(logging::CurrentSlotPlusOne(), site);
  entry.tid = CachedThreadId();
  entry.stream = kStreamLog;
  control_.SendLog(entry, text);
}

void ControlSink::WriteLine(logging::Stream stream, uint32_t slot_plus_one, std::string_view text) {
  const bool out = stream == logging::Stream::kStdout;
  control::LogEntry entry{};
  entry.time_unix_ns = RealNanos();
  entry.level = static_cast<int32_t>(out ? Level::kInfo : Level::kWarn);
  entry.source = SourceOf(slot_plus_one, {out ? "stdout" : "stderr", {"", "", 0}});
  entry.tid = 0;
  entry.stream = out ? kStreamStdout : kStreamStderr;
  control_.SendLog(entry, text);
}

}  // namespace puma::process
