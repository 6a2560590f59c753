#include "client/cli/output.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/text.h"
#include "puma/client/details.h"

namespace puma::client {
namespace {

std::string ToJson(const google::protobuf::Message& message, bool lines) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return "{\"error\": \"can't be written as JSON\"}";
  return nlohmann::json::parse(text, nullptr, false).dump(lines ? 1 : -1);  // sorted: protobuf's maps have another order each time
}

bool Wanted(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

}  // namespace

std::string JsonText(const google::protobuf::Message& message) { return ToJson(message, false); }

Output::Output(Format format) : format_(format) {
  const char* term = std::getenv("TERM");
  const bool plain = Wanted("NO_COLOR") || !term || std::strcmp(term, "dumb") == 0;
  terminal_ = isatty(STDOUT_FILENO);
  colours_ = terminal_ && !plain;
  progress_ = isatty(STDERR_FILENO) && term && std::strcmp(term, "dumb") != 0;
}

void Output::Data(const std::string& text) const { std::fwrite(text.data(), 1, text.size(), stdout); }

void Output::Json(const google::protobuf::Message& message) const {
  const std::string text = ToJson(message, true);
  Data(text.empty() || text.back() != '\n' ? text + "\n" : text);
}

void Output::JsonLine(const google::protobuf::Message& message) const { Data(ToJson(message, false) + "\n"); }

void Output::Words(const std::string& line) const {
  Progress("");
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Output::Progress(const std::string& line) const {
  if (progress_) std::fprintf(stderr, "\r\033[K%s", line.c_str());
}

ExitCode Output::Error(const absl::Status& status) const {
  const std::string message(status.message());
  std::string text = absl::StrCat("error: ", EscapeLines(message, "  "));
  if (message.empty()) text = absl::StrCat("error: ", absl::StatusCodeToString(status.code()));
  for (const FieldViolation& violation : FieldViolations(status)) {
    if (!absl::StrContains(message, violation.description)) {
      absl::StrAppend(&text, "\n  ", Escape(violation.field), ": ", EscapeLines(violation.description, "    "));
    }
  }
  Words(text);
  return kFailed;
}

bool Output::Flush() const { return std::fflush(stdout) == 0 && !std::ferror(stdout); }

}  // namespace puma::client
