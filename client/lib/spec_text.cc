#include "client/lib/spec_text.h"

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/struct.pb.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/lib/spec_scalar.h"

namespace puma::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kBlockDepth = 2;  // what lies deeper stands in one line

// Map entries have no order of their own.
std::map<std::string, const Message*> EntriesOf(const Message& message, const FieldDescriptor* field) {
  std::map<std::string, const Message*> entries;
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    entries[entry.GetReflection()->GetString(entry, field->message_type()->map_key())] = &entry;
  }
  return entries;
}

std::vector<const FieldDescriptor*> SetFields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return fields;
}

std::string NumberText(double number) {
  // From 2^53 on a whole number without an exponent could be refused as inexact.
  const bool large = std::fabs(number) >= 9007199254740992.0;
  std::array<char, 64> text;
  const auto format = large ? std::chars_format::scientific : std::chars_format::general;
  const auto end = large || number != std::floor(number) ? std::to_chars(text.begin(), text.end(), number, format)
                                                         : std::to_chars(text.begin(), text.end(), static_cast<int64_t>(number));
  return std::string(text.begin(), end.ptr);
}

std::string BytesText(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size(); bytes /= 1024) ++unit;
  return absl::StrCat(bytes, kUnits[unit]);
}

// True: unquoted it is read as this text, in a list, a map or alone.
bool Plain(const std::string& text) {
  if (text.empty() || text[0] == '-' || text[0] == '.') return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && c != '_' && c != '-' && c != '.' && c != '/') return false;
  }
  const auto value = ParseValue(absl::AsciiStrToLower(text));
  return value.ok() && value->kind_case() == google::protobuf::Value::kStringValue;
}

class SpecEmitter {
 public:
  explicit SpecEmitter(int block_depth) : block_depth_(block_depth) {}
  std::string text() const { return out_.c_str(); }

  // False: it is a message of fields, to be written as a map.
  bool Word(const Message& message) {
    const std::string& type = message.GetDescriptor()->full_name();
    if (type == "google.protobuf.Duration") {
      const auto& duration = dynamic_cast<const google::protobuf::Duration&>(message);
      out_ << absl::FormatDuration(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
    } else if (type == "puma.v1.ByteSize") {
      out_ << BytesText(dynamic_cast<const v1::ByteSize&>(message).bytes());
    } else if (type == "google.protobuf.Value") {
      Value(dynamic_cast<const google::protobuf::Value&>(message));
    } else {
      return false;
    }
    return true;
  }

  void Map(const Message& message, int depth) {
    if (Word(message)) return;
    const std::vector<const FieldDescriptor*> fields = SetFields(message);
    // An input that is only a buffer is written as its name.
    if (message.GetDescriptor()->full_name() == "puma.v1.InputSpec" && fields.size() == 1 && fields[0]->name() == "buffer") {
      return Text(dynamic_cast<const v1::InputSpec&>(message).buffer());
    }
    if (depth > block_depth_ || !HasParts(fields)) out_ << YAML::Flow;
    out_ << YAML::BeginMap;
    for (const FieldDescriptor* field : fields) {
      out_ << YAML::Key << field->name() << YAML::Value;
      Field(message, field, depth);
    }
    out_ << YAML::EndMap;
  }

  void Field(const Message& message, const FieldDescriptor* field, int depth) {
    if (field->is_map()) {
      if (depth + 1 > block_depth_) out_ << YAML::Flow;
      out_ << YAML::BeginMap;
      for (const auto& [key, entry] : EntriesOf(message, field)) {
        out_ << YAML::Key;
        Key(key);
        out_ << YAML::Value;
        Single(*entry, field->message_type()->map_value(), depth + 2);
      }
      out_ << YAML::EndMap;
    } else if (field->is_repeated()) {
      out_ << YAML::Flow << YAML::BeginSeq;
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        if (field->message_type()) {
          Map(message.GetReflection()->GetRepeatedMessage(message, field, i), depth + 1);
        } else {
          Text(message.GetReflection()->GetRepeatedString(message, field, i));
        }
      }
      out_ << YAML::EndSeq;
    } else {
      Single(message, field, depth + 1);
    }
  }

 private:
  // True: it is more than a few words.
  static bool HasParts(const std::vector<const FieldDescriptor*>& fields) {
    for (const FieldDescriptor* field : fields) {
      if (field->is_map() || field->name() == "type") return true;
    }
    return false;
  }

