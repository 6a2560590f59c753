#ifndef PUMA_CLIENT_LIB_SPEC_FILE_H_
#define PUMA_CLIENT_LIB_SPEC_FILE_H_
// A spec file: v1.PipelineSpec, written in YAML. README.md says how YAML maps to the message.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/lib/spec_scalar.h"
#include "puma/v1/spec.pb.h"

namespace puma::client {

// A place in the file, from 1.
struct Place {
  int line = 1;
  int column = 1;
};

// The text of a file that another one includes, or why there is none.
using Files = std::function<absl::StatusOr<std::string>(const std::string& path)>;

// A plain value. It remembers where each field stood, so that what the host finds wrong can be shown in the file, too.
class SpecFile {
 public:
  // INVALID_ARGUMENT has all mistakes, one a line: `edges.yaml:9:5: unknown field "placment" in task "loader"; did you mean "placement"?`
  // `include: FILE`, or a list of files, at the top: those come first; what this file says is put over it, whole tasks and buffers at a
  // time. Their paths begin where this file lies. Without `files` nothing is included.
  static absl::StatusOr<SpecFile> Parse(const std::string& file_name, const std::string& text, const Variables& variables,
                                        const Files& files = nullptr);
  // Reads `path` ("-": standard input), with the environment's variables. NOT_FOUND, PERMISSION_DENIED; and as Parse.
  static absl::StatusOr<SpecFile> Read(const std::string& path);

  const v1::PipelineSpec& spec() const { return spec_; }

  // "edges.yaml:21:7: FIELD: DESCRIPTION" for a field path as in google.rpc.BadRequest: "tasks.loader.inputs.frames", with or without a
  // leading "spec.". The nearest field around it, when the file doesn't have the field itself.
  std::string Explain(const std::string& field, const std::string& description) const;

 private:
  SpecFile() = default;

  struct Spot {
    std::string file;
    Place place;
  };
  struct Reading;
  absl::Status Take(const std::string& file_name, const std::string& text, Reading& reading);
  absl::Status Include(const std::string& file_name, const std::string& path, const Place& place, Reading& reading);

  std::string file_name_;
  v1::PipelineSpec spec_;
  std::map<std::string, Spot> places_;  // by field path
};

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_SPEC_FILE_H_
