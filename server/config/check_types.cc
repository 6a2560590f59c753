#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/config/check_spec.h"
#include "server/config/spec_checks.h"
#include "server/config/suggest.h"

namespace puma::server {
namespace {

using google::protobuf::Value;
using Types = std::map<std::string, v1::RunnableType>;

template <class Infos>
std::vector<std::string> NamesOf(const Infos& infos) {
  std::vector<std::string> names;
  for (const auto& info : infos) names.push_back(info.name());
  return names;
}

template <class Infos>
auto Find(const Infos& infos, const std::string& name) -> decltype(&*infos.begin()) {
  for (const auto& info : infos) {
    if (info.name() == name) return &info;
  }
  return nullptr;
}

std::string Shown(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return absl::StrCat(value.number_value());
    case Value::kStringValue:
      return absl::StrCat("\"", value.string_value().substr(0, 60), "\"");
    case Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Value::kListValue:
      return "a list";
    case Value::kStructValue:
      return "a map";
    default:
      return "null";
  }
}

// "" when `value` is of `type` as ParameterInfo writes it, else what is wrong. A type that JSON can't check (a C++ type) takes anything.
std::string Mismatch(const Value& value, const std::string& type);

std::string MismatchOfItems(const Value& value, const std::string& type) {
  if (!value.has_list_value()) return absl::StrCat("expected ", type, ", got ", Shown(value));
  const std::string item_type = type.substr(std::string("list of ").size());
  for (int i = 0; i < value.list_value().values_size(); ++i) {
    if (const std::string bad = Mismatch(value.list_value().values(i), item_type); !bad.empty()) return absl::StrCat("item ", i, ": ", bad);
  }
  return "";
}

std::string MismatchOfFields(const Value& value, const std::string& type) {
  if (!value.has_struct_value()) return absl::StrCat("expected ", type, ", got ", Shown(value));
  const std::string item_type = type.substr(std::string("map of ").size());
  for (const std::string& key : KeysOf(value.struct_value().fields())) {
    if (const std::string bad = Mismatch(value.struct_value().fields().at(key), item_type); !bad.empty())
      return absl::StrCat("field ", key, ": ", bad);
  }
  return "";
}

std::string Mismatch(const Value& value, const std::string& type) {
  if (absl::StartsWith(type, "list of ")) return MismatchOfItems(value, type);
  if (absl::StartsWith(type, "map of ")) return MismatchOfFields(value, type);
  bool good = true;
  std::string expected = type;
  if (type == "bool") {
    good = value.has_bool_value();
  } else if (type == "int") {
    good = value.has_number_value() && std::trunc(value.number_value()) == value.number_value() && std::abs(value.number_value()) < 9.0e18;
  } else if (type == "double") {
    good = value.has_number_value();
  } else if (type == "string") {
    good = value.has_string_value();
  } else if (type == "duration") {
    absl::Duration ignored;
    good = value.has_string_value() && absl::ParseDuration(value.string_value(), &ignored);
    expected = "a duration such as \"20ms\" or \"1.5s\"";
  }
  return good ? "" : absl::StrCat("expected ", expected, ", got ", Shown(value));
}

void CheckParams(const std::string& field, const v1::TaskSpec& task, const v1::RunnableType& type, FieldViolations& wrong) {
  for (const std::string& name : KeysOf(task.params())) {
    const std::string path = absl::StrCat(field, ".params.", name);
    const v1::ParameterInfo* info = Find(type.parameters(), name);
    if (info == nullptr) {
      wrong.Add(path, absl::StrCat(task.type(), " has no parameter \"", name, "\"", DidYouMean(name, NamesOf(type.parameters()))));
    } else if (const std::string bad = Mismatch(task.params().at(name), info->type()); !bad.empty()) {
      wrong.Add(path, bad);
    }
  }
  for (const v1::ParameterInfo& info : type.parameters()) {
    if (info.has_default_value() || task.params().contains(info.name())) continue;
    wrong.Add(absl::StrCat(field, ".params.", info.name()),
              absl::StrCat("must be given (", info.type(), ")", info.help().empty() ? "" : ": ", info.help()));
  }
}

template <class Connected>
void CheckPorts(const std::string& field, const std::string& kind, const Connected& connected,
                const google::protobuf::RepeatedPtrField<v1::PortInfo>& ports, const std::string& type, FieldViolations& wrong) {
  for (const std::string& name : KeysOf(connected)) {
    if (Find(ports, name) == nullptr) {
      wrong.Add(absl::StrCat(field, ".", name), absl::StrCat(type, " has no ", kind, " \"", name, "\"", DidYouMean(name, NamesOf(ports))));
    }
  }
  for (const v1::PortInfo& port : ports) {
    if (port.optional() || connected.contains(port.name())) continue;
    wrong.Add(absl::StrCat(field, ".", port.name()),
              absl::StrCat("must be connected to a buffer", port.help().empty() ? "" : ": ", port.help()));
  }
}

// What a buffer carries, as its first typed publisher says.
struct Carried {
  std::string type, port;
};

bool Typed(const v1::PortInfo* port) { return port != nullptr && !port->type().empty() && port->type() != "any"; }

class BufferTypes {
 public:
  BufferTypes(const v1::PipelineSpec& spec, const Types& types, FieldViolations& wrong) : spec_(spec), types_(types), wrong_(wrong) {}
  void Check() {
    Each(&v1::TaskSpec::outputs, &v1::RunnableType::outputs, "outputs", "publishes ");
    Each(&v1::TaskSpec::inputs, &v1::RunnableType::inputs, "inputs", "reads ");
  }

