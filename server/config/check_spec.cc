#include "server/config/check_spec.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/config/module_catalogue.h"
#include "server/config/spec_checks.h"

namespace puma::server {
namespace {

constexpr uint64_t kMinCapacity = 4 << 10, kMaxCapacity = uint64_t{1} << 40;
constexpr uint32_t kMaxItems = 1 << 20;

void CheckModules(const v1::PipelineSpec& spec, FieldViolations& wrong) {
  std::set<std::string> seen;
  for (int i = 0; i < spec.modules_size(); ++i) {
    const std::string field = absl::StrCat("modules[", i, "]"), &name = spec.modules(i);
    if (absl::StrContains(name, "/") || absl::EndsWith(name, ".so")) {
      wrong.Add(field, absl::StrCat("\"", name, "\" is a path: give the module's name, as \"edges\" for edges.so in the host's catalogue"));
    } else if (!IsIdentifier(name)) {
      wrong.Add(field, absl::StrCat("\"", name, "\" is no module's name: letters, digits and \"_\""));
    } else if (!seen.insert(name).second) {
      wrong.Add(field, absl::StrCat("\"", name, "\" is listed twice"));
    }
  }
}

}  // namespace

bool IsName(const std::string& name) {
  bool good = !name.empty() && name.size() <= 63 && name[0] >= 'a' && name[0] <= 'z';
  for (const char c : name) good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
  return good;
}

void CheckName(const std::string& field, const std::string& name, FieldViolations& wrong) {
  if (!IsName(name)) wrong.Add(field, absl::StrCat("\"", name, "\" is no name: ", kNameForm));
}

void CheckBuffer(const std::string& name, const v1::BufferSpec& buffer, FieldViolations& wrong) {
  const std::string field = "buffers." + name;
  CheckName(field, name, wrong);
  if (const uint64_t bytes = buffer.capacity().bytes(); bytes < kMinCapacity || bytes > kMaxCapacity) {
    wrong.Add(field + ".capacity", absl::StrCat(bytes, " bytes; it must be 4KiB to 1TiB, and at least twice the largest message"));
  }
  const uint64_t most = buffer.max_bytes().bytes(), least = buffer.capacity().bytes();
  if (most < least || (most > least && most > kMaxCapacity)) {
    wrong.Add(field + ".max_bytes", absl::StrCat(most, " bytes; it must be at least the capacity, and at most 1TiB"));
  }
  if (buffer.capacity_items() > kMaxItems)
    wrong.Add(field + ".capacity_items", absl::StrCat(buffer.capacity_items(), "; it must be 1 to ", kMaxItems));
  const auto known = [&](const char* what, int value, bool valid) {
    if (!valid) wrong.Add(field + what, absl::StrCat("unknown value ", value, "; the client may be newer than this host"));
  };
  known(".on_full", buffer.on_full(), v1::OnFull_IsValid(buffer.on_full()));
  known(".wake", buffer.wake(), v1::Wake_IsValid(buffer.wake()));
}

absl::Status CheckSpec(const v1::PipelineSpec& in, v1::PipelineSpec* out) {
  v1::PipelineSpec spec = in;
  FillDefaults(spec);
  FieldViolations wrong;
  CheckName("pipeline", spec.pipeline(), wrong);
  CheckModules(spec, wrong);
  if (!v1::Strategy_IsValid(spec.strategy()))
    wrong.Add("strategy", absl::StrCat("unknown value ", static_cast<int>(spec.strategy()), "; the client may be newer than this host"));
  if (spec.tasks().empty()) wrong.Add("tasks", "a pipeline has at least one task");
  for (const std::string& name : KeysOf(spec.buffers())) CheckBuffer(name, spec.buffers().at(name), wrong);
  for (const std::string& name : KeysOf(spec.tasks())) CheckTask(spec, name, spec.tasks().at(name), wrong);
  CheckWiring(spec, wrong);
  CheckDependencies(spec, wrong);
  if (out != nullptr) *out = spec;
  return wrong.ToStatus(absl::StrCat("pipeline ", spec.pipeline()));
}

}  // namespace puma::server
