#include "server/access/access_policy.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/access/access_control.h"
#include "server/access/sha256.h"
#include "tests/access/certificates.h"
#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kStranger = 424242;

AccessPolicy PolicyOf(const std::string& text) {
  absl::StatusOr<std::vector<Rule>> rules = ParseRules("access.yaml", text);
  EXPECT_TRUE(rules.ok()) << rules.status();
  return AccessPolicy(rules.ok() ? *std::move(rules) : std::vector<Rule>{});
}

Caller Who(const AccessPolicy& policy, const Peer& peer, const std::string& authorization = "", absl::Time now = absl::Now()) {
  const auto caller = policy.Identify(peer, authorization, now);
  EXPECT_TRUE(caller.ok()) << caller.status();
  return caller.ok() ? **caller : Caller("", {});
}

TEST(AccessPolicy, WithoutRulesOnlyRootAndTheHostsOwnUserMayAnything) {
  const AccessPolicy policy({});
  EXPECT_TRUE(Who(policy, {.uid = 0}).MayEverywhere(v1::ROLE_ADMIN));
  EXPECT_TRUE(Who(policy, {.uid = geteuid()}).MayEverywhere(v1::ROLE_ADMIN));
  EXPECT_FALSE(Who(policy, {.uid = kStranger}).MaySomewhere(v1::ROLE_VIEWER));
  EXPECT_FALSE(Who(policy, {.certificates = {"spiffe://plant/robot"}}).MaySomewhere(v1::ROLE_VIEWER));
  EXPECT_TRUE(Who(policy, {.anyone = true}).MayEverywhere(v1::ROLE_ADMIN)) << "as --insecure-loopback says";
  EXPECT_EQ(policy.Identify({}, "", absl::Now()).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST(AccessPolicy, ARoleIsForItsPipelinesAndHoldsTheLowerOnes) {
  const AccessPolicy policy = PolicyOf(absl::StrCat("roles:\n  - {uid: ", kStranger, ", role: operator, pipelines: [edges, frames]}\n"));
  const Caller caller = Who(policy, {.uid = kStranger});
  EXPECT_EQ(caller.name(), absl::StrCat("uid ", kStranger));
  EXPECT_TRUE(caller.May(v1::ROLE_VIEWER, "edges"));
  EXPECT_TRUE(caller.May(v1::ROLE_OPERATOR, "frames"));
  EXPECT_FALSE(caller.May(v1::ROLE_DEPLOYER, "edges"));
  EXPECT_FALSE(caller.May(v1::ROLE_VIEWER, "other"));
  EXPECT_FALSE(caller.MayEverywhere(v1::ROLE_VIEWER));
  EXPECT_TRUE(caller.MaySomewhere(v1::ROLE_OPERATOR));
}

TEST(AccessPolicy, RulesAddUp) {
  const AccessPolicy policy = PolicyOf(
      absl::StrCat("roles:\n  - {uid: ", kStranger, ", role: viewer}\n  - {uid: ", kStranger, ", role: admin, pipelines: [edges]}\n"));
  const Caller caller = Who(policy, {.uid = kStranger});
  EXPECT_TRUE(caller.MayEverywhere(v1::ROLE_VIEWER));
  EXPECT_TRUE(caller.May(v1::ROLE_ADMIN, "edges"));
  EXPECT_FALSE(caller.May(v1::ROLE_OPERATOR, "other"));
}

TEST(AccessPolicy, UsersAndGroupsAreLookedUp) {
  const passwd* nobody = getpwnam("nobody");
  if (nobody == nullptr) GTEST_SKIP() << "this machine has no user \"nobody\"";
  const uid_t uid = nobody->pw_uid;
  const gid_t gid = nobody->pw_gid;
  EXPECT_TRUE(Who(PolicyOf("roles: [{user: nobody, role: viewer}]"), {.uid = uid}).MayEverywhere(v1::ROLE_VIEWER));
  EXPECT_TRUE(Who(PolicyOf(absl::StrCat("roles: [{gid: ", gid, ", role: viewer}]")), {.uid = uid}).MayEverywhere(v1::ROLE_VIEWER));
  EXPECT_FALSE(Who(PolicyOf(absl::StrCat("roles: [{gid: ", gid + 1, ", role: viewer}]")), {.uid = uid}).MaySomewhere(v1::ROLE_VIEWER));
  if (const group* named = getgrgid(gid)) {
    const std::string rule = absl::StrCat("roles: [{group: ", named->gr_name, ", role: operator}]");
    EXPECT_TRUE(Who(PolicyOf(rule), {.uid = uid}).MayEverywhere(v1::ROLE_OPERATOR));
  }
}

TEST(AccessPolicy, ACertificateIsKnownByAnyOfItsNames) {
  const AccessPolicy policy = PolicyOf("roles: [{certificate: \"spiffe://plant/robot-7\", role: operator}]");
  EXPECT_TRUE(Who(policy, {.certificates = {"robot.plant", "spiffe://plant/robot-7"}}).MayEverywhere(v1::ROLE_OPERATOR));
  EXPECT_FALSE(Who(policy, {.certificates = {"spiffe://plant/robot-77"}}).MaySomewhere(v1::ROLE_VIEWER));
}

TEST(AccessPolicy, ATokenCountsAloneAndUntilItExpires) {
  const std::string text =
      absl::StrCat("roles:\n  - {token: dashboard, sha256: ", Sha256Hex("secret"), ", role: viewer, expires: 2030-01-31}\n");
  const AccessPolicy policy = PolicyOf(text);
  const absl::Time before = absl::FromCivil(absl::CivilDay(2030, 1, 30), absl::UTCTimeZone());
  const Caller caller = Who(policy, {.uid = 0}, "Bearer secret", before);
  EXPECT_EQ(caller.name(), "token dashboard");
  EXPECT_TRUE(caller.MayEverywhere(v1::ROLE_VIEWER));
  EXPECT_FALSE(caller.MaySomewhere(v1::ROLE_OPERATOR)) << "though root brings it";
  EXPECT_EQ(policy.Identify({.uid = 0}, "bearer other", before).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(policy.Identify({.uid = 0}, "Basic secret", before).status().code(), absl::StatusCode::kUnauthenticated);
  const absl::Status expired = policy.Identify({.uid = 0}, "Bearer secret", before + absl::Hours(48)).status();
  EXPECT_EQ(expired.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(expired.message()), HasSubstr("expired"));
}

TEST(AccessFile, ItsFirstMistakeIsToldWithItsPlace) {
  const std::string digest(64, 'a');
  const std::pair<std::string, std::string> mistakes[] = {
      {"rules: []", "f.yaml:1:1: unknown key \"rules\" of the file; did you mean \"roles\"?"},
      {"roles: {}", "f.yaml:1:8: roles: a list is expected"},
      {"roles:\n  - {uid: 1, role: king}", "f.yaml:2:20: unknown role \"king\"; there are: viewer, operator, deployer, admin"},
      {"roles:\n  - {uid: 1, role: operater}", "did you mean \"operator\"?"},
      {"roles:\n  - {uid: x, role: viewer}", "f.yaml:2:11: uid: \"x\" is no number"},
      {"roles:\n  - {role: viewer}", "whom is the rule about?"},
      {"roles:\n  - {uid: 1, gid: 2, role: viewer}", "a rule is about one of"},
      {"roles:\n  - {uid: 1}", "\"role\" is missing"},
      {"roles:\n  - {uid: 1, role: viewer, pipelines: []}", "name at least one"},
      {"roles:\n  - {uid: 1, role: viewer, pipelines: [A]}", "\"A\" is no name of a pipeline"},
      {"roles:\n  - {user: no-such-user-here, role: viewer}", "user \"no-such-user-here\" does not exist"},
      {"roles:\n  - {token: t, role: viewer}", "a token needs its \"sha256\""},
      {"roles:\n  - {token: t, sha256: secret, role: viewer}", "64 hexadecimal digits"},
      {"roles:\n  - {uid: 1, sha256: " + digest + ", role: viewer}", "belong to tokens"},
      {"roles:\n  - {token: t, sha256: " + digest + ", role: viewer, expires: soon}", "\"soon\" is no date"},
      {"roles:\n  - {certificate: \"\", role: viewer}", "the name is empty"},
      {"roles: [", "not valid YAML"},
  };
  for (const auto& [text, expected] : mistakes) {
    const auto rules = ParseRules("f.yaml", text);
    ASSERT_FALSE(rules.ok()) << text;
    EXPECT_EQ(rules.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(rules.status().message()), HasSubstr(expected));
  }
  EXPECT_TRUE(ParseRules("f.yaml", "")->empty());
  EXPECT_TRUE(ParseRules("f.yaml", "roles: []")->empty());
}

class AccessControlTest : public ::testing::Test {
 protected:
  std::string Rules(const char* role) { return absl::StrCat("roles: [{uid: ", kStranger, ", role: ", role, "}]"); }
  TemporaryDirectory directory_;
  const std::string file_ = directory_.File("access.yaml");
};

TEST_F(AccessControlTest, AChangedFileHoldsAndABrokenOneChangesNothing) {
  WriteFile(file_, Rules("viewer"));
  const auto control = AccessControl::Open(file_);
  ASSERT_TRUE(control.ok()) << control.status();
  EXPECT_FALSE((*control)->Refresh().has_value());
  WriteFile(file_, Rules("operator"));
  EXPECT_TRUE((*control)->Refresh()->ok());
  EXPECT_TRUE(Who(*(*control)->policy(), {.uid = kStranger}).MayEverywhere(v1::ROLE_OPERATOR));
  WriteFile(file_, Rules("nothing"));
  EXPECT_EQ((*control)->Refresh()->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE((*control)->Refresh().has_value()) << "it is told once";
  EXPECT_TRUE(Who(*(*control)->policy(), {.uid = kStranger}).MayEverywhere(v1::ROLE_OPERATOR));
  WriteFile(file_, "");
  EXPECT_TRUE((*control)->Refresh()->ok());
  EXPECT_FALSE(Who(*(*control)->policy(), {.uid = kStranger}).MaySomewhere(v1::ROLE_VIEWER));
}

TEST_F(AccessControlTest, AFileThatOthersCanWriteIsRefused) {
  WriteFile(file_, Rules("viewer"));
  ASSERT_EQ(chmod(file_.c_str(), 0666), 0);
  EXPECT_EQ(AccessControl::Open(file_).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(AccessControl::Open(directory_.File("none.yaml")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(AccessControl::Open("").ok());
}

}  // namespace
}  // namespace puma::server
