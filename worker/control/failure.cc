#include "worker/control/failure.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace puma::control {
namespace {

using Json = nlohmann::json;

constexpr size_t kDepth = 16;
constexpr size_t kSmallestBudget = 1024;

// How much of an error is written; halved until it fits.
struct Cut {
  size_t text = SIZE_MAX;
  size_t items = SIZE_MAX;
  size_t depth = kDepth;
};

std::string Text(const std::string& text, const Cut& cut) { return text.size() <= cut.text ? text : text.substr(0, cut.text) + "..."; }

Json Texts(const std::vector<std::string>& texts, const Cut& cut) {
  Json json = Json::array();
  for (size_t i = 0; i < texts.size() && i < cut.items; ++i) json.push_back(Text(texts[i], cut));
  return json;
}

Json Value(const Error& error, const Cut& cut) {
  Json json = {{"code", static_cast<int>(error.code)}, {"message", Text(error.message, cut)}};
  json["types"] = Texts(error.types, cut);
  json["path"] = Texts(error.path, cut);
  if (error.exit_code != 0) json["exit_code"] = error.exit_code;
  if (error.signal != 0) json["signal"] = error.signal;
  Json& stack = json["stack"] = Json::array();
  for (size_t i = 0; i < error.stack.size() && i < cut.items; ++i) {
    const Frame& frame = error.stack[i];
    stack.push_back({{"function", Text(frame.function, cut)},
                     {"file", Text(frame.file, cut)},
                     {"line", frame.line},
                     {"module", Text(frame.module, cut)},
                     {"offset", frame.offset}});
  }
  Json& causes = json["causes"] = Json::array();
  const Cut deeper{cut.text, cut.items, cut.depth == 0 ? 0 : cut.depth - 1};
  for (size_t i = 0; cut.depth > 0 && i < error.causes.size() && i < cut.items; ++i) causes.push_back(Value(error.causes[i], deeper));
  return json;
}

std::string Dump(const Error& error, const Cut& cut) { return Value(error, cut).dump(-1, ' ', false, Json::error_handler_t::replace); }

// Fields that are missing or of another kind keep their default: an error about an error helps nobody.
template <class T>
T Get(const Json& json, const char* name, T otherwise) {
  const auto found = json.find(name);
  if (found == json.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return found->is_string() ? found->template get<std::string>() : otherwise;
  } else {
    return found->is_number_integer() ? found->template get<T>() : otherwise;
  }
}

template <class F>
void ForEach(const Json& json, const char* name, const F& f) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_array()) return;
  for (const Json& item : *found) f(item);
}

Error ErrorOfJson(const Json& json, size_t depth) {
  Error error;
  const int code = Get<int>(json, "code", static_cast<int>(absl::StatusCode::kUnknown));
  // An OK failure is none; codes that we don't know are unknown.
  error.code = code >= 1 && code <= 16 ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown;
  error.message = Get<std::string>(json, "message", "");
  ForEach(json, "types", [&](const Json& item) {
    if (item.is_string()) error.types.push_back(item.get<std::string>());
  });
  ForEach(json, "path", [&](const Json& item) {
    if (item.is_string()) error.path.push_back(item.get<std::string>());
  });
  ForEach(json, "stack", [&](const Json& item) {
    if (!item.is_object()) return;
    error.stack.push_back({Get<std::string>(item, "module", ""), Get<std::string>(item, "function", ""), Get<std::string>(item, "file", ""),
                           Get<int>(item, "line", 0), Get<uint64_t>(item, "offset", 0)});
  });
  error.exit_code = Get<int>(json, "exit_code", 0);
  error.signal = Get<int>(json, "signal", 0);
  if (depth == 0) return error;
  ForEach(json, "causes", [&](const Json& item) {
    if (item.is_object()) error.causes.push_back(ErrorOfJson(item, depth - 1));
  });
  return error;
}

}  // namespace

std::string FailureToJson(const Error& error, size_t at_most) {
  at_most = std::max(at_most, kSmallestBudget);
  Cut cut;
  std::string json = Dump(error, cut);
  for (cut = {4096, 64, 8}; json.size() > at_most; cut = {std::max<size_t>(cut.text / 2, 32), cut.items / 2, cut.depth / 2}) {
    json = Dump(error, cut);
  }
  return json;
}

absl::StatusOr<Error> FailureFromJson(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("failure: not a JSON object");
  return ErrorOfJson(json, kDepth);
}

}  // namespace puma::control
