#include "worker/process/control_sink.h"

#include "worker/platform/system.h"

namespace puma::process {

uint32_t ControlSink::SourceOf(uint32_t slot_plus_one, std::string_view logger, const Here& where) {
  const control::CallSite site{logger.data(), where.file, where.function, static_cast<uint32_t>(where.line), slot_plus_one};
  if (const uint32_t known = known_.Find(site); known != 0) return known;
  const uint32_t source = control_.InternSource(slot_plus_one, logger, where.file, static_cast<uint32_t>(where.line), where.function);
  known_.Add(site, source);
  return source;
}

void ControlSink::Write(const logging::Record& record) {
  if (record.only_for_captures) return;
  control::LogEntry entry{};
  entry.time_unix_ns = record.time_unix_ns;
  entry.level = static_cast<int32_t>(record.level);
  entry.source = SourceOf(record.slot_plus_one, record.logger, record.where);
  entry.tid = record.thread;
  entry.stream = kStreamLog;
  control_.SendLog(entry, record.text);
}

void ControlSink::WriteLine(logging::Stream stream, uint32_t slot_plus_one, std::string_view text) {
  const bool out = stream == logging::Stream::kStdout;
  control::LogEntry entry{};
  entry.time_unix_ns = RealNanos();
  entry.level = static_cast<int32_t>(out ? Level::kInfo : Level::kWarn);
  entry.source = SourceOf(slot_plus_one, out ? "stdout" : "stderr", {"", "", 0});
  entry.tid = 0;
  entry.stream = out ? kStreamStdout : kStreamStderr;
  control_.SendLog(entry, text);
}

}  // namespace puma::process
