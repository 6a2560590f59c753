#include "server/supervisor/type_catalogue.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace puma::server {
namespace {
using nlohmann::json;

std::string StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return "";
  return absl::StrCat(path, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec);
}

std::string TextOf(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

const json& ListOf(const json& object, const char* key) {
  static const json kEmpty = json::array();
  auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : kEmpty;
}

void FillPort(const json& port, v1::PortInfo& out) {
  if (!port.is_object()) return;
  out.set_name(TextOf(port, "name"));
  out.set_type(TextOf(port, "type"));
  out.set_help(TextOf(port, "help"));
  auto optional = port.find("optional");
  out.set_optional(optional != port.end() && optional->is_boolean() && optional->get<bool>());
  const auto schema = port.find("schema");
  if (schema == port.end()) return;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(schema->dump(), out.mutable_schema(), options).ok()) out.clear_schema();
}

v1::RunnableType TypeOf(const std::string& module, const json& type) {
  v1::RunnableType out;
  out.set_name(absl::StrCat("types/", module, ".", TextOf(type, "name")));
  out.set_module(module);
  for (const json& parameter : ListOf(type, "parameters")) {
    if (TextOf(parameter, "name").starts_with('@')) continue;  // the host's own
    v1::ParameterInfo& added = *out.add_parameters();
    added.set_name(TextOf(parameter, "name"));
    added.set_type(TextOf(parameter, "type"));
    added.set_help(TextOf(parameter, "help"));
    if (parameter.contains("default"))
      (void)google::protobuf::util::JsonStringToMessage(parameter["default"].dump(), added.mutable_default_value());
  }
  for (const json& port : ListOf(type, "inputs")) FillPort(port, *out.add_inputs());
  for (const json& port : ListOf(type, "outputs")) FillPort(port, *out.add_outputs());
  for (const json& command : ListOf(type, "commands")) {
    v1::CommandInfo& added = *out.add_commands();
    added.set_name(TextOf(command, "name"));
    added.set_help(TextOf(command, "help"));
    added.set_result(TextOf(command, "result"));
    for (const json& argument : ListOf(command, "arguments")) {
      v1::ArgumentInfo& info = *added.add_arguments();
      info.set_name(TextOf(argument, "name"));
      info.set_type(TextOf(argument, "type"));
    }
  }
  return out;
}

absl::StatusOr<std::vector<v1::RunnableType>> Parse(const std::string& module, const std::string& text) {
  const json description = json::parse(text, nullptr, false);
  if (!description.is_object()) return absl::DataLossError(absl::StrCat("module ", module, ": its description is no JSON object"));
  std::vector<v1::RunnableType> types;
  for (const json& type : ListOf(description, "types")) {
    if (type.is_object()) types.push_back(TypeOf(module, type));
  }
  return types;
}
}  // namespace

bool TypeCatalogue::Fresh(const std::string& module, const std::string& path) const {
  auto it = entries_.find(module);
  return it != entries_.end() && it->second.stamp == StampOf(path) && !it->second.stamp.empty();
}

void TypeCatalogue::Put(const std::string& module, const std::string& path, const absl::StatusOr<std::string>& description) {
  Entry entry{StampOf(path), description.ok() ? Parse(module, *description) : description.status(), {}};
  if (entry.types.ok()) {
    for (const v1::RunnableType& type : *entry.types) {
      for (const v1::PortInfo& output : type.outputs())
        entry.renderers[absl::StrCat(type.name(), " ", output.name())] = std::make_shared<const Renderer>(output.type(), output.schema());
    }
  }
  entries_.insert_or_assign(module, std::move(entry));
}

absl::StatusOr<std::vector<v1::RunnableType>> TypeCatalogue::TypesOf(const std::string& module) const {
  auto it = entries_.find(module);
  if (it == entries_.end()) return absl::NotFoundError(absl::StrCat("module ", module, " has not been described"));
  return it->second.types;
}

std::shared_ptr<const Renderer> TypeCatalogue::RendererOf(const std::string& type, const std::string& port) const {
  static const auto kUnknown = std::make_shared<const Renderer>("", v1::PayloadSchema());
  const auto module = entries_.find(type.substr(0, type.find('.')));
  if (module == entries_.end()) return kUnknown;
  const auto known = module->second.renderers.find(absl::StrCat("types/", type, " ", port));
  return known == module->second.renderers.end() ? kUnknown : known->second;
}

}  // namespace puma::server
