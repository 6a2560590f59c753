#include <fmt/format.h>

#include "nlohmann/json.hpp"
#include "worker/runnable/runnable_core.h"

namespace puma::internal {
namespace {

using Json = nlohmann::json;

constexpr size_t kSchemaBytes = 512 << 10;  // of all types of a module; a description is a result, which has 1 MiB

// A port, with what its messages' bytes mean if their type says so.
Json Port(const std::string& name, const TypeInfo& type, const std::string& help, bool optional, size_t& schema_bytes_left) {
  Json port = {{"name", name}, {"type", type.name()}, {"help", help}, {"optional", optional}};
  if (type.schema == nullptr) return port;
  const std::string text = type.schema();
  if (text.size() > schema_bytes_left) return port;
  schema_bytes_left -= text.size();
  Json schema = Json::parse(text, nullptr, false);
  if (schema.is_object()) port["schema"] = std::move(schema);
  return port;
}

Json Describe(const RunnableCore& core, const std::string& name, size_t& schema_bytes_left) {
  Json type = {
      {"name", name}, {"parameters", Json::array()}, {"inputs", Json::array()}, {"outputs", Json::array()}, {"commands", Json::array()}};
  for (const ParamDeclaration& p : core.params()) {
    Json param = {{"name", p.name}, {"type", p.type}, {"help", p.help}};
    if (!p.required) param["default"] = Json::parse(p.default_json, nullptr, false);
    type["parameters"].push_back(std::move(param));
  }
  for (const auto& input : core.inputs()) {
    const InputDeclaration& d = input->declaration();
    type["inputs"].push_back(Port(d.name, d.type, d.options.help, d.options.optional, schema_bytes_left));
  }
  for (size_t i = 0; i < core.outputs().size(); ++i) {
    const OutputOptions& o = core.output_options(i);
    const OutputCore& output = *core.outputs()[i];
    type["outputs"].push_back(Port(output.port(), output.type(), o.help, o.optional, schema_bytes_left));
  }
  for (const CommandDeclaration& c : core.commands()) {
    Json arguments = Json::array();
    for (const Argument& a : c.arguments) arguments.push_back({{"name", a.name}, {"type", a.type}});
    type["commands"].push_back({{"name", c.name}, {"help", c.help}, {"arguments", std::move(arguments)}, {"result", c.result}});
  }
  return type;
}

}  // namespace

absl::StatusOr<std::string> DescribeModule(const Module& module, std::string_view module_name) {
  Json types = Json::array();
  size_t schema_bytes_left = kSchemaBytes;
  for (const auto& [name, factory] : module.types()) {
    CoreOptions options;
    options.name = fmt::format("{}.{}", module_name, name);
    options.scope = Scope::kDescribe;
    auto core = RunnableCore::Construct(factory, std::move(options));
    if (!core.ok()) {
      Error error = ErrorOf(core.status());
      error.message = fmt::format("type \"{}\" of module \"{}\" can't be described: {}", name, module_name, error.message);
      return ToStatus(error);
    }
    types.push_back(Describe(**core, name, schema_bytes_left));
  }
  const Json description = {{"module", std::string(module_name)}, {"types", std::move(types)}};
  return description.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace puma::internal
