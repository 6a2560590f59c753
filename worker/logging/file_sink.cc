#include "worker/logging/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "worker/platform/system.h"

namespace puma::logging {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kTime = "{time}";
constexpr std::string_view kTimeShape = "dddddddd#dddddd.ddd#";  // d: a digit, #: a letter
constexpr size_t kDigits = 6;

std::string Stamp(absl::Time time) { return absl::FormatTime("%Y%m%dT%H%M%E3SZ", time, absl::UTCTimeZone()); }

bool TakeStamp(std::string_view& name) {
  if (name.size() < kTimeShape.size()) return false;
  for (size_t i = 0; i < kTimeShape.size(); ++i) {
    const char shape = kTimeShape[i], c = name[i];
    if (shape == 'd' ? !absl::ascii_isdigit(c) : shape == '#' ? c != (i + 1 == kTimeShape.size() ? 'Z' : 'T') : c != shape) return false;
  }
  name.remove_prefix(kTimeShape.size());
  return true;
}

bool TakePrefix(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) names.push_back(at->path().filename());
  return names;
}

}  // namespace

FileNames::FileNames(const std::string& path, bool numbered) : numbered_(numbered) {
  const std::string full = absl::StrReplaceAll(path, {{"{program}", program_invocation_short_name}, {"{pid}", std::to_string(getpid())}});
  std::error_code error;
  const fs::path absolute = fs::absolute(full, error);
  folder_ = absolute.parent_path();
  std::string name = absolute.filename();
  const size_t dot = name.rfind('.');
  if (numbered && dot != std::string::npos && dot > 0) extension_ = name.substr(dot), name.resize(dot);
  const size_t time = name.find(kTime);
  timed_ = time != std::string::npos;
  before_ = name.substr(0, time);
  if (timed_) after_ = name.substr(time + kTime.size());
}

std::string FileNames::Name(absl::Time opened, uint64_t number) const {
  std::string name = before_;
  if (timed_) name += Stamp(opened) + after_;
  if (numbered_) name += fmt::format(".{:0{}}", number, kDigits);
  return name + extension_;
}

uint64_t FileNames::NumberOf(std::string_view name) const {
  if (!TakePrefix(name, before_)) return 0;
  if (timed_ && (!TakeStamp(name) || !TakePrefix(name, after_))) return 0;
  if (!name.ends_with(extension_) || !TakePrefix(name, ".")) return 0;
  name.remove_suffix(extension_.size());
  uint64_t number = 0;
  const char* const end = name.data() + name.size();
  const auto [stopped, error] = std::from_chars(name.data(), end, number);
  return name.size() >= kDigits && error == std::errc() && stopped == end ? number : 0;
}

FileSink::FileSink(const SinkConfiguration& configuration)
    : configuration_(configuration), names_(configuration.path, configuration.rotate_bytes > 0) {}

absl::StatusOr<std::unique_ptr<FileSink>> FileSink::Open(const SinkConfiguration& configuration) {
  std::unique_ptr<FileSink> sink(new FileSink(configuration));
  if (!configuration.at_first_record) {
    if (absl::Status s = sink->OpenFirst(); !s.ok()) return s;
  }
  return sink;
}

std::string FileSink::Path() const { return names_.folder() + "/" + name_; }

absl::Status FileSink::OpenFirst() {
  std::error_code error;
  fs::create_directories(names_.folder(), error);
  if (error) return ErrnoStatus(error.value(), "log folder " + names_.folder());
  if (names_.timed()) {
    // Files of a start belong to it alone: who comes in the same millisecond is a little later.
    for (opened_ = absl::Now();; opened_ += absl::Milliseconds(1)) {
      const absl::Status s = OpenNumber(1, true);
      if (!absl::IsAlreadyExists(s)) return s;
    }
  }
  uint64_t newest = 1;  // goes on where an earlier run stopped
  if (configuration_.rotate_bytes > 0) {
    for (const std::string& name : NamesIn(names_.folder())) newest = std::max(newest, names_.NumberOf(name));
  }
  return OpenNumber(newest, false);
}

