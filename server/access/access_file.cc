// The text of an access file becomes rules.
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/access/access_policy.h"
#include "server/config/check_spec.h"
#include "server/config/suggest.h"
#include "server/config/yaml_reader.h"

namespace puma::server {
namespace {

const std::vector<std::string> kKeys = {"uid", "user", "gid", "group", "certificate", "token", "role", "pipelines", "sha256", "expires"};
constexpr char kHash[] = "printf %s \"$TOKEN\" | sha256sum";
const std::vector<std::string> kRoles = {"viewer", "operator", "deployer", "admin"};

uint32_t Number(const YAML::Node& node, const std::string& what) {
  const std::string text = Text(node, what);
  uint32_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) throw Mistake{node.Mark(), absl::StrCat(what, ": \"", text, "\" is no number")};
  return number;
}

uint32_t UidOf(const YAML::Node& node) {
  const std::string name = Text(node, "user");
  if (const passwd* entry = getpwnam(name.c_str())) return entry->pw_uid;
  throw Mistake{node.Mark(), absl::StrCat("user \"", name, "\" does not exist on this machine; give a uid, or make the user first")};
}

uint32_t GidOf(const YAML::Node& node) {
  const std::string name = Text(node, "group");
  if (const group* entry = getgrnam(name.c_str())) return entry->gr_gid;
  throw Mistake{node.Mark(), absl::StrCat("group \"", name, "\" does not exist on this machine; give a gid, or make the group first")};
}

v1::Role RoleOf(const YAML::Node& node) {
  const std::string word = Text(node, "role");
  const auto it = std::find(kRoles.begin(), kRoles.end(), word);
  if (it == kRoles.end()) throw Mistake{node.Mark(), absl::StrCat("unknown role \"", word, "\"", DidYouMean(word, kRoles))};
  return static_cast<v1::Role>(v1::ROLE_VIEWER + (it - kRoles.begin()));
}

std::set<std::string> PipelinesOf(const YAML::Node& node) {
  std::set<std::string> pipelines;
  ForEachItem(node, "pipelines", [&](const std::string& name, const YAML::Node& at) {
    if (!IsName(name)) throw Mistake{at.Mark(), absl::StrCat("\"", name, "\" is no name of a pipeline: ", kNameForm)};
    pipelines.insert(name);
  });
  if (pipelines.empty()) throw Mistake{node.Mark(), "pipelines: name at least one; leave the key out for all"};
  return pipelines;
}

bool IsDigest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

absl::Time TimeOf(const YAML::Node& node) {
  const std::string text = Text(node, "expires");
  absl::Time time;
  std::string error;
  for (const char* form : {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%E*SZ"}) {
    if (absl::ParseTime(form, text, absl::UTCTimeZone(), &time, &error)) return time;
  }
  throw Mistake{node.Mark(), absl::StrCat("expires: \"", text, "\" is no date; write it as 2027-01-31 or 2027-01-31T12:00:00Z (UTC)")};
}

void SetSubject(Rule& rule, Rule::Who who, const YAML::Node& at) {
  if (rule.who != Rule::Who::kNobody) throw Mistake{at.Mark(), "a rule is about one of uid, user, gid, group, certificate, token"};
  rule.who = who;
}

void SetField(Rule& rule, const std::string& key, const YAML::Node& value) {
  if (key == "role") {
    rule.grant.role = RoleOf(value);
  } else if (key == "pipelines") {
    rule.grant.pipelines = PipelinesOf(value);
  } else if (key == "sha256") {
    rule.sha256 = absl::AsciiStrToLower(Text(value, key));
    if (!IsDigest(rule.sha256)) throw Mistake{value.Mark(), absl::StrCat("sha256: 64 hexadecimal digits are expected: ", kHash)};
  } else if (key == "expires") {
    rule.expires = TimeOf(value);
  } else if (key == "uid" || key == "user") {
    SetSubject(rule, Rule::Who::kUid, value);
    rule.id = key == "uid" ? Number(value, key) : UidOf(value);
  } else if (key == "gid" || key == "group") {
    SetSubject(rule, Rule::Who::kGid, value);
    rule.id = key == "gid" ? Number(value, key) : GidOf(value);
  } else {
    SetSubject(rule, key == "token" ? Rule::Who::kToken : Rule::Who::kCertificate, value);
    rule.name = Text(value, key);
    if (rule.name.empty()) throw Mistake{value.Mark(), absl::StrCat(key, ": the name is empty")};
  }
}

Rule RuleAt(const YAML::Node& node) {
  Rule rule;
  ForEachKey(node, "a rule", kKeys,
             [&](const std::string& key, const YAML::Node& value, const YAML::Node&) { SetField(rule, key, value); });
  const bool is_token = rule.who == Rule::Who::kToken, has_sha256 = !rule.sha256.empty();
  if (rule.who == Rule::Who::kNobody)
    throw Mistake{node.Mark(), "whom is the rule about? uid, user, gid, group, certificate or token is missing"};
  if (rule.grant.role == v1::ROLE_UNSPECIFIED) throw Mistake{node.Mark(), "\"role\" is missing: viewer, operator, deployer or admin"};
  if (is_token && !has_sha256) throw Mistake{node.Mark(), absl::StrCat("a token needs its \"sha256\": ", kHash)};
  if (!is_token && (has_sha256 || rule.expires != absl::InfiniteFuture()))
    throw Mistake{node.Mark(), "sha256 and expires belong to tokens"};
  return rule;
}

}  // namespace

absl::StatusOr<std::vector<Rule>> ParseRules(const std::string& file, const std::string& text) {
  std::vector<Rule> rules;
  const absl::Status read = ReadYaml(file, text, [&](const YAML::Node& root) {
    ForEachKey(root, "the file", {"roles"}, [&](const std::string&, const YAML::Node& list, const YAML::Node&) {
      if (!list.IsSequence()) throw Mistake{list.Mark(), "roles: a list is expected"};
      for (const auto& entry : list) rules.push_back(RuleAt(entry));
    });
  });
  if (!read.ok()) return read;
  return rules;
}

}  // namespace puma::server
