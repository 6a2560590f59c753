#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/apply.h"
#include "client/cli/commands.h"
#include "client/cli/json_document.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"
#include "client/lib/spec_file.h"
#include "client/lib/spec_text.h"

namespace puma::client {
namespace {

constexpr ExitCode kSame = kDone, kDifferent = kFailed, kTrouble = kUsage;  // as diff(1)

// A field that would change; "" on the side where it isn't.
struct Difference {
  std::string field, before, after;
};

// The file, and the host's answer to the question what it would become.
struct Checked {
  SpecFile file;
  v1::ApplyPipelineResponse plan;
};

// Nothing: it was said what is wrong, and `code` is what to end with.
std::optional<Checked> Check(Session& session, const std::string& path, ExitCode& code) {
  const Output& output = session.output;
  auto file = SpecFile::Read(path);
  if (!file.ok()) return output.Words(EscapeLines(std::string(file.status().message()), "")), code = kUsage, std::nullopt;
  const auto host = session.Host();
  if (!host.ok()) return code = output.Error(host.status()), std::nullopt;
  v1::ApplyPipelineRequest request;
  *request.mutable_spec() = file->spec();
  request.set_validate_only(true);
  auto plan = (*host)->ApplyPipeline(request);
  if (!plan.ok()) return code = Refused(output, *file, plan.status()), std::nullopt;
  return Checked{*std::move(file), *std::move(plan)};
}

// Tasks and buffers that are only on one side are one difference each, not one for each field; told as the file has them, without defaults.
template <class Map>
void AddWholeEntries(const std::string& prefix, const Map& before, const Map& after, const Map& file, std::vector<Difference>& differences,
                     std::set<std::string>& whole) {
  for (const auto& [name, entry] : before) {
    if (after.count(name)) continue;
    whole.insert(prefix + name);
    differences.push_back({prefix + name, ToYamlLine(entry), ""});
  }
  for (const auto& [name, entry] : after) {
    if (before.count(name)) continue;
    whole.insert(prefix + name);
    differences.push_back({prefix + name, "", ToYamlLine(file.count(name) ? file.at(name) : entry)});
  }
}

std::vector<Difference> Differences(const v1::PipelineSpec& before, const v1::PipelineSpec& after, const v1::PipelineSpec& file) {
  std::vector<Difference> differences;
  std::set<std::string> whole, fields;
  AddWholeEntries("buffers.", before.buffers(), after.buffers(), file.buffers(), differences, whole);
  AddWholeEntries("tasks.", before.tasks(), after.tasks(), file.tasks(), differences, whole);
  const std::map<std::string, std::string> was = FieldsOf(before), is = FieldsOf(after);
  for (const auto& [field, text] : was) fields.insert(field);
  for (const auto& [field, text] : is) fields.insert(field);
  for (const std::string& field : fields) {
    const std::vector<std::string> parts = absl::StrSplit(field, absl::MaxSplits('.', 2));
    if (parts.size() >= 2 && whole.count(absl::StrCat(parts[0], ".", parts[1]))) continue;
    const auto text = [&](const auto& side) { return side.count(field) ? side.at(field) : ""; };
    if (text(was) != text(is)) differences.push_back({field, text(was), text(is)});
  }
  std::sort(differences.begin(), differences.end(), [](const auto& a, const auto& b) { return a.field < b.field; });
  return differences;
}

Table DifferenceTable(const std::vector<Difference>& differences) {
  using Colour = Table::Colour;
  Table table({"", "FIELD", "NOW", "WOULD BE"});
  for (const Difference& difference : differences) {
    const Table::Cell sign = difference.before.empty()  ? Table::Cell("+", Colour::kGreen)
                             : difference.after.empty() ? Table::Cell("-", Colour::kRed)
                                                        : Table::Cell("~", Colour::kYellow);
    const auto text = [](const std::string& value) { return value.empty() ? "–" : value; };
    table.Add({sign, difference.field, text(difference.before), text(difference.after)});
  }
  return table;
}

// What becomes of tasks and buffers, as far as anything does.
Repeated<v1::PlannedChange> RealChanges(const v1::ApplyPipelineResponse& plan) {
  Repeated<v1::PlannedChange> changes;
  for (const v1::PlannedChange& change : plan.changes()) {
    if (change.action() != v1::PlannedChange::ACTION_NONE) *changes.Add() = change;
  }
  return changes;
}

Json DocumentOf(const std::string& pipeline, const std::vector<Difference>& differences, const Repeated<v1::PlannedChange>& changes) {
  Json document{{"pipeline", pipeline}, {"differences", Json::array()}, {"changes", Json::array()}};
  for (const Difference& difference : differences) {
    Json entry{{"field", difference.field}};
    if (!difference.before.empty()) entry["before"] = difference.before;
    if (!difference.after.empty()) entry["after"] = difference.after;
    document["differences"].push_back(std::move(entry));
  }
  for (const v1::PlannedChange& change : changes) document["changes"].push_back(Json::parse(JsonText(change)));  // the API's message
  return document;
}

}  // namespace

ExitCode Diff(Session& session, const std::string& path) {
  const Output& output = session.output;
  ExitCode code = kDone;
  const std::optional<Checked> checked = Check(session, path, code);
  if (!checked) return kTrouble;
  const v1::Pipeline& planned = checked->plan.pipeline();
  v1::GetPipelineRequest request;
  request.set_name(planned.name());
  const auto current = (*session.Host())->GetPipeline(request);
  if (!current.ok() && !absl::IsNotFound(current.status())) return output.Error(current.status()), kTrouble;
  const v1::PipelineSpec before = current.ok() ? current->pipeline().spec() : v1::PipelineSpec();

  const std::vector<Difference> differences = Differences(before, planned.spec(), checked->file.spec());
  const Repeated<v1::PlannedChange> changes = differences.empty() ? Repeated<v1::PlannedChange>() : RealChanges(checked->plan);
  if (output.json()) {
    PrintJson(output, DocumentOf(planned.name(), differences, changes));
  } else if (output.format() == Format::kName) {
    for (const Difference& difference : differences) output.Data(Escape(difference.field) + "\n");
  } else if (differences.empty()) {
    output.Words(absl::StrCat("pipeline ", ShortName(planned.name()), ": no differences"));
  } else {
    output.Data(DifferenceTable(differences).Print(output.colours()));
    if (!changes.empty()) output.Data("\n" + ChangeTable(changes).Print(output.colours()));
  }
  return differences.empty() ? kSame : kDifferent;
}

ExitCode ExpandSpec(Session& session, const std::string& path) {
  ExitCode code = kDone;
  const std::optional<Checked> checked = Check(session, path, code);
  if (!checked) return code;
  const v1::PipelineSpec& spec = checked->plan.pipeline().spec();
  if (session.output.format() == Format::kJson) return session.output.Json(spec), kDone;
  session.output.Data(EscapeLines(ToYaml(spec), "") + "\n");  // its escapes are YAML's, too
  return kDone;
}

}  // namespace puma::client
