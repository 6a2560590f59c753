#ifndef PUMA_WORKER_LOGGING_OUTPUT_H_
#define PUMA_WORKER_LOGGING_OUTPUT_H_
// Records as lines, to consoles and files.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/logging/configuration.h"
#include "worker/logging/line_format.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"

namespace puma::logging {

// One place that takes lines. Its output serialises the calls.
class LineSink {
 public:
  virtual ~LineSink() = default;
  virtual void Write(std::string_view lines) = 0;  // whole lines
};

class Output : public RecordSink {
 public:
  struct Target {
    Level level;
    std::unique_ptr<LineSink> sink;
    std::string held;  // lines that wait for a Flush
  };
  // What the configuration asks for. Files that open now are open, or nothing is: the error says which one could not be.
  static absl::StatusOr<std::shared_ptr<Output>> Open(const Configuration& configuration);
  // Its files are closed with the last reference. The object itself stays for ever: a thread may still be about to write.
  static std::shared_ptr<Output> Make(LineFormat format, std::vector<Target> targets);
  // A record is in its places when the call returns, unless `more` says that a Flush follows.
  void Write(const Record& record) override;
  void Flush() override;

 private:
  Output(LineFormat format, std::vector<Target> targets) : format_(std::move(format)), targets_(std::move(targets)) {}
  bool WriteLine(const Record& record, std::string_view text) PUMA_EXCLUDES(mutex_);
  void Close() PUMA_EXCLUDES(mutex_);
  const LineFormat format_;
  Mutex mutex_;
  std::vector<Target> targets_ PUMA_GUARDED_BY(mutex_);
  bool closed_ PUMA_GUARDED_BY(mutex_) = false;
};

// What a process does without configuration: warnings and above to stderr (the levels see to that).
RecordSink& StderrSink();
// Standard output or error, whatever the descriptor means at the time of a call.
std::unique_ptr<LineSink> ConsoleSink(int fd);
// Writes all, also to what is slow or non-blocking. 0 or errno; `written` says how much there is.
int WriteAll(int fd, std::string_view bytes, size_t& written);

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_OUTPUT_H_
