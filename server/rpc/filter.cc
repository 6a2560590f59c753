#include "server/rpc/filter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/config/suggest.h"

namespace puma::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kLongest = 2000;
constexpr const char* kInside[] = {"status", "spec"};  // where fields are looked for that the resource does not have

bool IsTime(const FieldDescriptor& field) {
  return field.message_type() != nullptr && field.message_type()->full_name() == "google.protobuf.Timestamp";
}
bool IsDuration(const FieldDescriptor& field) {
  return field.message_type() != nullptr && field.message_type()->full_name() == "google.protobuf.Duration";
}

// "TASK_STATE_" of puma.v1.TaskState: what its first value has before "UNSPECIFIED".
std::string PrefixOf(const EnumDescriptor& type) { return std::string(absl::StripSuffix(type.value(0)->name(), "UNSPECIFIED")); }

std::optional<int64_t> EnumValue(const EnumDescriptor& type, const std::string& word) {
  const std::string name = absl::AsciiStrToUpper(word);
  for (const std::string& whole : {name, PrefixOf(type) + name}) {
    if (const auto* value = type.FindValueByName(whole)) return value->number();
  }
  return std::nullopt;
}

std::vector<std::string> ValuesOf(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i)
    names.push_back(absl::AsciiStrToLower(absl::StripPrefix(type.value(i)->name(), PrefixOf(type))));
  return names;
}

