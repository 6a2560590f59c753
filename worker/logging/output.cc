#include "worker/logging/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "worker/logging/file_sink.h"

namespace puma::logging {
namespace {

constexpr size_t kHeldBytes = 256 << 10;  // held lines are written at the latest when there are so many

class Console : public LineSink {
 public:
  explicit Console(int fd) : fd_(fd) {}
  void Write(std::string_view lines) override {
    size_t written = 0;
    (void)WriteAll(fd_, lines, written);  // nobody could be told
  }

 private:
  const int fd_;
};

// Outputs that were replaced: closed, but another thread may have been about to write.
void Keep(Output* output) {
  static auto* const mutex = new Mutex;
  static auto* const kept = new std::vector<Output*>;
  MutexLock lock(*mutex);
  kept->push_back(output);
}

}  // namespace

int WriteAll(int fd, std::string_view bytes, size_t& written) {
  for (written = 0; written < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + written, bytes.size() - written);
    if (n >= 0) {
      written += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      pollfd writable = {fd, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

std::unique_ptr<LineSink> ConsoleSink(int fd) { return std::make_unique<Console>(fd); }

absl::StatusOr<std::shared_ptr<Output>> Output::Open(const Configuration& configuration) {
  auto format = LineFormat::Parse(configuration.format.empty() ? kDefaultFormat : configuration.format);
  if (!format.ok()) return format.status();
  std::vector<Target> targets;
  std::vector<FileSink*> files;
  for (const SinkConfiguration& sink : configuration.sinks) {
    targets.push_back({sink.level, nullptr, {}});
    if (sink.kind != SinkConfiguration::Kind::kFile) {
      targets.back().sink = ConsoleSink(sink.kind == SinkConfiguration::Kind::kStdout ? STDOUT_FILENO : STDERR_FILENO);
      continue;
    }
    auto file = FileSink::Open(sink);
    if (!file.ok()) {
      for (FileSink* opened : files) opened->RemoveIfNew();
      return file.status();
    }
    files.push_back(file->get());
    targets.back().sink = *std::move(file);
  }
  return Make(*std::move(format), std::move(targets));
}

std::shared_ptr<Output> Output::Make(LineFormat format, std::vector<Target> targets) {
  return {new Output(std::move(format), std::move(targets)), [](Output* output) {
            output->Close();
            Keep(output);
          }};
}

void Output::Write(const Record& record) {
  if (record.only_for_captures) return;
  fmt::memory_buffer line;
  format_.Append(record, line);
  if (!WriteLine(record, {line.data(), line.size()})) WriteElsewhere(record, this);
}

// False: closed, meanwhile.
bool Output::WriteLine(const Record& record, std::string_view text) {
  MutexLock lock(mutex_);
  if (closed_) return false;
  for (Target& target : targets_) {
    if (record.level < target.level) continue;
    if (target.held.empty() && !record.more) {
      target.sink->Write(text);
      continue;
    }
    target.held += text;
    if (record.more && target.held.size() < kHeldBytes) continue;
    target.sink->Write(target.held);
    target.held.clear();
  }
  return true;
}

void Output::Flush() {
  MutexLock lock(mutex_);
  for (Target& target : targets_) {
    if (!target.held.empty()) target.sink->Write(target.held);
    target.held.clear();
  }
}

void Output::Close() {
  Flush();
  std::vector<Target> targets;
  MutexLock lock(mutex_);
  targets.swap(targets_);
  closed_ = true;
}

RecordSink& StderrSink() {
  static auto* const sink = [] {
    std::vector<Output::Target> targets;
    targets.push_back({Level::kTrace, ConsoleSink(STDERR_FILENO), {}});
    return new std::shared_ptr<Output>(Output::Make(*LineFormat::Parse(kDefaultFormat), std::move(targets)));
  }();
  return **sink;
}

}  // namespace puma::logging
