#include <fmt/format.h>
#include <puma/value.h>

#include <cmath>

#include "absl/strings/escaping.h"
#include "nlohmann/json.hpp"

namespace puma {
namespace {

using Json = nlohmann::json;

Value FromParsed(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      uint64_t v = json.get<uint64_t>();
      return v <= INT64_MAX ? Value(v) : Value(static_cast<double>(v));
    }
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get<std::string>());
    case Json::value_t::array: {
      std::vector<Value> items;
      for (const Json& item : json) items.push_back(FromParsed(item));
      return Value::List(std::move(items));
    }
    case Json::value_t::object: {
      auto type = json.find("@type");
      auto text = json.find("base64");
      std::string bytes;
      if (json.size() == 2 && type != json.end() && text != json.end() && type->is_string() && text->is_string() &&
          absl::Base64Unescape(text->get<std::string>(), &bytes)) {
        return Value::Opaque(type->get<std::string>(), std::move(bytes));
      }
      std::map<std::string, Value> fields;
      for (auto it = json.begin(); it != json.end(); ++it) fields.emplace(it.key(), FromParsed(it.value()));
      return Value::Map(std::move(fields));
    }
    default:
      return Value();
  }
}

std::string Quoted(const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Value Value::List(std::vector<Value> items) {
  Value v;
  v.kind_ = Kind::kList;
  v.list_ = std::move(items);
  return v;
}

Value Value::Map(std::map<std::string, Value> fields) {
  Value v;
  v.kind_ = Kind::kMap;
  v.fields_ = std::move(fields);
  return v;
}

Value Value::Opaque(std::string type, std::string bytes) {
  Value v;
  v.kind_ = Kind::kOpaque;
  v.type_ = std::move(type);
  v.text_ = std::move(bytes);
  return v;
}

absl::StatusOr<Value> Value::FromJson(std::string_view json) {
  Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return absl::InvalidArgumentError(fmt::format("this is no JSON: {}", json.substr(0, 200)));
  return FromParsed(parsed);
}

std::string Value::ToJson() const {
  switch (kind_) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return int_ ? "true" : "false";
    case Kind::kInt:
      return fmt::format("{}", int_);
    case Kind::kDouble:
      return std::isfinite(double_) ? Json(double_).dump() : "null";
    case Kind::kString:
      return Quoted(text_);
    case Kind::kDuration:
      return Quoted(absl::FormatDuration(absl::Nanoseconds(int_)));
    case Kind::kList: {
      std::string out = "[";
      for (const Value& item : list_) out += (out.size() > 1 ? "," : "") + item.ToJson();
      return out + "]";
    }
    case Kind::kMap: {
      std::string out = "{";
      for (const auto& [name, field] : fields_) out += (out.size() > 1 ? "," : "") + Quoted(name) + ":" + field.ToJson();
      return out + "}";
    }
    case Kind::kOpaque:
      return fmt::format(R"({{"@type":{},"base64":"{}"}})", Quoted(type_), absl::Base64Escape(text_));
    case Kind::kReference:
      return fmt::format(R"({{"@reference":{}}})", Quoted(type_));
  }
  return "null";
}

absl::Status Value::Expected(std::string_view what) const {
  static constexpr const char* kNames[] = {"null", "bool", "int", "double", "string", "duration", "list", "map", "bytes", "reference"};
  std::string seen = ToJson();
  if (seen.size() > 80) seen = seen.substr(0, 77) + "...";
  return absl::InvalidArgumentError(fmt::format("expected {}, got {} ({})", what, seen, kNames[static_cast<int>(kind_)]));
}

absl::StatusOr<bool> Value::AsBool() const {
  if (kind_ != Kind::kBool) return Expected("bool");
  return int_ != 0;
}

absl::StatusOr<int64_t> Value::AsInt(int64_t min, int64_t max) const {
  int64_t v = int_;
  if (kind_ == Kind::kDouble && std::trunc(double_) == double_ && std::abs(double_) < 9.0e18) {
    v = static_cast<int64_t>(double_);  // other ends know one kind of number only
  } else if (kind_ != Kind::kInt) {
    return Expected("int");
  }
  if (v < min || v > max) return Expected(fmt::format("int in {}..{}", min, max));
  return v;
}

absl::StatusOr<double> Value::AsDouble() const {
  if (kind_ == Kind::kInt) return static_cast<double>(int_);
  if (kind_ != Kind::kDouble) return Expected("double");
  return double_;
}

absl::StatusOr<std::string> Value::AsString() const {
  if (kind_ != Kind::kString) return Expected("string");
  return text_;
}

absl::StatusOr<absl::Duration> Value::AsDuration() const {
  if (kind_ == Kind::kDuration) return absl::Nanoseconds(int_);
  absl::Duration d;
  if (kind_ == Kind::kString && absl::ParseDuration(text_, &d)) return d;
  return Expected("duration such as \"20ms\" or \"1.5s\"");
}

absl::StatusOr<std::string> Value::AsOpaque(std::string_view type) const {
  if (kind_ == Kind::kOpaque && type_ == type) return text_;
  return Expected(type);
}

}  // namespace puma