std::vector<std::string> FieldsOf(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

bool IsWordOfName(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.'; }

}  // namespace

class Filter::Parser {
 public:
  Parser(absl::string_view text, const Descriptor& resource) : text_(text), resource_(resource) {}

  absl::StatusOr<std::vector<std::vector<Restriction>>> Run() {
    std::vector<std::vector<Restriction>> all;
    bool first = true;
    for (SkipSpaces(); at_ < text_.size(); SkipSpaces()) {
      const bool joined = TakeWord("AND");
      if (joined && first) return Wrong("a filter can't begin with AND");
      const bool either = !joined && TakeWord("OR");
      if (either && first) return Wrong("a filter can't begin with OR");
      absl::StatusOr<Restriction> restriction = TakeRestriction();
      if (!restriction.ok()) return restriction.status();
      if (!either) all.emplace_back();
      all.back().push_back(*std::move(restriction));
      first = false;
    }
    return all;
  }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("at character ", at_ + 1, ": ", what));
  }
  void SkipSpaces() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool TakeWord(absl::string_view word) {
    const absl::string_view rest = text_.substr(at_);
    if (!absl::StartsWith(rest, word) || rest.size() <= word.size() || !absl::ascii_isspace(static_cast<unsigned char>(rest[word.size()])))
      return false;
    at_ += word.size();
    SkipSpaces();
    return true;
  }
  bool Take(absl::string_view sign) {
    if (!absl::StartsWith(text_.substr(at_), sign)) return false;
    at_ += sign.size();
    return true;
  }

  absl::StatusOr<Restriction> TakeRestriction() {
    Restriction restriction;
    restriction.negated = TakeWord("NOT") || Take("-");
    if (at_ < text_.size() && text_[at_] == '(') return Wrong("parentheses are not understood; OR binds tighter than AND");
    const size_t begin = at_;
    while (at_ < text_.size() && IsWordOfName(text_[at_])) ++at_;
    const absl::string_view path = text_.substr(begin, at_ - begin);
    if (path.empty()) return Wrong("a field is missing, as in state=failed");
    if (absl::Status resolved = Resolve(path, begin, restriction); !resolved.ok()) return resolved;
    SkipSpaces();
    static constexpr std::pair<absl::string_view, Operator> kOperators[] = {
        {"!=", Operator::kUnequal}, {"<=", Operator::kAtMost}, {">=", Operator::kAtLeast}, {"=", Operator::kEqual},
        {"<", Operator::kLess},     {">", Operator::kGreater}, {":", Operator::kHas}};
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators), [&](const auto& known) { return Take(known.first); });
    if (found == std::end(kOperators)) return Wrong(absl::StrCat("after ", path, " one of = != < <= > >= : is missing"));
    restriction.op = found->second;
    SkipSpaces();
    const size_t value_at = at_;
    bool quoted = false;
    absl::StatusOr<std::string> value = TakeValue(quoted);
    if (!value.ok()) return value.status();
    if (absl::Status read = Read(*value, quoted, path, restriction); !read.ok()) {
      at_ = value_at;
      return Wrong(read.message());
    }
    return restriction;
  }

  // Fields and keys of maps, from the resource on.
  absl::Status Resolve(absl::string_view path, size_t begin, Restriction& restriction) {
    const Descriptor* type = &resource_;
    for (size_t from = 0; from <= path.size();) {
      const size_t dot = std::min(path.find('.', from), path.size());
      const std::string name(path.substr(from, dot - from));
      if (type == nullptr) {
        at_ = begin + from;
        return Wrong(absl::StrCat(path.substr(0, from - 1), " has no fields"));
      }
      const FieldDescriptor* field = type->FindFieldByName(name);
      if (field == nullptr && type == &resource_) field = FindInside(name, restriction);
      if (field == nullptr) {
        at_ = begin + from;
        return Wrong(absl::StrCat(type->name(), " has no field \"", name, "\"", DidYouMean(name, Candidates(*type))));
      }
      restriction.path.push_back({.field = field, .key = ""});
      from = dot + 1;
      type = field->message_type();
      if (!field->is_map()) continue;
      if (from > path.size()) {
        at_ = begin + path.size();
        return Wrong(absl::StrCat(path, " is a map: a key is missing, as in ", path, ".name"));
      }
      const size_t end = std::min(path.find('.', from), path.size());
      restriction.path.back().key = std::string(path.substr(from, end - from));
      const FieldDescriptor* value = type->FindFieldByNumber(2);
      restriction.path.push_back({.field = value, .key = ""});
      from = end + 1;
      type = value->message_type();
    }
    return absl::OkStatus();
  }

  std::vector<std::string> Candidates(const Descriptor& type) const {
    std::vector<std::string> names = FieldsOf(type);
    for (const char* part : kInside) {
      const FieldDescriptor* inside = &type == &resource_ ? type.FindFieldByName(part) : nullptr;
      if (inside == nullptr || inside->message_type() == nullptr) continue;
      for (std::string& name : FieldsOf(*inside->message_type())) names.push_back(std::move(name));
    }
    return names;
  }

  // A field of the resource's status or spec.
  const FieldDescriptor* FindInside(const std::string& name, Restriction& restriction) const {
    for (const char* part : kInside) {
      const FieldDescriptor* inside = resource_.FindFieldByName(part);
      if (inside == nullptr || inside->message_type() == nullptr) continue;
      if (const FieldDescriptor* field = inside->message_type()->FindFieldByName(name)) {
        restriction.path.push_back({.field = inside, .key = ""});
        return field;
      }
    }
    return nullptr;
  }

  absl::StatusOr<std::string> TakeValue(bool& quoted) {
    std::string value;
    quoted = Take("\"");
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (quoted && c == '"') return ++at_, value;
      if (!quoted && absl::ascii_isspace(static_cast<unsigned char>(c))) break;
      if (quoted && c == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_];
    }
    if (quoted) return Wrong("a \" that ends the value is missing");
    if (value.empty()) return Wrong("a value is missing; an empty text is \"\"");
    return value;
  }

  // The value as the field's type.
  static absl::Status Read(const std::string& text, bool quoted, absl::string_view path, Restriction& restriction) {
    const FieldDescriptor& field = *restriction.path.back().field;
    const auto bad = [&](const std::string& what) { return absl::InvalidArgumentError(absl::StrCat(path, ": ", what)); };
    const bool has = restriction.op == Operator::kHas;
    if (has && text == "*" && !quoted && (field.message_type() != nullptr || field.is_repeated())) return absl::OkStatus();
    const bool equality = restriction.op == Operator::kEqual || restriction.op == Operator::kUnequal;
    int64_t integer = 0;
    double number = 0;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        if (!equality && !has) return bad("a text can't be smaller or larger; use = != or :");
        absl::string_view rest = text;
        restriction.open_begin = has || (!quoted && absl::ConsumePrefix(&rest, "*"));
        restriction.open_end = has || (!quoted && absl::ConsumeSuffix(&rest, "*"));
        restriction.value = std::string(rest);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false") return bad("is true or false");
        if (!equality) return bad("can only be compared by = and !=");
        restriction.value = text == "true";
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_ENUM: {
        const std::optional<int64_t> value = EnumValue(*field.enum_type(), text);
        if (!value) return bad(absl::StrCat("there is no \"", text, "\"", DidYouMean(text, ValuesOf(*field.enum_type()))));
        if (!equality) return bad("can only be compared by = and !=");
        restriction.value = *value;
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        if (!absl::SimpleAtod(text, &number)) return bad("is a number");
        restriction.value = number;
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        if (IsTime(field)) {
          absl::Time time;
          if (std::string error; !absl::ParseTime(absl::RFC3339_full, text, &time, &error))
            return bad("is a time, as 2026-05-01T12:00:00Z");
          restriction.value = time;
        } else if (IsDuration(field)) {
          absl::Duration duration;
          if (!absl::ParseDuration(text, &duration)) return bad("is a duration, as 500ms or 1m30s");
          restriction.value = duration;
        } else {
          return bad(absl::StrCat("is not a value; say one of its fields, or ", path, ":* if it must be there"));
        }
        break;
      }
      default:
        if (!absl::SimpleAtoi(text, &integer)) return bad("is a whole number");
        restriction.value = integer;
    }
    return has ? bad("can only be compared by = != < <= > and >=") : absl::OkStatus();
  }

  const absl::string_view text_;
  const Descriptor& resource_;
  size_t at_ = 0;
};

absl::StatusOr<Filter> Filter::Parse(absl::string_view text, const Descriptor& resource) {
  if (text.size() > kLongest) return absl::InvalidArgumentError(absl::StrCat("is longer than ", kLongest, " characters"));
  auto all = Parser(text, resource).Run();
  if (!all.ok()) return all.status();
  Filter filter;
  filter.all_ = *std::move(all);
  return filter;
}

