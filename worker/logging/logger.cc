#include <fmt/format.h>
#include <puma/log.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <set>
#include <string>

#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"
#include "worker/platform/system.h"

namespace puma {
namespace logging {
namespace {

std::atomic<RecordSink*> the_sink{nullptr};

// Initial-exec: a signal handler reads them, and they cost one load.
__attribute__((tls_model("initial-exec"))) thread_local const Logger* thread_logger = nullptr;
__attribute__((tls_model("initial-exec"))) thread_local uint32_t thread_slot = 0;

// One line per record, written by one call, so that lines of several threads don't mix.
void WriteToStderr(Level level, const Site& site, std::string_view text) {
  static constexpr const char* kNames[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "OFF"};
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts;
  localtime_r(&now.tv_sec, &parts);
  fmt::memory_buffer line;
  fmt::format_to(fmt::appender(line), "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03} {:5} {} {} {}:{}:{} {}\n", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000,
                 kNames[static_cast<int>(level)], site.logger.empty() ? "-" : site.logger, ThreadId(), site.where.file, site.where.function,
                 site.where.line, text);
  [[maybe_unused]] ssize_t n = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

RecordSink* InstallSink(RecordSink* sink) { return the_sink.exchange(sink, std::memory_order_acq_rel); }

std::atomic<uint32_t>& ProcessLevel() {
  static std::atomic<uint32_t> level{static_cast<uint32_t>(Level::kWarn)};
  return level;
}

const std::string* InternName(std::string_view name) {
  static Mutex mutex;
  static auto* const names = new std::set<std::string, std::less<>>;  // never destroyed: loggers may be used to the end
  MutexLock lock(mutex);
  auto at = names->find(name);
  if (at == names->end()) at = names->emplace(name).first;
  return &*at;
}

ThreadScope::ThreadScope(const Logger& logger, uint32_t slot) : previous_logger_(thread_logger), previous_slot_(thread_slot) {
  thread_logger = &logger;
  thread_slot = slot + 1;
}

ThreadScope::~ThreadScope() {
  thread_logger = previous_logger_;
  thread_slot = previous_slot_;
}

uint32_t CurrentSlotPlusOne() { return thread_slot; }

}  // namespace logging

Logger::Logger(std::string_view name) : level_(&logging::ProcessLevel()), name_(logging::InternName(name)) {}

void Logger::Write(Level level, const Here& where, fmt::string_view format, fmt::format_args args) const noexcept {
  fmt::memory_buffer text;
  try {
    fmt::vformat_to(fmt::appender(text), format, args);
  } catch (const std::exception& e) {  // a user's formatter: logging never throws
    text.clear();
    fmt::format_to(fmt::appender(text), "<error: {}>", e.what());
  } catch (...) {
    text.clear();
    fmt::format_to(fmt::appender(text), "<error>");
  }
  const logging::Site site{*name_, where};
  const std::string_view line(text.data(), text.size());
  if (auto* sink = logging::the_sink.load(std::memory_order_acquire)) {
    sink->Write(level, site, line);
  } else {
    logging::WriteToStderr(level, site, line);
  }
}

const Logger& log() {
  static const Logger process("");
  return logging::thread_logger != nullptr ? *logging::thread_logger : process;
}

}  // namespace puma
