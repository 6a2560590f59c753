#include "server/telemetry/log_store.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/telemetry/known_records.h"
#include "server/telemetry/listeners.h"
#include "server/telemetry/log_file.h"
#include "server/telemetry/log_filter.h"
#include "server/telemetry/log_line_json.h"
#include "server/telemetry/log_ring.h"
#include "server/telemetry/revision.h"
#include "server/telemetry/severity.h"
#include "worker/platform/mutex.h"

namespace puma::server {
namespace {

constexpr size_t kBatchBytes = 64 << 10, kPageBytes = 1 << 20;
constexpr size_t kChunksAtOnce = 16;
constexpr size_t kRecordBytes = 40;  // of a record beside its text, on the wire

int64_t UnixNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

LogLine OwnLine(int level, const std::string& text, const char* file, int line, const char* function) {
  auto source = std::make_shared<v1::LogSource>();
  source->set_pid(getpid());
  source->set_logger("host");
  source->set_file(file);
  source->set_line(line);
  source->set_function(function);
  LogLine own;
  own.source = std::move(source);
  own.record.set_time_unix_nanos(UnixNanos());
  own.record.set_severity(SeverityOfLevel(level));
  own.record.set_message(text);
  own.record.set_tid(gettid());
  own.record.set_stream(v1::LOG_STREAM_LOG);
  return own;
}

// protobuf and JSON only take UTF-8; what workers write may be anything.
void Clean(LogLine& line) {
  if (!IsUtf8(line.record.message())) line.record.set_message(ToUtf8(line.record.message()));
  const v1::LogSource& source = *line.source;
  if (IsUtf8(source.logger()) && IsUtf8(source.file()) && IsUtf8(source.function())) return;
  auto clean = std::make_shared<v1::LogSource>(source);
  clean->set_logger(ToUtf8(source.logger()));
  clean->set_file(ToUtf8(source.file()));
  clean->set_function(ToUtf8(source.function()));
  line.source = std::move(clean);
}

// A batch under way: records, and the sources that they share.
template <class Batch>
class BatchWriter {
 public:
  explicit BatchWriter(Batch& batch) : batch_(batch) {}
  size_t bytes() const { return bytes_; }
  bool full() const { return bytes_ >= kBatchBytes; }
  void Add(const LogLine& line) {
    const auto [index, is_new] = indices_.try_emplace(line.source.get(), static_cast<uint32_t>(batch_.sources_size()));
    if (is_new) {
      *batch_.add_sources() = *line.source;
      bytes_ += line.source->ByteSizeLong();
    }
    v1::LogRecord& record = *batch_.add_records();
    record = line.record;
    record.set_source(index->second);
    bytes_ += kRecordBytes + record.message().size();
  }

 private:
  Batch& batch_;
  std::map<const v1::LogSource*, uint32_t> indices_;
  size_t bytes_ = 0;
};

class FileLogStore final : public LogStore {
 public:
  explicit FileLogStore(Options options)
      : options_(std::move(options)), ring_(options_.memory_bytes), file_(options_.file, options_.file_bytes, options_.file_count) {
    ReadHistory();
  }

  void Append(std::vector<LogLine> lines) override {
    {
      MutexLock lock(mutex_);  // the file and the ring have the same order
      std::erase_if(lines, [&](const LogLine& line) PUMA_NO_THREAD_SAFETY_ANALYSIS { return !known_.Learn(line); });
      if (lines.empty()) return;
      for (LogLine& line : lines) Clean(line);
      Store(std::move(lines));
    }
    listeners_.Notify();
  }

  absl::Status Flush() override {
    MutexLock lock(mutex_);
    return unwritten_ == 0 ? absl::OkStatus() : file_status_;
  }

  void Own(int level, const std::string& text, const char* file, int line, const char* function) override {
    Append({OwnLine(level, text, file, line, function)});
  }

  Position Begin(const v1::TailLogsRequest& request) const override;
  bool Take(const v1::TailLogsRequest& request, Position& position, v1::TailLogsResponse& batch) const override;
  absl::StatusOr<v1::QueryLogsResponse> Query(const v1::QueryLogsRequest& request, size_t at_most) const override;
  std::shared_ptr<void> Subscribe(std::function<void()> f) override { return listeners_.Add(std::move(f)); }

  // Before anyone else has the store.
  absl::Status TryFile() {
    MutexLock lock(mutex_);
    return file_.Write("");
  }

 private:
  void ReadHistory() PUMA_NO_THREAD_SAFETY_ANALYSIS {  // only the constructor calls it
    LogLineReader reader;
    std::vector<LogLine> history;
    for (const std::string& text : LogFile::Tail(options_.file, options_.history_bytes)) {
      std::optional<LogLine> line = reader.Read(text);
      if (line.has_value() && known_.Learn(*line)) history.push_back(*std::move(line));
    }
    ring_.Append(std::move(history));
  }

  void Store(std::vector<LogLine> lines) PUMA_REQUIRES(mutex_) {
    std::string text;
    for (const LogLine& line : lines) {
      writer_.Append(line, text);
      if (options_.echo_to_stderr) Echo(line);
    }
    WriteFile(text, lines);
    ring_.Append(std::move(lines));
  }

