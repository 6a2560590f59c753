#include <fmt/format.h>
#include <puma/testing/log_capture.h>

#include <cerrno>
#include <cstdio>

#include "worker/logging/line_format.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"
#include "worker/platform/system.h"

namespace puma::testing {
namespace {

bool InSection(std::string_view logger, std::string_view section) {
  return section.empty() || (logger.starts_with(section) && (logger.size() == section.size() || logger[section.size()] == '.'));
}

bool Fits(const LogRecord& record, const LogFilter& filter) {
  return record.level >= filter.level && record.text.find(filter.text) != std::string::npos && InSection(record.logger, filter.logger) &&
         record.file.ends_with(filter.file) && (filter.process.empty() || record.process == filter.process);
}

void AppendLine(const LogRecord& record, fmt::memory_buffer& out) {
  static const auto* const format = new logging::LineFormat(*logging::LineFormat::Parse(logging::kDefaultFormat));
  logging::Record shown;
  shown.time_unix_ns = absl::ToUnixNanos(record.time);
  shown.level = record.level;
  shown.process = record.process;
  shown.logger = record.logger;
  shown.where = {record.file.c_str(), record.function.c_str(), record.line};
  shown.thread = record.thread;
  shown.text = record.text;
  format->Append(shown, out);
}

}  // namespace

class LogCapture::Taken : public logging::Interceptor {
 public:
  explicit Taken(const LogCaptureOptions& options) : Interceptor(options.level, options.shield) {}
  void Take(const logging::Record& record) override {
    LogRecord taken;
    taken.time = absl::FromUnixNanos(record.time_unix_ns);
    taken.level = record.level;
    taken.process = record.process.empty() ? logging::ProcessName() : record.process;
    taken.logger = record.logger;
    taken.thread = record.thread;
    taken.file = record.where.file;
    taken.function = record.where.function;
    taken.line = record.where.line;
    taken.text = record.text;
    MutexLock lock(mutex_);
    records_.push_back(std::move(taken));
  }
  template <class F>
  void ForEach(const LogFilter& filter, F f) {
    MutexLock lock(mutex_);
    for (const LogRecord& record : records_) {
      if (Fits(record, filter)) f(record);
    }
  }
  void Clear() {
    MutexLock lock(mutex_);
    records_.clear();
  }

 private:
  Mutex mutex_;
  std::vector<LogRecord> records_ PUMA_GUARDED_BY(mutex_);
};

LogCapture::LogCapture(LogCaptureOptions options) : taken_(std::make_shared<Taken>(options)) { logging::AddInterceptor(taken_); }
LogCapture::~LogCapture() { logging::EndInterceptor(taken_); }

std::vector<LogRecord> LogCapture::Records(const LogFilter& filter) const {
  std::vector<LogRecord> records;
  taken_->ForEach(filter, [&](const LogRecord& record) { records.push_back(record); });
  return records;
}

size_t LogCapture::Count(const LogFilter& filter) const {
  size_t count = 0;
  taken_->ForEach(filter, [&](const LogRecord&) { ++count; });
  return count;
}

std::string LogCapture::Text(const LogFilter& filter) const {
  fmt::memory_buffer text;
  taken_->ForEach(filter, [&](const LogRecord& record) { AppendLine(record, text); });
  return fmt::to_string(text);
}

absl::Status LogCapture::SaveTo(const std::string& path) const {
  const std::string text = Text();
  FILE* const file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return ErrnoStatus(errno, path);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  return written && closed ? absl::OkStatus() : ErrnoStatus(errno, path);
}

void LogCapture::Clear() { taken_->Clear(); }

}  // namespace puma::testing
