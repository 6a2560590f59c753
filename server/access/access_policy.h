#ifndef PUMA_SERVER_ACCESS_ACCESS_POLICY_H_
#define PUMA_SERVER_ACCESS_ACCESS_POLICY_H_
// Who may do what. Nobody may do anything that no line allows; root and the host's own user may do everything, over a Unix socket.
#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "puma/v1/access.pb.h"
#include "worker/platform/mutex.h"

namespace puma::server {

// The other end of a connection, as far as the kernel or TLS vouches for it.
struct Peer {
  std::optional<uid_t> uid;               // of a Unix socket
  std::vector<std::string> certificates;  // subject alternative names of the verified certificate of a client
  bool anyone = false;                    // plain TCP that was allowed explicitly
};

// A value of one call.
class Caller {
 public:
  struct Grant {
    v1::Role role = v1::ROLE_UNSPECIFIED;
    std::set<std::string> pipelines;  // empty: all
  };
  Caller(std::string name, std::vector<Grant> grants) : name_(std::move(name)), grants_(std::move(grants)) {}

  const std::string& name() const { return name_; }
  const std::vector<Grant>& grants() const { return grants_; }
  // Whether it has the role, or a higher one, for the pipeline.
  bool May(v1::Role role, const std::string& pipeline) const;
  bool MayEverywhere(v1::Role role) const;
  bool MaySomewhere(v1::Role role) const;
  // The same as a message.
  v1::Caller ToProto() const;

 private:
  std::string name_;
  std::vector<Grant> grants_;
};

// A line of the access file.
struct Rule {
  enum class Who { kNobody, kUid, kGid, kCertificate, kToken };
  Who who = Who::kNobody;
  uint32_t id = 0;                              // uid or gid
  std::string name;                             // of a certificate or token
  std::string sha256;                           // of a token: 64 hexadecimal digits
  absl::Time expires = absl::InfiniteFuture();  // of a token
  Caller::Grant grant;
};

// The lines of an access file. INVALID_ARGUMENT: its first mistake, as "FILE:line:column: what is wrong". Users and groups are looked up.
absl::StatusOr<std::vector<Rule>> ParseRules(const std::string& file, const std::string& text);

// Thread-safe.
class AccessPolicy {
 public:
  explicit AccessPolicy(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  // Who calls. `authorization` is what the call's header of that name says; a token counts alone, whoever brings it. UNAUTHENTICATED: it
  // is no valid token. A caller without any role is one, too.
  absl::StatusOr<std::shared_ptr<const Caller>> Identify(const Peer& peer, std::string_view authorization, absl::Time now) const;

  const std::vector<Rule>& rules() const { return rules_; }

 private:
  std::shared_ptr<const Caller> OfUser(uid_t uid) const PUMA_EXCLUDES(mutex_);
  std::shared_ptr<const Caller> OfCertificate(const std::vector<std::string>& names) const;
  absl::StatusOr<std::shared_ptr<const Caller>> OfToken(std::string_view token, absl::Time now) const;

  const std::vector<Rule> rules_;
  mutable Mutex mutex_;
  mutable std::map<uid_t, std::shared_ptr<const Caller>> users_ PUMA_GUARDED_BY(mutex_);  // asking for groups may take long
};

}  // namespace puma::server
#endif  // PUMA_SERVER_ACCESS_ACCESS_POLICY_H_
