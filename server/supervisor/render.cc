#include "server/supervisor/render.h"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/telemetry/log_line_json.h"

namespace puma::server {
namespace {

using google::protobuf::Value;

template <class T>
Value ValueOf(const char* at) {
  Value value;
  if constexpr (std::is_same_v<T, bool>) {
    value.set_bool_value(*at != 0);  // whatever stands there: a bool of two bits would be undefined
  } else {
    T number;
    std::memcpy(&number, at, sizeof number);
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isfinite(number)) {
        value.set_number_value(number);
      } else {
        value.set_string_value(std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
      }
    } else {
      constexpr int64_t kExact = int64_t{1} << 53;
      if (std::cmp_less_equal(number, kExact) && std::cmp_greater_equal(number, -kExact)) {
        value.set_number_value(static_cast<double>(number));
      } else {
        value.set_string_value(absl::StrCat(number));
      }
    }
  }
  return value;
}

struct Scalar {
  std::string_view name;
  size_t size;
  Value (*value)(const char*);
};
template <class T>
constexpr Scalar ScalarOf(std::string_view name) {
  return {name, sizeof(T), ValueOf<T>};
}
constexpr Scalar kScalars[] = {
    ScalarOf<bool>("bool"),
    ScalarOf<signed char>("signed char"),
    ScalarOf<unsigned char>("unsigned char"),
    ScalarOf<short>("short"),
    ScalarOf<unsigned short>("unsigned short"),
    ScalarOf<int>("int"),
    ScalarOf<unsigned>("unsigned int"),
    ScalarOf<long>("long"),
    ScalarOf<unsigned long>("unsigned long"),
    ScalarOf<long long>("long long"),
    ScalarOf<unsigned long long>("unsigned long long"),
    ScalarOf<float>("float"),
    ScalarOf<double>("double"),
};
const Scalar* FindScalar(std::string_view type) {
  for (const Scalar& scalar : kScalars) {
    if (scalar.name == type) return &scalar;
  }
  return nullptr;
}

}  // namespace

std::optional<Value> Render(std::string_view type, std::string_view bytes) {
  if (const Scalar* scalar = FindScalar(type)) {
    return scalar->size == bytes.size() ? std::optional(scalar->value(bytes.data())) : std::nullopt;
  }
  if (type == "std::string") {
    if (!IsUtf8(std::string(bytes))) return std::nullopt;
    Value value;
    value.set_string_value(std::string(bytes));
    return value;
  }
  constexpr std::string_view kVector = "std::vector<";
  if (!type.starts_with(kVector)) return std::nullopt;
  const std::string_view rest = type.substr(kVector.size());
  const Scalar* each = FindScalar(rest.substr(0, rest.find_first_of(",>")));
  if (each == nullptr || bytes.size() % each->size != 0) return std::nullopt;
  Value value;
  google::protobuf::ListValue& list = *value.mutable_list_value();
  for (size_t at = 0; at < bytes.size(); at += each->size) *list.add_values() = each->value(bytes.data() + at);
  return value;
}

}  // namespace puma::server
