#ifndef PUMA_WORKER_LOGGING_FILE_SINK_H_
#define PUMA_WORKER_LOGGING_FILE_SINK_H_
// Log files: one, or one after the other. Files never change their names, so that joined in the order of their names they are the log.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/logging/output.h"
#include "worker/platform/unique_fd.h"

namespace puma::logging {

// The names of one log's files: "app_{time}.log" is "app_20261123T022236.123Z.log", and with rotation
// "app_20261123T022236.123Z.000001.log".
class FileNames {
 public:
  FileNames(const std::string& path, bool numbered);
  bool timed() const { return timed_; }
  const std::string& folder() const { return folder_; }
  std::string Name(absl::Time opened, uint64_t number) const;
  // The number of a file of this log; 0: it is another's.
  uint64_t NumberOf(std::string_view name) const;

 private:
  std::string folder_, before_, after_, extension_;  // before {time}, between it and the number, after the number
  bool timed_ = false;
  const bool numbered_;
};

// Lines are on their way to the disk when Write returns; a line is never split between two files. What can't be written is lost; stderr is
// told when it begins, and the file when it is over.
class FileSink : public LineSink {
 public:
  static absl::StatusOr<std::unique_ptr<FileSink>> Open(const SinkConfiguration& configuration);
  void Write(std::string_view lines) override;
  // After a configuration that failed: takes an empty file away that it has made.
  void RemoveIfNew();

 private:
  explicit FileSink(const SinkConfiguration& configuration);
  absl::Status OpenFirst();
  absl::Status OpenNumber(uint64_t number, bool must_be_new);
  bool Rotate();
  void Forget();  // the oldest of too many files
  size_t Fitting(std::string_view lines) const;
  void WritePart(std::string_view lines);
  void Lost(std::string_view lines, std::string_view why);
  void Tell(std::string_view what);  // to stderr
  std::string Path() const;

  const SinkConfiguration configuration_;
  const FileNames names_;
  absl::Time opened_ = absl::InfinitePast();
  UniqueFd fd_;
  std::string name_;
  uint64_t number_ = 0;
  uint64_t bytes_ = 0;
  uint64_t lost_ = 0;   // lines, since the last one that was written
  bool torn_ = false;   // the last line has no end
  bool stuck_ = false;  // there was no next file
  bool is_new_ = false;
};

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_FILE_SINK_H_
