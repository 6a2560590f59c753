#ifndef PUMA_SERVER_RPC_NAMES_H_
#define PUMA_SERVER_RPC_NAMES_H_
// The forms of resource names in requests.

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace puma::server {

enum class NameForm {
  kPipeline,   // pipelines/{pipeline}
  kTask,       // pipelines/{pipeline}/tasks/{task}
  kBuffer,     // pipelines/{pipeline}/buffers/{buffer}
  kType,       // types/{module}.{type}
  kParent,     // pipelines/{pipeline}, or "" for all
  kLogName,    // kPipeline or kTask
  kLogParent,  // kPipeline, kTask, or "" for all
};

// INVALID_ARGUMENT (with a BadRequest about `field`) says which form is right. Whether the resource exists is not looked at.
absl::Status CheckName(NameForm form, absl::string_view name, absl::string_view field);

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_NAMES_H_
