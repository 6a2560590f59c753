#include "server/rpc/gate.h"

#include <google/protobuf/descriptor.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "puma/v1/services.pb.h"

namespace puma::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr absl::Duration kOften = absl::Seconds(1);
constexpr size_t kToldKept = 1000, kMaxTold = 200;
constexpr int kInfo = 9, kWarn = 13;

// What a method needs, found by its request: each method has one of its own.
struct Needs {
  std::string method;  // "TaskService/StartTask"
  v1::Access access;
  std::vector<const FieldDescriptor*> path;  // to the field that names the resource
  const FieldDescriptor* request_id = nullptr;
  const FieldDescriptor* validate_only = nullptr;
};

Needs NeedsOf(const google::protobuf::MethodDescriptor& method) {
  Needs needs{absl::StrCat(method.service()->name(), "/", method.name()), method.options().GetExtension(v1::access), {}, nullptr, nullptr};
  const Descriptor* message = method.input_type();
  needs.request_id = message->FindFieldByName("request_id");
  needs.validate_only = message->FindFieldByName("validate_only");
  if (needs.access.resource().empty()) return needs;
  for (const absl::string_view name : absl::StrSplit(needs.access.resource(), '.')) {
    const FieldDescriptor* field = message == nullptr ? nullptr : message->FindFieldByName(std::string(name));
    if (field == nullptr) return needs.access.Clear(), needs;  // refused, as without an option
    needs.path.push_back(field);
    message = field->message_type();
  }
  return needs;
}

const std::map<const Descriptor*, Needs>& AllNeeds() {
  static const auto* const all = [] {
    auto* needs = new std::map<const Descriptor*, Needs>;  // for the life of the process
    const google::protobuf::FileDescriptor* file = v1::GetHostRequest::descriptor()->file();
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        const google::protobuf::MethodDescriptor* method = file->service(i)->method(j);
        needs->emplace(method->input_type(), NeedsOf(*method));
      }
    }
    return needs;
  }();
  return *all;
}

// Names may be as long as a message; what is told of them is not.
std::string Shortened(const std::string& name) { return name.size() <= kMaxTold ? name : absl::StrCat(name.substr(0, kMaxTold), "..."); }

std::string ResourceIn(const Needs& needs, const Message& request) {
  const Message* at = &request;
  for (const FieldDescriptor* field : needs.path) {
    if (field != needs.path.back())
      at = &at->GetReflection()->GetMessage(*at, field);
    else
      return at->GetReflection()->GetString(*at, field);
  }
  return "";
}

// "pipelines/p/tasks/t" and "p" are about p.
std::string PipelineOf(absl::string_view resource) {
  resource = absl::StripPrefix(resource, "pipelines/");
  return std::string(resource.substr(0, resource.find('/')));
}

std::string Word(v1::Role role) { return absl::AsciiStrToLower(absl::StripPrefix(v1::Role_Name(role), "ROLE_")); }

std::string HisPipelines(const Caller& caller) {
  std::vector<std::string> names;
  for (const Caller::Grant& grant : caller.grants()) names.insert(names.end(), grant.pipelines.begin(), grant.pipelines.end());
  return names.empty() ? "" : absl::StrCat("; it has a role for ", absl::StrJoin(names, ", "));
}

absl::Status Verdict(const Caller& caller, const Needs& needs, const std::string& resource) {
  const v1::Role role = needs.access.role();
  if (role == v1::ROLE_UNSPECIFIED) return absl::PermissionDeniedError(absl::StrCat(needs.method, " is nobody's to call"));
  std::string whose;
  if (needs.access.scope() == v1::Access::SCOPE_ANY) {
    if (caller.MaySomewhere(role)) return absl::OkStatus();
    whose = "of a pipeline";
  } else if (resource.empty()) {
    if (caller.MayEverywhere(role)) return absl::OkStatus();
    whose = "of all pipelines";
  } else {
    if (caller.May(role, PipelineOf(resource))) return absl::OkStatus();
    whose = absl::StrCat("of pipeline ", PipelineOf(resource));
  }
  return absl::PermissionDeniedError(absl::StrCat(caller.name(), " may not call ", needs.method, ": it needs role ", Word(role), " ", whose,
                                                  ", given in the host's access file", HisPipelines(caller)));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Caller>> Gate::Check(const grpc::CallbackServerContext& context, const Message& request) {
  const auto it = AllNeeds().find(request.GetDescriptor());
  if (it == AllNeeds().end()) return absl::PermissionDeniedError("this call is nobody's to make");
  const Needs& needs = it->second;
  absl::StatusOr<std::shared_ptr<const Caller>> caller = CallerOf(*access_->policy(), context);
  const std::string resource = Shortened(ResourceIn(needs, request));
  const absl::Status verdict = caller.ok() ? Verdict(**caller, needs, resource) : caller.status();
  const bool looks = needs.access.role() == v1::ROLE_VIEWER ||
                     (needs.validate_only != nullptr && request.GetReflection()->GetBool(request, needs.validate_only));
  if (!looks || !verdict.ok()) {
    Tell(caller.ok() ? (*caller)->name() : "somebody", needs.method, resource,
         needs.request_id == nullptr ? "" : Shortened(request.GetReflection()->GetString(request, needs.request_id)), verdict);
  }
  if (!verdict.ok()) return verdict;
  return caller;
}

absl::Status Gate::CheckViewer(const grpc::CallbackServerContext& context, const std::string& pipeline) {
  const auto caller = CallerOf(*access_->policy(), context);
  if (!caller.ok()) return caller.status();
  if (pipeline.empty() ? (*caller)->MaySomewhere(v1::ROLE_VIEWER) : (*caller)->May(v1::ROLE_VIEWER, PipelineOf(pipeline)))
    return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat((*caller)->name(), " needs role viewer to ask for this"));
}

// Commands may come by the thousand, and so may what is refused: the first of a kind within a second is told, the others are counted.
void Gate::Tell(const std::string& principal, const std::string& method, const std::string& resource, const std::string& request_id,
                const absl::Status& verdict) {
  std::string more;
  if (!verdict.ok() || method == "TaskService/InvokeCommand") {
    const absl::Time now = absl::Now();
    MutexLock lock(mutex_);
    if (told_.size() > kToldKept) told_.clear();
    Told& told = told_[absl::StrCat(principal, " ", method, " ", verdict.ok() ? resource : "")];
    if (now - told.at < kOften && now >= told.at) {
      ++told.since;
      return;
    }
    if (told.since != 0) more = absl::StrCat(" (and ", told.since, " more before)");
    told = {now, 0};
  }
  const std::string text = absl::StrCat(principal, verdict.ok() ? " called " : " was not let to call ", method,
                                        resource.empty() ? "" : absl::StrCat(" of ", resource), more);
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_AUDIT);
  event.set_name(absl::StartsWith(resource, "pipelines/") ? resource : resource.empty() ? "host" : absl::StrCat("pipelines/", resource));
  event.set_severity(verdict.ok() ? kInfo : kWarn);
  event.set_message(text);
  event.set_principal(principal);
  event.set_method(method);
  event.set_denied(!verdict.ok());
  event.set_request_id(request_id);
  feeds_.events->Add(std::move(event));
  feeds_.logs->Own(verdict.ok() ? 2 : 3, absl::StrCat("audit: ", text));
}

}  // namespace puma::server
