#include <google/protobuf/struct.pb.h>

#include "absl/strings/str_cat.h"
#include "client/cli/advice.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

// "capacity_items: 16", as it stands in a spec file.
Table::Cell Suggestion(const Advice& advice) {
  const auto colour = advice.verdict == Advice::Verdict::kSmaller ? Table::Colour::kNone : Table::Colour::kYellow;
  if (advice.bytes != 0) return {absl::StrCat("capacity: ", Bytes(advice.bytes)), colour};
  if (advice.items != 0) return {absl::StrCat("capacity_items: ", advice.items), colour};
  if (advice.verdict == Advice::Verdict::kSlowReader) return {"a faster reader", Table::Colour::kRed};
  return {advice.verdict == Advice::Verdict::kUnknown ? "–" : "keep", Table::Colour::kDim};
}

std::string Evidence(const Advice& advice) { return absl::StrCat(advice.messages, " messages, ", For(advice.observed)); }

google::protobuf::Value Json(const Advice& advice) {
  google::protobuf::Value value;
  auto& fields = *value.mutable_struct_value()->mutable_fields();
  fields["buffer"].set_string_value(advice.buffer);
  fields["verdict"].set_string_value(VerdictName(advice.verdict));
  if (advice.items != 0) fields["capacityItems"].set_number_value(static_cast<double>(advice.items));
  if (advice.bytes != 0) fields["capacityBytes"].set_number_value(static_cast<double>(advice.bytes));
  fields["why"].set_string_value(advice.why);
  fields["messages"].set_number_value(static_cast<double>(advice.messages));
  fields["observedSeconds"].set_number_value(absl::ToDoubleSeconds(advice.observed));
  return value;
}

}  // namespace

ExitCode Advise(Session& session, const std::string& pipeline) {
  const Output& output = session.output;
  std::string parent;
  if (!pipeline.empty()) {
    const auto name = PipelineName(pipeline);
    if (!name.ok()) return output.Error(name.status()), kUsage;
    parent = *name;
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto buffers = AllBuffers(**host, parent);
  if (!buffers.ok()) return output.Error(buffers.status());
  Table table({"BUFFER", "SUGGESTION", "WHY", "EVIDENCE"});
  google::protobuf::Struct document;
  auto& list = *(*document.mutable_fields())["advice"].mutable_list_value();
  for (const v1::Buffer& buffer : buffers->buffers()) {
    const Advice advice = AdviseOn(buffer);
    *list.add_values() = Json(advice);
    table.Add({ShortName(advice.buffer), Suggestion(advice), advice.why, Evidence(advice)});
  }
  if (output.json()) {
    output.Json(document);
  } else if (table.empty()) {
    output.Words("no buffers");
  } else {
    output.Data(table.Print(output.colours()));
  }
  return kDone;
}

}  // namespace puma::client
