#include "server/rpc/identity.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/rpc/status_codec.h"

namespace puma::server {
namespace {

// Properties of a security context. TLS writes none of these names.
constexpr char kUid[] = "puma_uid", kAnyone[] = "puma_anyone";
constexpr char kAlternativeNames[] = "x509_subject_alternative_name";

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string_view Find(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata, const char* key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? std::string_view() : View(it->second);
}

grpc::Status CheckForeign(const Caller& caller, std::string_view path, bool from_network) {
  const bool reflection = absl::StartsWith({path.data(), path.size()}, "/grpc.reflection.");
  if (reflection && !from_network ? caller.MaySomewhere(v1::ROLE_VIEWER) : caller.MayEverywhere(v1::ROLE_ADMIN)) return grpc::Status::OK;
  return {grpc::StatusCode::PERMISSION_DENIED, absl::StrCat(caller.name(), " may not call ", std::string(path), ": it needs role ",
                                                            reflection && !from_network ? "viewer" : "admin of all pipelines")};
}

}  // namespace

Peer PeerOf(const grpc::AuthContext& context) {
  Peer peer;
  uint32_t uid = 0;
  if (const auto values = context.FindPropertyValues(kUid); !values.empty()) {
    if (absl::SimpleAtoi({values.front().data(), values.front().size()}, &uid)) peer.uid = uid;
    return peer;
  }
  peer.anyone = !context.FindPropertyValues(kAnyone).empty();
  for (const grpc::string_ref& name : context.FindPropertyValues(kAlternativeNames)) peer.certificates.emplace_back(View(name));
  return peer;
}

absl::StatusOr<std::shared_ptr<const Caller>> CallerOf(const AccessPolicy& policy, const grpc::CallbackServerContext& context) {
  return policy.Identify(PeerOf(*context.auth_context()), Find(context.client_metadata(), "authorization"), absl::Now());
}

grpc::Status Doorman::Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*, OutputMetadata*) {
  if (door_ == Door::kUser && context->FindPropertyValues(kUid).empty()) context->AddProperty(kUid, std::to_string(uid_.load()));
  if (door_ == Door::kAnyone && context->FindPropertyValues(kAnyone).empty()) context->AddProperty(kAnyone, "1");
  const std::string_view path = Find(metadata, ":path");
  if (absl::StartsWith({path.data(), path.size()}, "/puma.v1.") || absl::StartsWith({path.data(), path.size()}, "/grpc.health."))
    return grpc::Status::OK;
  const auto caller = access_->policy()->Identify(PeerOf(*context), Find(metadata, "authorization"), absl::Now());
  if (!caller.ok()) return ToGrpc<grpc::Status>(caller.status());
  return CheckForeign(**caller, path, door_ == Door::kCertificate);
}

std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> AddAcceptor(grpc::ServerBuilder& builder,
                                                                            const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                                                            std::shared_ptr<Doorman> doorman) {
  credentials->SetAuthMetadataProcessor(std::move(doorman));
  return builder.experimental().AddExternalConnectionAcceptor(grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
                                                              credentials);
}

UserAcceptors::UserAcceptors(grpc::ServerBuilder& builder, const AccessControl* access) {
  for (Slot& slot : slots_) {
    slot.doorman = std::make_shared<Doorman>(access, Doorman::Door::kUser);
    slot.acceptor = AddAcceptor(builder, grpc::experimental::LocalServerCredentials(UDS), slot.doorman);
  }
}

bool UserAcceptors::HandOver(UniqueFd connection, uid_t uid) {
  auto it = slot_of_.find(uid);
  if (it == slot_of_.end()) {
    if (slot_of_.size() == slots_.size()) return false;
    it = slot_of_.emplace(uid, slot_of_.size()).first;
    slots_[it->second].doorman->SetUser(uid);
  }
  server::HandOver(*slots_[it->second].acceptor, std::move(connection));
  return true;
}

void HandOver(grpc::experimental::ExternalConnectionAcceptor& acceptor, UniqueFd connection) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.fd = connection.release();
  acceptor.HandleNewConnection(&parameters);
}

}  // namespace puma::server