absl::Status FileSink::OpenNumber(uint64_t number, bool must_be_new) {
  std::string name = names_.Name(opened_, number);
  const std::string path = names_.folder() + "/" + name;
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_CREAT | O_NOCTTY;
  UniqueFd fd(::open(path.c_str(), kFlags | O_EXCL, 0666));
  const bool is_new = fd.valid();
  if (!is_new && errno == EEXIST && !must_be_new) fd.reset(::open(path.c_str(), kFlags, 0666));
  if (!fd.valid()) return ErrnoStatus(errno, "log file " + path);
  struct stat status;
  bytes_ = fstat(fd.get(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
  fd_ = std::move(fd);
  name_ = std::move(name);
  number_ = number;
  is_new_ = is_new;
  Forget();
  return absl::OkStatus();
}

// False: the next can't be made, so the present one grows on.
bool FileSink::Rotate() {
  const absl::Status next = OpenNumber(number_ + 1, false);
  if (!next.ok() && !std::exchange(stuck_, true)) Tell(std::string(next.message()));
  if (next.ok()) stuck_ = false;
  return next.ok();
}

void FileSink::Forget() {
  if (configuration_.rotate_files == 0 || configuration_.rotate_bytes == 0) return;
  std::vector<std::string> names = NamesIn(names_.folder());
  std::erase_if(names, [&](const std::string& name) { return names_.NumberOf(name) == 0 || name == name_; });
  std::sort(names.begin(), names.end());
  const size_t kept = configuration_.rotate_files - 1;  // beside the present one
  for (size_t i = 0; i + kept < names.size(); ++i) ::unlink((names_.folder() + "/" + names[i]).c_str());
}

// How many bytes of whole lines the present file still takes.
size_t FileSink::Fitting(std::string_view lines) const {
  if (configuration_.rotate_bytes == 0) return lines.size();
  const size_t room = configuration_.rotate_bytes > bytes_ ? configuration_.rotate_bytes - bytes_ : 0;
  return lines.size() <= room ? lines.size() : lines.substr(0, room).rfind('\n') + 1;
}

void FileSink::Write(std::string_view lines) {
  if (!fd_.valid()) {
    if (absl::Status s = OpenFirst(); !s.ok()) return Lost(lines, std::string(s.message()));
  }
  while (!lines.empty()) {
    size_t part = Fitting(lines);
    if (part == 0 && bytes_ > 0 && Rotate()) part = Fitting(lines);
    if (part == 0) part = lines.find('\n') + 1;  // longer than a file may be
    WritePart(lines.substr(0, part));
    lines.remove_prefix(part);
  }
}

void FileSink::WritePart(std::string_view lines) {
  std::string with_notice;
  if (torn_ || lost_ > 0) {
    if (torn_) with_notice = "\n";
    if (lost_ > 0) with_notice += fmt::format("puma: {} lines could not be written here\n", lost_);
    with_notice += lines;
  }
  const std::string_view bytes = with_notice.empty() ? lines : std::string_view(with_notice);
  size_t written = 0;
  const int error = WriteAll(fd_.get(), bytes, written);
  bytes_ += written;
  if (written > 0) torn_ = bytes[written - 1] != '\n';
  // What of the lines is not there; the notice before them does not count.
  if (error != 0) return Lost(lines.substr(lines.size() - std::min(lines.size(), bytes.size() - written)), std::strerror(error));
  lost_ = 0;
}

void FileSink::Lost(std::string_view lines, std::string_view why) {
  const auto count = static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  if (std::exchange(lost_, lost_ + count) == 0) Tell(fmt::format("{}; lines are lost", why));
}

void FileSink::Tell(std::string_view what) {
  const std::string text = fmt::format("puma: log file {}: {}\n", name_.empty() ? configuration_.path : Path(), what);
  size_t written = 0;
  (void)WriteAll(STDERR_FILENO, text, written);
}

void FileSink::RemoveIfNew() {
  if (is_new_ && bytes_ == 0) ::unlink(Path().c_str());
}

}  // namespace puma::logging
