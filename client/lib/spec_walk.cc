#include "client/lib/spec_walk.h"

#include <google/protobuf/descriptor.h>

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/lib/spec_text.h"
#include "client/lib/suggest.h"

namespace puma::client {
namespace {

using google::protobuf::FieldDescriptor;

constexpr int kMaxDepth = 50;
constexpr int kMaxNodes = 200'000;

Place PlaceOf(const YAML::Node& node) { return {node.Mark().line + 1, node.Mark().column + 1}; }

// yaml-cpp tags what was quoted with "!".
bool Quoted(const YAML::Node& node) { return node.Tag() == "!"; }

std::string Shown(const std::string& text) { return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, 100)), "\""); }

std::string Join(const std::string& path, const std::string& name) { return path.empty() ? name : absl::StrCat(path, ".", name); }

// What a user calls an entry of a map field: `tasks` has entries like task "loader".
std::string EntryName(const FieldDescriptor* field, const std::string& key, const std::string& parent) {
  if (parent.empty() && absl::EndsWith(field->name(), "s"))
    return absl::StrCat(field->name().substr(0, field->name().size() - 1), " ", Shown(key));
  return absl::StrCat(Shown(key), " in ", Shown(field->name()), parent.empty() ? "" : " of ", parent);
}

std::string FieldName(const FieldDescriptor* field, const std::string& parent) {
  return absl::StrCat(Shown(field->name()), parent.empty() ? "" : " of ", parent);
}

std::vector<std::string> NamesOf(const google::protobuf::Descriptor* type) {
  std::vector<std::string> names;
  for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->name());
  return names;
}

// An integer of type T. Anything but plain decimal digits is refused.
template <class T>
bool ParseWhole(const std::string& text, T& value) {
  if (!IsNumber(text) || text.find_first_of(".eE") != std::string::npos) return false;
  return absl::SimpleAtoi(text, &value);
}

template <class T>
std::string RangeOf() {
  return absl::StrCat("a whole number from ", std::numeric_limits<T>::min(), " to ", std::numeric_limits<T>::max());
}

}  // namespace

void SpecWalk::Report(const YAML::Node& node, std::string text) { mistakes.push_back({PlaceOf(node), std::move(text)}); }

bool SpecWalk::Enter(const YAML::Node& node, const Here& here) {
  if (here.depth <= kMaxDepth && ++visited_ <= kMaxNodes) return true;
  if (visited_ < kMaxNodes * 2) Report(node, "nested or repeated too often; does an anchor contain itself?");
  visited_ = kMaxNodes * 2;  // once is enough
  return false;
}

bool SpecWalk::Word(const YAML::Node& node, const Here& here, const char* wanted, std::string& text) {
  if (!node.IsScalar()) {
    const char* found = node.IsMap() ? "a map" : node.IsSequence() ? "a list" : "nothing";
    Report(node, absl::StrCat(here.what, " must be ", wanted, ", not ", found));
    return false;
  }
  absl::StatusOr<std::string> expanded = Expand(node.Scalar(), variables_);
  if (!expanded.ok()) {
    Report(node, std::string(expanded.status().message()));
    return false;
  }
  if (!IsUtf8(*expanded)) {
    Report(node, absl::StrCat(here.what, " is not UTF-8"));
    return false;
  }
  text = *std::move(expanded);
  return true;
}

template <class F>
void SpecWalk::ForEachEntry(const YAML::Node& node, const Here& here, F f) {
  std::map<std::string, int> lines;  // by key, where it was first
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      Report(entry.first, absl::StrCat("a key", here.what.empty() ? "" : " in ", here.what, " must be a word"));
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (!IsUtf8(key)) {
      Report(entry.first, absl::StrCat("a key", here.what.empty() ? "" : " in ", here.what, " is not UTF-8"));
      continue;
    }
    const auto [it, is_new] = lines.emplace(key, PlaceOf(entry.first).line);
    if (!is_new) {
      Report(entry.first, absl::StrCat("duplicate key ", Shown(key), here.what.empty() ? "" : " in ", here.what, "; it is already in line ",
                                       it->second));
      continue;
    }
    f(key, entry.first, entry.second);
  }
}

void SpecWalk::Walk(const YAML::Node& root, google::protobuf::Message& message) { Message(root, message, Here{}); }

