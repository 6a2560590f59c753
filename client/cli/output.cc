#include "client/cli/output.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
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

// Whether YAML reads it as this text, also without quotes.
bool IsPlain(const std::string& text) {
  static constexpr const char* kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  const auto fits = [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("_./", absl::string_view(&c, 1)); };
  if (text.empty() || !absl::ascii_isalpha(text[0]) || !std::all_of(text.begin(), text.end(), fits)) return false;
  return std::none_of(std::begin(kWords), std::end(kWords), [&](const char* word) { return absl::EqualsIgnoreCase(text, word); });
}

void Emit(const nlohmann::ordered_json& value, YAML::Emitter& out) {
  if (value.is_object()) {
    out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key;
      Emit(key, out);
      out << YAML::Value;
      Emit(member, out);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const auto& each : value) Emit(each, out);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (!IsPlain(text)) out << YAML::DoubleQuoted;
    out << text;
  } else {
    out << value.dump();
  }
}

bool Wanted(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

}  // namespace

std::string YamlOf(const std::string& json) {
  YAML::Emitter out;
  Emit(nlohmann::ordered_json::parse(json, nullptr, false), out);
  return absl::StrCat(out.c_str(), "\n");
}

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
  Data(format_ == Format::kYaml ? YamlOf(ToJson(message, false)) : ToJson(message, true) + "\n");
}

void Output::JsonLine(const google::protobuf::Message& message) const {
  Data(format_ == Format::kYaml ? "---\n" + YamlOf(ToJson(message, false)) : ToJson(message, false) + "\n");
}

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
