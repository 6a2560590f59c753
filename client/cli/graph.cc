#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

// Maps have no order of their own; a graph should be the same each time.
template <class Map>
auto Sorted(const Map& map) {
  return std::map<typename Map::key_type, typename Map::mapped_type>(map.begin(), map.end());
}

std::string Label(const std::string& name, const v1::TaskSpec& task) {
  return absl::StrCat(Escape(name), task.replicas() > 1 ? absl::StrCat(" ×", task.replicas()) : "", "\n", Escape(task.type()),
                      task.placement() == v1::PLACEMENT_THREAD ? "\nthread" : "");
}

std::string DotText(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\"");
}

std::string Dot(const v1::PipelineSpec& spec) {
  std::string dot = absl::StrCat("digraph ", DotText(spec.pipeline()), " {\n  rankdir=LR;\n");
  for (const auto& [name, buffer] : Sorted(spec.buffers())) {
    absl::StrAppend(&dot, "  ", DotText("buffer/" + name), " [shape=cylinder, label=", DotText(Escape(name)), "];\n");
  }
  for (const auto& [name, task] : Sorted(spec.tasks())) {
    const std::string node = DotText("task/" + name);
    absl::StrAppend(&dot, "  ", node, " [shape=box, label=", DotText(Label(name, task)), "];\n");
    for (const auto& [port, input] : Sorted(task.inputs())) {
      absl::StrAppend(&dot, "  ", DotText("buffer/" + input.buffer()), " -> ", node, " [label=", DotText(Escape(port)),
                      input.lossy() ? ", style=dotted" : "", "];\n");
    }
    for (const auto& [port, buffer] : Sorted(task.outputs())) {
      absl::StrAppend(&dot, "  ", node, " -> ", DotText("buffer/" + buffer), " [label=", DotText(Escape(port)), "];\n");
    }
    for (const auto& [other, condition] : Sorted(task.depends_on())) {
      absl::StrAppend(&dot, "  ", DotText("task/" + other), " -> ", node, " [style=dashed];\n");
    }
  }
  return dot + "}\n";
}

std::string MermaidText(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "#quot;"}, {"<", "#lt;"}, {">", "#gt;"}, {"\n", "<br/>"}}), "\"");
}

// Names are made of a-z, 0-9 and "-"; "-" could be read as part of an arrow.
std::string MermaidId(const char* kind, const std::string& name) {
  return absl::StrCat(kind, "_", absl::StrReplaceAll(name, {{"-", "_2d"}}));
}

std::string Mermaid(const v1::PipelineSpec& spec) {
  std::string text = "flowchart LR\n";
  for (const auto& [name, buffer] : Sorted(spec.buffers())) {
    absl::StrAppend(&text, "  ", MermaidId("buffer", name), "[(", MermaidText(Escape(name)), ")]\n");
  }
  for (const auto& [name, task] : Sorted(spec.tasks())) {
    const std::string node = MermaidId("task", name);
    absl::StrAppend(&text, "  ", node, "[", MermaidText(Label(name, task)), "]\n");
    for (const auto& [port, input] : Sorted(task.inputs())) {
      absl::StrAppend(&text, "  ", MermaidId("buffer", input.buffer()), input.lossy() ? " -. " : " -- ", MermaidText(Escape(port)),
                      input.lossy() ? " .-> " : " --> ", node, "\n");
    }
    for (const auto& [port, buffer] : Sorted(task.outputs())) {
      absl::StrAppend(&text, "  ", node, " -- ", MermaidText(Escape(port)), " --> ", MermaidId("buffer", buffer), "\n");
    }
    for (const auto& [other, condition] : Sorted(task.depends_on()))
      absl::StrAppend(&text, "  ", MermaidId("task", other), " -.-> ", node, "\n");
  }
  return text;
}

}  // namespace

ExitCode Graph(Session& session, const GraphArguments& arguments) {
  const Output& output = session.output;
  const auto name = PipelineName(arguments.pipeline);
  if (!name.ok()) return output.Error(name.status()), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  v1::GetPipelineRequest request;
  request.set_name(*name);
  const auto pipeline = (*host)->GetPipeline(request);
  if (!pipeline.ok()) return output.Error(pipeline.status());
  const v1::PipelineSpec& spec = pipeline->pipeline().spec();
  output.Data(arguments.form == "mermaid" ? Mermaid(spec) : Dot(spec));
  return kDone;
}

}  // namespace puma::client
