#include <fmt/format.h>

#include "nlohmann/json.hpp"
#include "worker/runnable/runnable_core.h"

namespace puma::internal {
namespace {

using Json = nlohmann::json;

Json Describe(const RunnableCore& core, const std::string& name) {
  Json type = {
      {"name", name}, {"parameters", Json::array()}, {"inputs", Json::array()}, {"outputs", Json::array()}, {"commands", Json::array()}};
  for (const ParamDeclaration& p : core.params()) {
    Json param = {{"name", p.name}, {"type", p.type}, {"help", p.help}};
    if (!p.required) param["default"] = Json::parse(p.default_json, nullptr, false);
    type["parameters"].push_back(std::move(param));
  }
  for (const auto& input : core.inputs()) {
    const InputDeclaration& d = input->declaration();
    type["inputs"].push_back({{"name", d.name}, {"type", d.type.name()}, {"help", d.options.help}, {"optional", d.options.optional}});
  }
  for (size_t i = 0; i < core.outputs().size(); ++i) {
    const OutputOptions& o = core.output_options(i);
    const OutputCore& output = *core.outputs()[i];
    type["outputs"].push_back({{"name", output.port()}, {"type", output.type().name()}, {"help", o.help}, {"optional", o.optional}});
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
    types.push_back(Describe(**core, name));
  }
  const Json description = {{"module", std::string(module_name)}, {"types", std::move(types)}};
  return description.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace puma::internal
