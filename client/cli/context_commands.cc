#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/json_document.h"
#include "client/cli/table.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

// Reads the contexts, lets `change` at them and writes them.
template <class F>
ExitCode Change(const Output& output, const F& change) {
  const std::string file = ContextsFile();
  absl::StatusOr<Contexts> contexts = ReadContexts(file);
  if (!contexts.ok()) return output.Error(contexts.status());
  if (const absl::Status changed = change(*contexts); !changed.ok()) return output.Error(changed);
  const absl::Status written = WriteContexts(file, *contexts);
  return written.ok() ? kDone : output.Error(written);
}

}  // namespace

ExitCode ListContexts(const Output& output) {
  const absl::StatusOr<Contexts> contexts = ReadContexts(ContextsFile());
  if (!contexts.ok()) return output.Error(contexts.status());
  if (output.json()) {
    Json list = Json::array();
    for (const auto& [name, context] : contexts->all)
      list.push_back({{"name", name}, {"host", context.host}, {"current", name == contexts->current}});
    PrintJson(output, {{"contexts", std::move(list)}});
    return kDone;
  }
  if (output.format() == Format::kName) {
    for (const auto& [name, context] : contexts->all) output.Data(absl::StrCat(name, "\n"));
    return kDone;
  }
  if (contexts->all.empty()) return output.Words("no contexts; make one: puma-ctl context set NAME --host ADDRESS"), kDone;
  Table table({"", "NAME", "HOST"});
  for (const auto& [name, context] : contexts->all) table.Add({name == contexts->current ? "*" : "", name, context.host});
  return output.Data(table.Print(output.colours())), kDone;
}

ExitCode UseContext(const Output& output, const std::string& name) {
  return Change(output, [&](Contexts& contexts) {
    contexts.current = name;
    return contexts.Find(name).status();
  });
}

ExitCode SetContext(const Output& output, const std::string& name, Context context) {
  for (std::string* file : {&context.tls.ca, &context.tls.certificate, &context.tls.key, &context.token_file}) {
    if (!file->empty()) *file = std::filesystem::absolute(*file).lexically_normal().string();
  }
  return Change(output, [&](Contexts& contexts) -> absl::Status {
    if (context.host.empty()) return absl::InvalidArgumentError("which host? puma-ctl context set NAME --host ADDRESS");
    contexts.all[name] = std::move(context);
    if (contexts.current.empty()) contexts.current = name;
    return absl::OkStatus();
  });
}

ExitCode DeleteContext(const Output& output, const std::string& name) {
  return Change(output, [&](Contexts& contexts) {
    const absl::Status there = contexts.Find(name).status();
    contexts.all.erase(name);
    if (contexts.current == name) contexts.current.clear();
    return there;
  });
}

}  // namespace puma::client
