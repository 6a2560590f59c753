#include "server/telemetry/log_file.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace puma::server {
namespace {

using Sink = spdlog::sinks::rotating_file_sink_st;

spdlog::file_event_handlers Private() {
  spdlog::file_event_handlers handlers;
  handlers.after_open = [](const spdlog::filename_t&, std::FILE* file) { (void)fchmod(fileno(file), 0640); };
  return handlers;
}

// What an exception of spdlog says, as a status.
template <class F>
absl::Status Try(const std::string& path, F f) {
  try {
    f();
    return absl::OkStatus();
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat("log file ", path, ": ", e.what()));
  }
}

// The last `bytes` of a file, from the first whole line on.
std::string EndOf(const std::string& path, size_t bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const auto size = static_cast<size_t>(file.tellg());
  const size_t from = size - std::min(size, bytes);
  file.seekg(static_cast<std::streamoff>(from));
  std::string text(size - from, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (from == 0) return text;
  const size_t line = text.find('\n');
  return line == std::string::npos ? "" : text.substr(line + 1);
}

}  // namespace

LogFile::LogFile(std::string path, size_t file_bytes, int file_count)
    : path_(std::move(path)), file_bytes_(file_bytes), file_count_(std::max(1, file_count)) {
  const std::string end = EndOf(path_, 1 << 16);
  torn_ = !end.empty() && end.back() != '\n';
}

LogFile::~LogFile() = default;

absl::Status LogFile::Open() {
  return Try(path_, [&] {
    auto sink = std::make_shared<Sink>(path_, file_bytes_, static_cast<size_t>(file_count_ - 1), false, Private());
    sink->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, ""));
    sink_ = std::move(sink);
  });
}

absl::Status LogFile::Write(const std::string& lines) {
  if (sink_ == nullptr) {
    if (absl::Status status = Open(); !status.ok()) return status;
  }
  const std::string text = torn_ ? "\n" + lines : lines;
  absl::Status status = Try(path_, [&] {
    sink_->log(spdlog::details::log_msg(spdlog::string_view_t(), spdlog::level::info, spdlog::string_view_t(text.data(), text.size())));
    sink_->flush();
  });
  torn_ = !status.ok();
  if (!status.ok()) sink_ = nullptr;  // after a failed rotation it has no file any more
  return status;
}

std::vector<std::string> LogFile::Tail(const std::string& path, size_t bytes) {
  std::string text = EndOf(path, bytes);
  if (text.size() < bytes) {
    const std::string before = EndOf(Sink::calc_filename(path, 1), bytes - text.size());
    text = before + (before.empty() || before.back() == '\n' ? "" : "\n") + text;
  }
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

}  // namespace puma::server
