#include "client/cli/names.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

using Parts = std::vector<std::string>;

Parts Split(const std::string& name) { return absl::StrSplit(name, '/'); }

bool AllFilled(const Parts& parts) {
  for (const std::string& part : parts) {
    if (part.empty()) return false;
  }
  return true;
}

absl::Status Wrong(const std::string& typed, const std::string& what, const std::string& form) {
  return absl::InvalidArgumentError(absl::StrCat("\"", Escape(typed), "\" is not the name of ", what, "; write ", form));
}

absl::StatusOr<std::string> ChildName(const std::string& typed, const std::string& what, const std::string& collection) {
  const Parts parts = Split(typed);
  if (AllFilled(parts)) {
    if (parts.size() == 2 && parts[0] != "pipelines") return absl::StrCat("pipelines/", parts[0], "/", collection, "/", parts[1]);
    if (parts.size() == 4 && parts[0] == "pipelines" && parts[2] == collection) return typed;
  }
  return Wrong(typed, what, "PIPELINE/NAME, as edges/loader");
}

}  // namespace

absl::StatusOr<std::string> PipelineName(const std::string& typed) {
  const Parts parts = Split(typed);
  if (AllFilled(parts)) {
    if (parts.size() == 1) return absl::StrCat("pipelines/", parts[0]);
    if (parts.size() == 2 && parts[0] == "pipelines") return typed;
  }
  return Wrong(typed, "a pipeline", "its name alone, as edges");
}

absl::StatusOr<std::string> TaskName(const std::string& typed) { return ChildName(typed, "a task", "tasks"); }
absl::StatusOr<std::string> BufferName(const std::string& typed) { return ChildName(typed, "a buffer", "buffers"); }

absl::StatusOr<std::string> TaskOrPipelineName(const std::string& typed) {
  if (auto pipeline = PipelineName(typed); pipeline.ok()) return pipeline;
  if (auto task = TaskName(typed); task.ok()) return task;
  return Wrong(typed, "a task or a pipeline", "PIPELINE/TASK or PIPELINE, as edges/loader or edges");
}

bool IsTask(const std::string& full_name) { return absl::StrContains(full_name, "/tasks/"); }

std::string ParentOf(const std::string& full_name) {
  const Parts parts = Split(full_name);
  return parts.size() >= 2 ? absl::StrCat(parts[0], "/", parts[1]) : full_name;
}

std::string ShortName(const std::string& full_name) {
  const Parts parts = Split(full_name);
  if (parts.size() == 4) return absl::StrCat(parts[1], "/", parts[3]);
  return parts.size() == 2 ? parts[1] : full_name;
}

}  // namespace puma::client