 private:
  using Ports = const google::protobuf::RepeatedPtrField<v1::PortInfo>& (v1::RunnableType::*)() const;

  template <class Connected>
  void Each(Connected connected, Ports ports, const std::string& field, const std::string& does) {
    for (const std::string& name : KeysOf(spec_.tasks())) {
      const v1::TaskSpec& task = spec_.tasks().at(name);
      const auto type = types_.find(task.type());
      if (type == types_.end()) continue;
      for (const std::string& port : KeysOf((task.*connected)())) {
        const v1::PortInfo* info = Find((type->second.*ports)(), port);
        if (Typed(info)) Compare(absl::StrCat("tasks.", name, ".", field, ".", port), BufferOf((task.*connected)().at(port)), *info, does);
      }
    }
  }

  void Compare(const std::string& field, const std::string& buffer, const v1::PortInfo& port, const std::string& does) {
    const auto [carried, first] = carried_.try_emplace(buffer, Carried{port.type(), field});
    if (first || carried->second.type == port.type()) return;
    wrong_.Add(field, absl::StrCat(does, port.type(), ", but buffer \"", buffer, "\" carries ", carried->second.type, " (",
                                   carried->second.port, ")"));
  }

  const v1::PipelineSpec& spec_;
  const Types& types_;
  FieldViolations& wrong_;
  std::map<std::string, Carried> carried_;
};

void CheckTaskType(const std::string& name, const v1::TaskSpec& task, const Types& types, FieldViolations& wrong) {
  const std::string field = "tasks." + name;
  const auto type = types.find(task.type());
  if (type == types.end()) {
    const std::string module = task.type().substr(0, task.type().find('.') + 1);
    std::vector<std::string> of_module;
    for (const auto& [known, info] : types) {
      if (absl::StartsWith(known, module)) of_module.push_back(known);
    }
    return wrong.Add(field + ".type", absl::StrCat("unknown type \"", task.type(), "\"", DidYouMean(task.type(), of_module)));
  }
  CheckParams(field, task, type->second, wrong);
  CheckPorts(field + ".inputs", "input", task.inputs(), type->second.inputs(), task.type(), wrong);
  CheckPorts(field + ".outputs", "output", task.outputs(), type->second.outputs(), task.type(), wrong);
}

void CheckCommand(const std::string& name, const v1::TaskSpec& task, const CommandCatalogue& commands, FieldViolations& wrong) {
  if (task.type() != kExecType || !task.params().contains("command")) return;
  const std::string field = absl::StrCat("tasks.", name, ".");
  const absl::Status command = commands.CommandOf(task).status();
  const auto violations = FieldViolationsOf(command);
  for (const auto& violation : violations) wrong.Add(field + violation.field(), violation.description());
  if (!command.ok() && violations.empty()) wrong.Add(field + "params.command", std::string(command.message()));
}

}  // namespace

absl::Status CheckTypes(const v1::PipelineSpec& spec, const Types& types, const CommandCatalogue& commands) {
  FieldViolations wrong;
  for (const std::string& name : KeysOf(spec.tasks())) {
    CheckTaskType(name, spec.tasks().at(name), types, wrong);
    CheckCommand(name, spec.tasks().at(name), commands, wrong);
  }
  BufferTypes(spec, types, wrong).Check();
  return wrong.ToStatus(absl::StrCat("pipeline ", spec.pipeline()));
}

}  // namespace puma::server
