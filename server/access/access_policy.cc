#include "server/access/access_policy.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/access/sha256.h"

namespace puma::server {
namespace {

const Caller::Grant kEverything{v1::ROLE_ADMIN, {}};

// A user's groups and name; none when the machine does not know it.
struct User {
  std::string name;
  std::vector<gid_t> groups;
};
User LookUp(uid_t uid) {
  User user;
  std::vector<char> memory(16 << 10);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, memory.data(), memory.size(), &found) != 0 || found == nullptr) return user;
  user.name = found->pw_name;
  int count = 64;
  user.groups.resize(static_cast<size_t>(count));
  if (getgrouplist(found->pw_name, found->pw_gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<size_t>(count));
    getgrouplist(found->pw_name, found->pw_gid, user.groups.data(), &count);
  }
  user.groups.resize(static_cast<size_t>(std::max(count, 0)));
  return user;
}

}  // namespace

bool Caller::May(v1::Role role, const std::string& pipeline) const {
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.role >= role && (grant.pipelines.empty() || grant.pipelines.contains(pipeline));
  });
}

bool Caller::MayEverywhere(v1::Role role) const {
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) { return grant.role >= role && grant.pipelines.empty(); });
}

bool Caller::MaySomewhere(v1::Role role) const {
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) { return grant.role >= role; });
}

v1::Caller Caller::ToProto() const {
  v1::Caller caller;
  caller.set_name(name_);
  for (const Grant& grant : grants_) {
    v1::RoleGrant& shown = *caller.add_grants();
    shown.set_role(grant.role);
    for (const std::string& pipeline : grant.pipelines) shown.add_pipelines(pipeline);
  }
  return caller;
}

absl::StatusOr<std::shared_ptr<const Caller>> AccessPolicy::Identify(const Peer& peer, std::string_view authorization,
                                                                     absl::Time now) const {
  if (!authorization.empty()) {
    if (!absl::StartsWithIgnoreCase({authorization.data(), authorization.size()}, "bearer "))
      return absl::UnauthenticatedError("the authorization header is not of the form \"Bearer TOKEN\"");
    return OfToken(authorization.substr(sizeof("bearer ") - 1), now);
  }
  if (peer.uid.has_value()) return OfUser(*peer.uid);
  if (!peer.certificates.empty()) return OfCertificate(peer.certificates);
  if (peer.anyone) return std::make_shared<const Caller>("anyone on this machine", std::vector<Caller::Grant>{kEverything});
  return absl::UnauthenticatedError("neither a user, nor a certificate with a subject alternative name, nor a token");
}

std::shared_ptr<const Caller> AccessPolicy::OfUser(uid_t uid) const {
  {
    MutexLock lock(mutex_);
    if (auto it = users_.find(uid); it != users_.end()) return it->second;
  }
  const User user = LookUp(uid);
  std::vector<Caller::Grant> grants;
  if (uid == 0 || uid == geteuid()) grants.push_back(kEverything);
  for (const Rule& rule : rules_) {
    const bool fits = (rule.who == Rule::Who::kUid && rule.id == uid) ||
                      (rule.who == Rule::Who::kGid && std::find(user.groups.begin(), user.groups.end(), rule.id) != user.groups.end());
    if (fits) grants.push_back(rule.grant);
  }
  auto caller = std::make_shared<const Caller>(absl::StrCat("uid ", uid, user.name.empty() ? "" : absl::StrCat(" (", user.name, ")")),
                                               std::move(grants));
  MutexLock lock(mutex_);
  return users_[uid] = std::move(caller);
}

std::shared_ptr<const Caller> AccessPolicy::OfCertificate(const std::vector<std::string>& names) const {
  std::vector<Caller::Grant> grants;
  for (const Rule& rule : rules_) {
    if (rule.who == Rule::Who::kCertificate && std::find(names.begin(), names.end(), rule.name) != names.end())
      grants.push_back(rule.grant);
  }
  return std::make_shared<const Caller>(absl::StrCat("certificate ", absl::StrJoin(names, ", ")), std::move(grants));
}

// Comparing digests says nothing about the token, however long it takes.
absl::StatusOr<std::shared_ptr<const Caller>> AccessPolicy::OfToken(std::string_view token, absl::Time now) const {
  const std::string digest = Sha256Hex(token);
  std::string name;
  std::vector<Caller::Grant> grants;
  for (const Rule& rule : rules_) {
    if (rule.who != Rule::Who::kToken || rule.sha256 != digest) continue;
    name = rule.name;
    if (rule.expires > now) grants.push_back(rule.grant);
  }
  if (name.empty()) return absl::UnauthenticatedError("this host does not know the token");
  if (grants.empty()) return absl::UnauthenticatedError(absl::StrCat("token \"", name, "\" has expired; ask for a new one"));
  return std::make_shared<const Caller>(absl::StrCat("token ", name), std::move(grants));
}

}  // namespace puma::server
