#ifndef PUMA_CLIENT_CLI_OUTPUT_H_
#define PUMA_CLIENT_CLI_OUTPUT_H_
// Where data and words go: data to standard output, words to standard error, colours and progress to terminals only.
#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"

namespace puma::client {

enum class Format { kTable, kWide, kJson, kYaml, kName };

// What a command ends with; `run` with others, too.
enum ExitCode : int { kDone = 0, kFailed = 1, kUsage = 2 };

class Output {
 public:
  // Looks at the terminal, NO_COLOR and TERM.
  explicit Output(Format format);

  Format format() const { return format_; }
  bool json() const { return format_ == Format::kJson || format_ == Format::kYaml; }  // for programs; Json writes either
  bool wide() const { return format_ == Format::kWide; }
  bool colours() const { return colours_; }          // of standard output
  bool terminal() const { return terminal_; }        // standard output is one
  bool shows_progress() const { return progress_; }  // standard error is a terminal

  void Data(const std::string& text) const;                       // as it is
  void Json(const google::protobuf::Message& message) const;      // one document, as JSON or YAML
  void JsonLine(const google::protobuf::Message& message) const;  // for streams: one line, or a YAML document after ---
  void Words(const std::string& line) const;                      // a line for people
  void Progress(const std::string& line) const;                   // replaces the last progress; "" removes it
  // Says what went wrong. Returns the exit code that fits.
  ExitCode Error(const absl::Status& status) const;
  // False: nobody reads standard output any more.
  bool Flush() const;

 private:
  Format format_;
  bool terminal_, colours_, progress_;
};

// JSON text as YAML, block style.
std::string YamlOf(const std::string& json);

// A value as JSON text.
std::string JsonText(const google::protobuf::Message& message);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_OUTPUT_H_
