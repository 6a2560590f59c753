#include "server/supervisor/render.h"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/util/json_util.h"
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
constexpr std::string_view kVector = "std::vector<";
const Scalar* FindScalar(std::string_view type) {
  for (const Scalar& scalar : kScalars) {
    if (scalar.name == type) return &scalar;
  }
  return nullptr;
}

std::optional<Value> TextValue(std::string_view bytes) {
  std::string text(bytes);
  if (!IsUtf8(text)) return std::nullopt;
  Value value;
  value.set_string_value(std::move(text));
  return value;
}

// Structs, one after the other, as their schema says. The schema may be nonsense: nothing is read beside the struct, and nothing without
// end.
class StructReader {
 public:
  // False: the schema is nonsense, or too much.
  bool Read(const v1::StructSchema& schema, std::string_view bytes, google::protobuf::Struct& out) {
    for (const v1::FieldSchema& field : schema.fields()) {
      Value value;
      const std::string_view rest = bytes.substr(std::min<size_t>(field.offset(), bytes.size()));
      switch (ReadField(field, rest, value)) {
        case Result::kRead:
          (*out.mutable_fields())[field.name()] = std::move(value);
          break;
        case Result::kLeftOut:
          break;
        case Result::kNonsense:
          return false;
      }
    }
    return true;
  }

 private:
  enum class Result { kRead, kLeftOut, kNonsense };
  Result ReadField(const v1::FieldSchema& field, std::string_view bytes, Value& out) {
    const Scalar* scalar = FindScalar(field.type() == "char" ? "signed char" : field.type());
    if (scalar == nullptr && !field.has_structure()) return Result::kLeftOut;
    const size_t size = scalar != nullptr ? scalar->size : field.structure().size();
    const size_t count = field.has_count() ? field.count() : 1;
    if (size == 0 || count > bytes.size() / size) return Result::kNonsense;
    if (field.has_count() && field.type() == "char") {
      const std::string_view text = bytes.substr(0, count);
      if (auto value = TextValue(text.substr(0, text.find('\0')))) return out = *std::move(value), Pay();
    }
    if (!field.has_count()) return ReadOne(field, scalar, bytes.substr(0, size), out);
    google::protobuf::ListValue& list = *out.mutable_list_value();
    for (size_t i = 0; i < count; ++i) {
      if (ReadOne(field, scalar, bytes.substr(i * size, size), *list.add_values()) != Result::kRead) return Result::kNonsense;
    }
    return Pay();
  }
  Result ReadOne(const v1::FieldSchema& field, const Scalar* scalar, std::string_view bytes, Value& out) {
    if (scalar == nullptr && !Read(field.structure(), bytes, *out.mutable_struct_value())) return Result::kNonsense;
    if (scalar != nullptr) out = scalar->value(bytes.data());
    return Pay();
  }
  Result Pay() { return left_-- > 0 ? Result::kRead : Result::kNonsense; }
  int left_ = 100'000;
};

// The descriptors are a stranger's: what does not fit together is refused by the pool, which would otherwise log it.
class Silent : public google::protobuf::DescriptorPool::ErrorCollector {
  void AddError(const std::string&, const std::string&, const google::protobuf::Message*, ErrorLocation, const std::string&) override {}
};

}  // namespace

// Protobuf messages of one type.
class Renderer::Messages {
 public:
  explicit Messages(const v1::ProtobufSchema& schema) {
    google::protobuf::FileDescriptorSet files;
    if (!files.ParseFromString(schema.descriptors())) return;
    Silent silent;
    for (const auto& file : files.file()) {
      if (pool_.BuildFileCollectingErrors(file, &silent) == nullptr) return;
    }
    if (const auto* type = pool_.FindMessageTypeByName(schema.message())) prototype_ = factory_.GetPrototype(type);
  }
  std::optional<Value> Render(std::string_view bytes) const {
    if (prototype_ == nullptr) return std::nullopt;
    const std::unique_ptr<google::protobuf::Message> message(prototype_->New());
    if (!message->ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    std::string json;
    Value value;
    if (!google::protobuf::util::MessageToJsonString(*message, &json, options).ok()) return std::nullopt;
    if (!google::protobuf::util::JsonStringToMessage(json, &value).ok()) return std::nullopt;
    return value;
  }

 private:
  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_{&pool_};
  const google::protobuf::Message* prototype_ = nullptr;
};

Renderer::Renderer(std::string type, v1::PayloadSchema schema) : type_(std::move(type)), schema_(std::move(schema)) {}
Renderer::~Renderer() = default;

std::optional<Value> Renderer::Render(std::string_view bytes) const {
  if (schema_.has_structure()) return RenderStructs(bytes);
  if (schema_.has_protobuf()) {
    std::call_once(once_, [this] { messages_ = std::make_unique<const Messages>(schema_.protobuf()); });
    return messages_->Render(bytes);
  }
  if (const Scalar* scalar = FindScalar(type_)) {
    return scalar->size == bytes.size() ? std::optional(scalar->value(bytes.data())) : std::nullopt;
  }
  if (type_ == "std::string") return TextValue(bytes);
  if (!type_.starts_with(kVector)) return std::nullopt;
  const std::string_view rest = std::string_view(type_).substr(kVector.size());
  const Scalar* each = FindScalar(rest.substr(0, rest.find_first_of(",>")));
  if (each == nullptr || bytes.size() % each->size != 0) return std::nullopt;
  Value value;
  google::protobuf::ListValue& list = *value.mutable_list_value();
  for (size_t at = 0; at < bytes.size(); at += each->size) *list.add_values() = each->value(bytes.data() + at);
  return value;
}

// One, the header of a Block, or a vector of them.
std::optional<Value> Renderer::RenderStructs(std::string_view bytes) const {
  const v1::StructSchema& schema = schema_.structure();
  const size_t size = schema.size();
  if (size == 0) return std::nullopt;
  StructReader reader;
  Value value;
  if (type_.starts_with(kVector)) {
    if (bytes.size() % size != 0) return std::nullopt;
    google::protobuf::ListValue& list = *value.mutable_list_value();
    for (size_t at = 0; at < bytes.size(); at += size) {
      if (!reader.Read(schema, bytes.substr(at, size), *list.add_values()->mutable_struct_value())) return std::nullopt;
    }
    return value;
  }
  if (bytes.size() < size || (bytes.size() != size && !type_.starts_with("puma::Block<"))) return std::nullopt;
  if (!reader.Read(schema, bytes.substr(0, size), *value.mutable_struct_value())) return std::nullopt;
  return value;
}

}  // namespace puma::server