void SpecWalk::Message(const YAML::Node& node, google::protobuf::Message& message, const Here& here) {
  if (!Enter(node, here) || WellKnown(node, message, here)) return;
  if (!node.IsMap()) {
    Report(node, absl::StrCat(here.what.empty() ? "a spec" : here.what, " must be a map of fields, as {",
                              message.GetDescriptor()->field(0)->name(), ": ...}"));
    return;
  }
  ForEachEntry(node, here, [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key);
    if (!field) {
      Report(key_node, absl::StrCat("unknown field ", Shown(key), here.what.empty() ? "" : " in ", here.what,
                                    Suggest(key, NamesOf(message.GetDescriptor()))));
      return;
    }
    const Here there{Join(here.path, key), FieldName(field, here.what), here.depth + 1};
    places[there.path] = PlaceOf(key_node);
    FieldOf(value, message, field, Here{there.path, field->is_map() ? here.what : there.what, there.depth});
  });
}

void SpecWalk::FieldOf(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here) {
  if (field->is_map()) return Map(node, message, field, here);
  if (field->is_repeated()) return List(node, message, field, here);
  Single(node, message, field, here);
}

// `here.what` is what the map belongs to.
void SpecWalk::Map(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here) {
  if (!node.IsMap()) {
    Report(node, absl::StrCat(FieldName(field, here.what), " must be a map, as {name: ...}"));
    return;
  }
  const Field* key_field = field->message_type()->map_key();
  const Field* value_field = field->message_type()->map_value();
  const Here inside{here.path, FieldName(field, here.what), here.depth};
  ForEachEntry(node, inside, [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
    google::protobuf::Message* entry = message.GetReflection()->AddMessage(&message, field);
    entry->GetReflection()->SetString(entry, key_field, key);
    const Here there{Join(here.path, key), EntryName(field, key, here.what), here.depth + 1};
    places[there.path] = PlaceOf(key_node);
    Single(value, *entry, value_field, there);
  });
}

void SpecWalk::List(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here) {
  if (!node.IsSequence()) {
    Report(node, absl::StrCat(here.what, " must be a list, as [a, b]"));
    return;
  }
  int index = 0;
  for (const YAML::Node& item : node) {
    const Here there{absl::StrCat(here.path, "[", index, "]"), absl::StrCat("item ", index + 1, " of ", here.what), here.depth + 1};
    places[there.path] = places[absl::StrCat(here.path, ".", index)] = PlaceOf(item);
    ++index;
    if (field->message_type()) {
      Message(item, *message.GetReflection()->AddMessage(&message, field), there);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (std::string text; Word(item, there, "a word", text)) message.GetReflection()->AddString(&message, field, text);
    } else {
      Report(item, absl::StrCat(there.what, ": lists of this type are not known to this client"));
    }
  }
}

void SpecWalk::Single(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here) {
  if (field->message_type()) {
    Message(node, *message.GetReflection()->MutableMessage(&message, field), here);
  } else {
    Scalar(node, message, field, here);
  }
}

void SpecWalk::Scalar(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here) {
  const auto* reflection = message.GetReflection();
  std::string text;
  // A quoted number is text; but a quoted "${N:-2}" is a number, as flow style can't have it unquoted.
  const auto number = [&](const std::string& wanted, auto parse, auto set) {
    if (!Word(node, here, wanted.c_str(), text)) return;
    const bool is_text = Quoted(node) && !absl::StartsWith(node.Scalar(), "${");
    if (is_text || !parse())
      return Report(node, absl::StrCat(here.what, " must be ", wanted, ", not ", is_text ? "the text " : "", Shown(text)));
    set();
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (Word(node, here, "text", text)) reflection->SetString(&message, field, text);
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      if (Word(node, here, "a word", text)) Enum(node, text, message, field, here);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      return number(
          "true or false", [&] { return text == "true" || text == "false"; },
          [&] { reflection->SetBool(&message, field, text == "true"); });
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      return number(
          "a number", [&] { return IsNumber(text) && absl::SimpleAtod(text, &value); },
          [&] { reflection->SetDouble(&message, field, value); });
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t value = 0;
      return number(
          RangeOf<uint32_t>(), [&] { return ParseWhole(text, value); }, [&] { reflection->SetUInt32(&message, field, value); });
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value = 0;
      return number(
          RangeOf<int32_t>(), [&] { return ParseWhole(text, value); }, [&] { reflection->SetInt32(&message, field, value); });
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t value = 0;
      return number(
          RangeOf<uint64_t>(), [&] { return ParseWhole(text, value); }, [&] { reflection->SetUInt64(&message, field, value); });
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value = 0;
      return number(
          RangeOf<int64_t>(), [&] { return ParseWhole(text, value); }, [&] { reflection->SetInt64(&message, field, value); });
    }
    default:
      Report(node, absl::StrCat(here.what, ": fields of this type are not known to this client"));
  }
}

