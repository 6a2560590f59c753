#ifndef PUMA_WORKER_LOGGING_CAPTURE_H_
#define PUMA_WORKER_LOGGING_CAPTURE_H_
// Reads what the process writes to its standard output and error (the read ends of its own pipes) and hands it on line by line.
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "worker/platform/mutex.h"
#include "worker/platform/unique_fd.h"

namespace puma::logging {

enum class Stream { kStdout, kStderr };

// Owns a thread. Line endings are cut off; a line longer than kMaxLine comes in pieces; a last line without an end comes with Stop.
class Capture {
 public:
  static constexpr size_t kMaxLine = 32 << 10;
  using OnLine = std::function<void(Stream, std::string_view)>;  // on the capture thread, or in Stop

  Capture(UniqueFd standard_output, UniqueFd standard_error, OnLine on_line);
  ~Capture();
  absl::Status Start();
  // Everything that was written before is handed on when it returns. Idempotent.
  void Stop();

 private:
  struct End {
    UniqueFd fd;
    Stream stream;
    std::string line;
  };
  void Loop();
  bool Drain(End& end);  // false: nothing more will come
  void Feed(End& end, std::string_view bytes);
  void Flush(End& end);

  OnLine on_line_;
  End ends_[2];
  UniqueFd wake_;
  std::thread thread_;
  Mutex stop_mutex_;
  bool stopped_ PUMA_GUARDED_BY(stop_mutex_) = false;
};

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_CAPTURE_H_