bool Filter::Matches(const Message& resource) const {
  return std::all_of(all_.begin(), all_.end(), [&](const std::vector<Restriction>& either) {
    return std::any_of(either.begin(), either.end(), [&](const Restriction& wanted) {
      const bool unequal = wanted.op == Operator::kUnequal;  // not met by any, rather than not by one
      return Meets(wanted, resource, 0) != (wanted.negated != unequal);
    });
  });
}

bool Filter::Meets(const Restriction& wanted, const Message& message, size_t step) {
  const auto& [field, key] = wanted.path[step];
  const auto& reflection = *message.GetReflection();
  const bool last = step + 1 == wanted.path.size();
  if (field->is_map()) {
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      const Message& entry = reflection.GetRepeatedMessage(message, field, i);
      const FieldDescriptor* entry_key = field->message_type()->FindFieldByNumber(1);
      std::string scratch;
      const bool text = entry_key->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
      if (text && entry.GetReflection()->GetStringReference(entry, entry_key, &scratch) == key) return Meets(wanted, entry, step + 1);
    }
    return false;
  }
  if (field->is_repeated()) {
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      if (last ? Meets(wanted, message, *field, i) : Meets(wanted, reflection.GetRepeatedMessage(message, field, i), step + 1)) return true;
    }
    return false;
  }
  if (field->has_presence() && !reflection.HasField(message, field)) return false;
  return last ? Meets(wanted, message, *field, -1) : Meets(wanted, reflection.GetMessage(message, field), step + 1);
}

namespace {
template <class T, class Operator>
bool Holds(const T& left, Operator op, const T& right) {
  switch (op) {
    case Operator::kLess:
      return left < right;
    case Operator::kAtMost:
      return left <= right;
    case Operator::kGreater:
      return left > right;
    case Operator::kAtLeast:
      return left >= right;
    default:
      return left == right;
  }
}
}  // namespace

// `index` of a repeated field; -1: it is not one.
bool Filter::Meets(const Restriction& wanted, const Message& message, const FieldDescriptor& field, int index) {
  if (std::holds_alternative<std::monostate>(wanted.value)) return true;  // it is there
  const auto& reflection = *message.GetReflection();
  const auto get = [&](auto one, auto of_many) {
    return index < 0 ? (reflection.*one)(message, &field) : (reflection.*of_many)(message, &field, index);
  };
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const absl::string_view text = index < 0 ? reflection.GetStringReference(message, &field, &scratch)
                                               : reflection.GetRepeatedStringReference(message, &field, index, &scratch);
      const std::string& part = std::get<std::string>(wanted.value);
      if (wanted.open_begin && wanted.open_end) return absl::StrContains(text, part);
      if (wanted.open_begin) return absl::EndsWith(text, part);
      return wanted.open_end ? absl::StartsWith(text, part) : text == part;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&R::GetBool, &R::GetRepeatedBool) == std::get<bool>(wanted.value);
    case FieldDescriptor::CPPTYPE_ENUM:
      return get(&R::GetEnumValue, &R::GetRepeatedEnumValue) == std::get<int64_t>(wanted.value);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Holds(get(&R::GetDouble, &R::GetRepeatedDouble), wanted.op, std::get<double>(wanted.value));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Holds(double{get(&R::GetFloat, &R::GetRepeatedFloat)}, wanted.op, std::get<double>(wanted.value));
    case FieldDescriptor::CPPTYPE_INT32:
      return Holds(int64_t{get(&R::GetInt32, &R::GetRepeatedInt32)}, wanted.op, std::get<int64_t>(wanted.value));
    case FieldDescriptor::CPPTYPE_UINT32:
      return Holds(int64_t{get(&R::GetUInt32, &R::GetRepeatedUInt32)}, wanted.op, std::get<int64_t>(wanted.value));
    case FieldDescriptor::CPPTYPE_INT64:
      return Holds(int64_t{get(&R::GetInt64, &R::GetRepeatedInt64)}, wanted.op, std::get<int64_t>(wanted.value));
    case FieldDescriptor::CPPTYPE_UINT64: {
      const int64_t right = std::get<int64_t>(wanted.value);
      const uint64_t left = get(&R::GetUInt64, &R::GetRepeatedUInt64);
      return Holds(right < 0 ? int64_t{0} : static_cast<int64_t>(std::min<uint64_t>(left, INT64_MAX)), wanted.op, right);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const Message& inside = index < 0 ? reflection.GetMessage(message, &field) : reflection.GetRepeatedMessage(message, &field, index);
      if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&inside))
        return Holds(absl::FromUnixSeconds(time->seconds()) + absl::Nanoseconds(time->nanos()), wanted.op,
                     std::get<absl::Time>(wanted.value));
      const auto& duration = dynamic_cast<const google::protobuf::Duration&>(inside);
      return Holds(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()), wanted.op,
                   std::get<absl::Duration>(wanted.value));
    }
  }
  return false;
}

}  // namespace puma::server
