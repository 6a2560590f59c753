#include "client/lib/spec_schema.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/lib/spec_text.h"

namespace puma::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

template <class Described>
std::string CommentOf(const Described& described) {
  google::protobuf::SourceLocation location;
  if (!described.GetSourceLocation(&location)) return "";
  std::string text = absl::StrReplaceAll(location.leading_comments, {{"\n ", " "}, {"\n", " "}});
  absl::StripAsciiWhitespace(&text);
  return text;
}

// Or a variable, which may stand for anything.
Json OrVariable(Json schema) { return {{"anyOf", {std::move(schema), {{"type", "string"}, {"pattern", R"(\$\{)"}}}}}; }

class SchemaMaker {
 public:
  Json Whole(const Descriptor& spec) {
    Json whole = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "PUMA pipeline"}};
    Json root = Object(spec);
    root["properties"]["include"] = {
        {"description", "Files that come first, beside this one; what is said here is put over it, whole tasks and buffers at a time."},
        {"anyOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}}};
    whole.update(root);
    whole["$defs"] = definitions_;
    return whole;
  }

 private:
  Json Object(const Descriptor& message) {
    Json object = {{"description", CommentOf(message)}, {"type", "object"}, {"additionalProperties", false}};
    Json& properties = object["properties"] = Json::object();
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      Json& property = properties[field.name()] = Field(field);
      property["description"] = CommentOf(field);
    }
    return object;
  }

  Json Field(const FieldDescriptor& field) {
    if (field.is_map()) return {{"type", "object"}, {"additionalProperties", Single(*field.message_type()->map_value())}};
    if (field.is_repeated()) return {{"type", "array"}, {"items", Single(field)}};
    return Single(field);
  }

  Json Single(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Message(*field.message_type());
      case FieldDescriptor::CPPTYPE_ENUM: {
        Json words = Json::array();
        for (int i = 0; i < field.enum_type()->value_count(); ++i) {
          const auto& value = *field.enum_type()->value(i);
          if (value.number() != 0) words.push_back(EnumWord(field.enum_type(), value.name()));
        }
        return OrVariable({{"enum", words}});
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        return OrVariable({{"type", "boolean"}});
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return OrVariable({{"type", "number"}});
      case FieldDescriptor::CPPTYPE_UINT32:
      case FieldDescriptor::CPPTYPE_UINT64:
        return OrVariable({{"type", "integer"}, {"minimum", 0}});
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64:
        return OrVariable({{"type", "integer"}});
      default:
        return {{"type", {"string", "number", "boolean"}}};  // a word is text, whatever it looks like
    }
  }

  Json Message(const Descriptor& message) {
    const std::string& type = message.full_name();
    if (type == "google.protobuf.Value") return Json::object();  // anything
    if (type == "google.protobuf.Duration") {
      return OrVariable({{"anyOf", {{{"const", 0}}, {{"type", "string"}, {"pattern", R"(^(0|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$)"}}}}});
    }
    if (type == "puma.v1.ByteSize") {
      return OrVariable({{"anyOf",
                          {{{"type", "integer"}, {"minimum", 0}},
                           {{"type", "string"}, {"pattern", R"(^[0-9]+(\.[0-9]+)?(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)?$)"}}}}});
    }
    if (!definitions_.contains(message.name())) {
      definitions_[message.name()] = nullptr;  // it may contain itself
      definitions_[message.name()] = Object(message);
    }
    const Json reference = {{"$ref", absl::StrCat("#/$defs/", message.name())}};
    if (type == "puma.v1.InputSpec") return {{"anyOf", {{{"type", "string"}}, reference}}};  // just the buffer's name
    return reference;
  }

  Json definitions_ = Json::object();
};

}  // namespace

std::string SpecSchema(const Descriptor& spec) { return SchemaMaker().Whole(spec).dump(2) + "\n"; }

}  // namespace puma::client