  void Single(const Message& message, const FieldDescriptor* field, int depth) {
    const auto* reflection = message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Map(reflection->GetMessage(message, field), depth);
      case FieldDescriptor::CPPTYPE_STRING:
        return Text(reflection->GetString(message, field));
      case FieldDescriptor::CPPTYPE_ENUM: {
        const int number = reflection->GetEnumValue(message, field);
        const auto* value = field->enum_type()->FindValueByNumber(number);
        out_ << (value ? EnumWord(field->enum_type(), value->name()) : absl::StrCat(number));
        return;
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        out_ << (reflection->GetBool(message, field) ? "true" : "false");
        return;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        out_ << NumberText(reflection->GetDouble(message, field));
        return;
      case FieldDescriptor::CPPTYPE_UINT32:
        out_ << absl::StrCat(reflection->GetUInt32(message, field));
        return;
      case FieldDescriptor::CPPTYPE_INT32:
        out_ << absl::StrCat(reflection->GetInt32(message, field));
        return;
      case FieldDescriptor::CPPTYPE_UINT64:
        out_ << absl::StrCat(reflection->GetUInt64(message, field));
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        out_ << absl::StrCat(reflection->GetInt64(message, field));
        return;
      default:
        out_ << YAML::Null;  // SpecWalk refuses such fields, too
    }
  }

  void Value(const google::protobuf::Value& value) {
    switch (value.kind_case()) {
      case google::protobuf::Value::kBoolValue:
        out_ << (value.bool_value() ? "true" : "false");
        return;
      case google::protobuf::Value::kNumberValue:
        out_ << NumberText(value.number_value());
        return;
      case google::protobuf::Value::kStringValue:
        return Text(value.string_value());
      case google::protobuf::Value::kListValue:
        out_ << YAML::Flow << YAML::BeginSeq;
        for (const auto& item : value.list_value().values()) Value(item);
        out_ << YAML::EndSeq;
        return;
      case google::protobuf::Value::kStructValue: {
        out_ << YAML::Flow << YAML::BeginMap;
        const auto& fields = value.struct_value().fields();
        for (const auto& [key, item] : std::map<std::string, google::protobuf::Value>(fields.begin(), fields.end())) {
          out_ << YAML::Key;
          Key(key);
          out_ << YAML::Value;
          Value(item);
        }
        out_ << YAML::EndMap;
        return;
      }
      default:
        out_ << YAML::Null;
    }
  }

  void Key(const std::string& key) {  // variables are not expanded in keys
    if (Plain(key)) {
      out_ << key;
    } else {
      out_ << YAML::DoubleQuoted << key;
    }
  }
  void Text(const std::string& text) {
    if (Plain(text)) {
      out_ << text;
    } else {
      out_ << YAML::DoubleQuoted << absl::StrReplaceAll(text, {{"${", "$${"}});
    }
  }

  const int block_depth_;
  YAML::Emitter out_;
};

void AddFields(const Message& message, const std::string& path, std::map<std::string, std::string>& fields) {
  if (SpecEmitter word(0); word.Word(message)) {
    fields[path] = word.text();
    return;
  }
  const std::vector<const FieldDescriptor*> set = SetFields(message);
  if (set.empty() && !path.empty()) fields[path] = "{}";
  for (const FieldDescriptor* field : set) {
    const std::string here = path.empty() ? field->name() : absl::StrCat(path, ".", field->name());
    const FieldDescriptor* value = field->is_map() ? field->message_type()->map_value() : nullptr;
    if (value && value->message_type()) {
      for (const auto& [key, entry] : EntriesOf(message, field)) {
        AddFields(entry->GetReflection()->GetMessage(*entry, value), absl::StrCat(here, ".", key), fields);
      }
    } else if (value) {
      for (const auto& [key, entry] : EntriesOf(message, field)) {
        SpecEmitter single(0);
        single.Field(*entry, value, 0);
        fields[absl::StrCat(here, ".", key)] = single.text();
      }
    } else if (field->message_type() && !field->is_repeated()) {
      AddFields(message.GetReflection()->GetMessage(message, field), here, fields);
    } else {
      SpecEmitter single(0);
      single.Field(message, field, 0);
      fields[here] = single.text();
    }
  }
}

}  // namespace

std::string ToYaml(const v1::PipelineSpec& spec) {
  SpecEmitter emitter(kBlockDepth);
  emitter.Map(spec, 0);
  return emitter.text() + "\n";
}

std::string ToYamlLine(const google::protobuf::Message& message) {
  SpecEmitter emitter(-1);
  emitter.Map(message, 0);
  return emitter.text();
}

std::map<std::string, std::string> FieldsOf(const google::protobuf::Message& message) {
  std::map<std::string, std::string> fields;
  AddFields(message, "", fields);
  return fields;
}

std::string EnumWord(const google::protobuf::EnumDescriptor* type, const std::string& value) {
  std::string prefix;
  for (const char c : type->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  return absl::AsciiStrToLower(absl::StripPrefix(value, prefix + "_"));
}

}  // namespace puma::client