  // A disk that is full ends nothing: viewers still get the records from memory, and are told. `lines` gets the words about it.
  void WriteFile(const std::string& text, std::vector<LogLine>& lines) PUMA_REQUIRES(mutex_) {
    absl::Status status = file_.Write(text);
    if (!status.ok()) {
      if (unwritten_ == 0) {
        lines.push_back(OwnLine(4, absl::StrCat(status.message(), "; records are kept in memory only until it can be written again"),
                                __FILE__, __LINE__, __func__));
        Echo(lines.back());
      }
      unwritten_ += lines.size();
    } else if (unwritten_ != 0) {
      LogLine again =
          OwnLine(3, absl::StrCat("log file ", options_.file, " can be written again; ", unwritten_, " records are missing in it"),
                  __FILE__, __LINE__, __func__);
      std::string words;
      writer_.Append(again, words);
      if (file_.Write(words).ok()) unwritten_ = 0;
      Echo(again);
      lines.push_back(std::move(again));
    }
    file_status_ = std::move(status);
  }

  // To a terminal, so with control characters made harmless.
  static void Echo(const LogLine& line) {
    const bool own = line.worker_key == 0;
    if (LevelOfSeverity(line.record.severity()) < (own ? 2 : 3)) return;
    const std::string task = own ? "host" : absl::StrCat(line.source->pipeline(), "/", line.source->task());
    const std::string text =
        absl::StrCat(SeverityName(line.record.severity()), " ", task, ": ", absl::Utf8SafeCEscape(line.record.message()), "\n");
    (void)!write(STDERR_FILENO, text.data(), text.size());
  }

  const Options options_;
  const Revisions revisions_;
  LogRing ring_;
  Listeners listeners_;
  Mutex mutex_;
  LogFile file_ PUMA_GUARDED_BY(mutex_);
  LogLineWriter writer_ PUMA_GUARDED_BY(mutex_);
  KnownRecords known_ PUMA_GUARDED_BY(mutex_);
  uint64_t unwritten_ PUMA_GUARDED_BY(mutex_) = 0;  // records that the file could not take
  absl::Status file_status_ PUMA_GUARDED_BY(mutex_);
};

LogStore::Position FileLogStore::Begin(const v1::TailLogsRequest& request) const {
  const uint64_t end = ring_.end();
  if (request.history() == 0) return {end};
  if (request.history() < 0) return {ring_.first()};
  const LogFilter filter(request);
  const std::vector<LogRing::Chunk> chunks = ring_.From(0, SIZE_MAX);
  int32_t wanted = request.history();
  for (auto chunk = chunks.rbegin(); chunk != chunks.rend(); ++chunk) {
    for (size_t i = chunk->lines->size(); i-- > 0;) {
      if (filter.Matches((*chunk->lines)[i]) && --wanted == 0) return {chunk->first + i};
    }
  }
  return {chunks.empty() ? end : chunks.front().first};
}

bool FileLogStore::Take(const v1::TailLogsRequest& request, Position& position, v1::TailLogsResponse& batch) const {
  batch.Clear();
  const LogFilter filter(request);
  BatchWriter writer(batch);
  while (!writer.full()) {
    const std::vector<LogRing::Chunk> chunks = ring_.From(position.next, kChunksAtOnce);
    if (chunks.empty()) break;
    if (const uint64_t first = chunks.front().first; position.next < first) {
      if (batch.has_gap() || !batch.records().empty()) break;  // the gap comes before the next batch
      batch.mutable_gap()->set_first(position.next);
      batch.mutable_gap()->set_last(first - 1);
      batch.mutable_gap()->set_count(first - position.next);
      batch.mutable_gap()->set_reason("this reader was slower than the log; the file has what is missing");
      position.next = first;
    }
    for (const LogRing::Chunk& chunk : chunks) {
      for (size_t i = position.next - chunk.first; i < chunk.lines->size() && !writer.full(); ++i) {
        if (const LogLine& line = (*chunk.lines)[i]; filter.Matches(line)) writer.Add(line);
        ++position.next;
      }
      if (writer.full()) break;
    }
  }
  return batch.has_gap() || !batch.records().empty();
}

absl::StatusOr<v1::QueryLogsResponse> FileLogStore::Query(const v1::QueryLogsRequest& request, size_t at_most) const {
  v1::QueryLogsResponse page;
  uint64_t next = ring_.first();
  const uint64_t end = ring_.end();
  if (!request.page_token().empty()) {
    const absl::StatusOr<uint64_t> found = revisions_.Find(request.page_token(), next, end);
    if (!found.ok()) return found.status();
    next = *found;
  }
  const LogFilter filter(request);
  BatchWriter writer(page);
  for (const LogRing::Chunk& chunk : ring_.From(next, SIZE_MAX)) {
    for (size_t i = next > chunk.first ? next - chunk.first : 0; i < chunk.lines->size(); ++i) {
      const LogLine& line = (*chunk.lines)[i];
      if (!filter.Matches(line)) continue;
      if (static_cast<size_t>(page.records_size()) == at_most || writer.bytes() >= kPageBytes) {
        page.set_next_page_token(revisions_.Of(chunk.first + i));
        return page;
      }
      writer.Add(line);
    }
  }
  return page;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Open(Options options) {
  auto store = std::make_unique<FileLogStore>(std::move(options));
  if (absl::Status status = store->TryFile(); !status.ok()) return status;
  return store;
}

}  // namespace puma::server
