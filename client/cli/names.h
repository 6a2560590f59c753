#ifndef PUMA_CLIENT_CLI_NAMES_H_
#define PUMA_CLIENT_CLI_NAMES_H_
// Names as people type them: "edges" is a pipeline, "edges/loader" a task or a buffer of it. Full names are taken, too.
#include <string>

#include "absl/status/statusor.h"

namespace puma::client {

// INVALID_ARGUMENT says which forms are right.
absl::StatusOr<std::string> PipelineName(const std::string& typed);  // -> "pipelines/edges"
absl::StatusOr<std::string> TaskName(const std::string& typed);      // -> "pipelines/edges/tasks/loader"
absl::StatusOr<std::string> BufferName(const std::string& typed);    // -> "pipelines/edges/buffers/frames"
// Of a task or a whole pipeline, whichever the form is.
absl::StatusOr<std::string> TaskOrPipelineName(const std::string& typed);

bool IsTask(const std::string& full_name);
// "pipelines/edges/tasks/loader" -> "pipelines/edges".
std::string ParentOf(const std::string& full_name);
// "pipelines/edges/tasks/loader" -> "edges/loader"; "types/a.B" -> "a.B".
std::string ShortName(const std::string& full_name);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_NAMES_H_
