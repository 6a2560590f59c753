#include "server/rpc/names.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "server/rpc/status_codec.h"

namespace puma::server {
namespace {

bool IsId(absl::string_view id) {
  return !id.empty() && id.size() <= 127 && id != "." && id != ".." &&
         std::all_of(id.begin(), id.end(), [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool IsPipeline(const std::vector<absl::string_view>& parts) { return parts.size() == 2 && parts[0] == "pipelines" && IsId(parts[1]); }

bool IsChild(const std::vector<absl::string_view>& parts, absl::string_view collection) {
  return parts.size() == 4 && parts[0] == "pipelines" && IsId(parts[1]) && parts[2] == collection && IsId(parts[3]);
}

bool Matches(NameForm form, absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  switch (form) {
    case NameForm::kPipeline:
      return IsPipeline(parts);
    case NameForm::kTask:
      return IsChild(parts, "tasks");
    case NameForm::kBuffer:
      return IsChild(parts, "buffers");
    case NameForm::kType:
      return parts.size() == 2 && parts[0] == "types" && IsId(parts[1]);
    case NameForm::kParent:
      return name.empty() || IsPipeline(parts);
    case NameForm::kLogName:
      return IsPipeline(parts) || IsChild(parts, "tasks");
    case NameForm::kLogParent:
      return name.empty() || IsPipeline(parts) || IsChild(parts, "tasks");
  }
  return false;
}

absl::string_view Form(NameForm form) {
  switch (form) {
    case NameForm::kPipeline:
      return "\"pipelines/{pipeline}\"";
    case NameForm::kTask:
      return "\"pipelines/{pipeline}/tasks/{task}\"";
    case NameForm::kBuffer:
      return "\"pipelines/{pipeline}/buffers/{buffer}\"";
    case NameForm::kType:
      return "\"types/{module}.{type}\"";
    case NameForm::kParent:
      return "\"pipelines/{pipeline}\", or \"\" for all";
    case NameForm::kLogName:
      return "\"pipelines/{pipeline}\" or \"pipelines/{pipeline}/tasks/{task}\"";
    case NameForm::kLogParent:
      return "\"pipelines/{pipeline}\", \"pipelines/{pipeline}/tasks/{task}\", or \"\" for all";
  }
  return "";
}

}  // namespace

absl::Status CheckName(NameForm form, absl::string_view name, absl::string_view field) {
  if (Matches(form, name)) return absl::OkStatus();
  const std::string shown = absl::Utf8SafeCEscape(name.substr(0, 200));
  return BadField(field, absl::StrCat("\"", shown, "\" is not of the form ", Form(form)));
}

}  // namespace puma::server