void SpecWalk::Enum(const YAML::Node& node, const std::string& text, google::protobuf::Message& message, const Field* field,
                    const Here& here) {
  std::vector<std::string> known;
  for (int i = 0; i < field->enum_type()->value_count(); ++i) {
    const auto* value = field->enum_type()->value(i);
    if (value->number() == 0) continue;  // UNSPECIFIED is said by leaving the field away
    known.push_back(EnumWord(field->enum_type(), value->name()));
    if (known.back() == text) return message.GetReflection()->SetEnum(&message, field, value);
  }
  Report(node, absl::StrCat("unknown value ", Shown(text), " for ", here.what, Suggest(text, known)));
}

bool SpecWalk::WellKnown(const YAML::Node& node, google::protobuf::Message& message, const Here& here) {
  const std::string& type = message.GetDescriptor()->full_name();
  std::string text;
  if (type == "google.protobuf.Duration") {
    if (!Word(node, here, "a duration, as 100ms, 5s or 2m", text)) return true;
    auto duration = ParseDuration(text);
    if (duration.ok()) message.CopyFrom(*duration);
    if (!duration.ok()) Report(node, absl::StrCat(here.what, " ", duration.status().message()));
    return true;
  }
  if (type == "puma.v1.ByteSize") {
    if (!Word(node, here, "a size, as 64MiB", text)) return true;
    const auto bytes = ParseBytes(text);
    if (bytes.ok()) message.GetReflection()->SetUInt64(&message, message.GetDescriptor()->FindFieldByName("bytes"), *bytes);
    if (!bytes.ok()) Report(node, absl::StrCat(here.what, " ", bytes.status().message()));
    return true;
  }
  if (type == "puma.v1.InputSpec") {
    if (node.IsMap()) return false;
    if (!Word(node, here, "a buffer's name, or a map, as {buffer: ...}", text)) return true;
    message.GetReflection()->SetString(&message, message.GetDescriptor()->FindFieldByName("buffer"), text);
    return true;
  }
  if (type != "google.protobuf.Value") return false;
  google::protobuf::Value value;
  Value(node, value, here);
  message.CopyFrom(value);
  return true;
}

void SpecWalk::Value(const YAML::Node& node, google::protobuf::Value& value, const Here& here) {
  if (!Enter(node, here)) return;
  if (node.IsNull()) {
    value.set_null_value(google::protobuf::NULL_VALUE);
  } else if (node.IsMap()) {
    auto& fields = *value.mutable_struct_value()->mutable_fields();
    ForEachEntry(node, here, [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& item) {
      const Here there{Join(here.path, key), absl::StrCat(Shown(key), " of ", here.what), here.depth + 1};
      places[there.path] = PlaceOf(key_node);
      Value(item, fields[key], there);
    });
  } else if (node.IsSequence()) {
    value.mutable_list_value();
    int index = 0;
    for (const YAML::Node& item : node) {
      const Here there{absl::StrCat(here.path, "[", index, "]"), absl::StrCat("item ", index + 1, " of ", here.what), here.depth + 1};
      ++index;
      places[there.path] = PlaceOf(item);
      Value(item, *value.mutable_list_value()->add_values(), there);
    }
  } else if (std::string text; Word(node, here, "a value", text)) {
    // What was quoted is text. What was expanded is what it would be if it stood there; but nothing is then "", not null.
    if (Quoted(node) || (text.empty() && !node.Scalar().empty())) return value.set_string_value(text);
    auto parsed = ParseValue(text);
    if (parsed.ok()) value = *std::move(parsed);
    if (!parsed.ok()) Report(node, absl::StrCat(here.what, ": ", parsed.status().message()));
  }
}

}  // namespace puma::client
