// Who may do what, tried with the real host, its socket, its TLS port, puma-ctl and certificates as a user makes them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"
#include "worker/platform/unique_fd.h"

namespace puma::system_test {
namespace {

constexpr char kServant[] = "modules: [flow]\ntasks:\n  servant: {type: flow.Servant}\n";

class AccessTest : public HostTest {
 protected:
  void SetUp() override {
    for (const auto& words : {std::vector<std::string>{"host", "localhost", "127.0.0.1"}, {"client", "robot"}, {"client", "stranger"}}) {
      std::vector<std::string> command{PUMA_SOURCE "/deploy/certificates", Tls("")};
      command.insert(command.end(), words.begin(), words.end());
      const Ran made = RunProgram(command);
      ASSERT_EQ(made.code, 0) << made.err;
    }
    Write("token", "s3cret\n");
    // printf %s s3cret | sha256sum
    access_ = Write("access.yaml",
                    "roles:\n  - {certificate: spiffe://puma/robot, role: deployer, pipelines: [robots]}\n"
                    "  - {token: eye, sha256: 1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0, role: viewer}\n");
    GiveHost({"--access", access_, "--listen-tls", "127.0.0.1:0", "--tls-cert", Tls("host.pem"), "--tls-key", Tls("host.key"),
              "--tls-client-ca", Tls("ca.pem")});
    StartHost();
    ASSERT_TRUE(Eventually([&] {
      std::ifstream log(Directory() + "/host.txt");
      std::stringstream text;
      text << log.rdbuf();
      const std::string all = text.str();
      const size_t end = all.find(" (TLS)"), begin = all.rfind(' ', end - 1) + 1;
      if (end == std::string::npos) return false;
      address_ = all.substr(begin, end - begin);
      return true;
    }));
  }
  std::string Tls(const std::string& name) const { return absl::StrCat(Directory(), "/tls-files/", name); }
  Ran CtlAs(const std::string& who, std::vector<std::string> words) {
    std::vector<std::string> all{PUMA_BIN "/puma-ctl", "--host", address_,          "--ca",          Tls("ca.pem"), "--cert",
                                 Tls(who + ".pem"),    "--key",  Tls(who + ".key"), "--server-name", "localhost"};
    all.insert(all.end(), words.begin(), words.end());
    return RunProgram(all);
  }
  UniqueFd ConnectToTls() const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address_.substr(address_.rfind(':') + 1))));
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << std::strerror(errno);
    return socket;
  }
  UniqueFd ConnectToUnix() const {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, Socket().c_str(), sizeof(to.sun_path) - 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << std::strerror(errno);
    return socket;
  }

  std::string access_, address_;
};

TEST_F(AccessTest, ACertificateDoesWhatItsRoleMayAndTheRestIsRefusedInWordsAndTold) {
  const std::string robots = Write("robots.yaml", absl::StrCat("pipeline: robots\n", kServant));
  const std::string others = Write("others.yaml", absl::StrCat("pipeline: others\n", kServant));
  EXPECT_EQ(CtlAs("robot", {"apply", "-f", robots, "--wait"}).code, 0);
  EXPECT_TRUE(absl::StrContains(CtlAs("robot", {"get", "pipelines"}).out, "robots"));
  const Ran refused = CtlAs("robot", {"apply", "-f", others});
  EXPECT_NE(refused.code, 0);
  EXPECT_TRUE(absl::StrContains(refused.err, "certificate spiffe://puma/robot")) << refused.err;
  EXPECT_TRUE(absl::StrContains(refused.err, "deployer")) << refused.err;
  ASSERT_TRUE(Apply(absl::StrCat("pipeline: others\n", kServant)).ok()) << "the host's own user may";
  const Ran list = CtlAs("robot", {"get", "pipelines"});
  EXPECT_TRUE(absl::StrContains(list.out, "robots") && !absl::StrContains(list.out, "others")) << list.out;
  EXPECT_NE(CtlAs("stranger", {"get", "pipelines"}).code, 0);

  EXPECT_TRUE(Eventually([&] {
    const auto events = client().ListEvents();
    if (!events.ok()) return false;
    bool done = false, denied = false;
    for (const v1::Event& event : events->events()) {
      const bool robot = event.principal() == "certificate spiffe://puma/robot" && event.method() == "PipelineService/ApplyPipeline";
      done = done || (robot && !event.denied() && event.name() == "pipelines/robots");
      denied = denied || (robot && event.denied() && event.name() == "pipelines/others");
    }
    return done && denied;
  })) << client().ListEvents()->ShortDebugString();
}

TEST_F(AccessTest, AContextBringsTheCertificatesAndWhoBringsNoneIsToldSo) {
  const std::map<std::string, std::string> config{{"PUMA_CONFIG", Directory() + "/contexts.yaml"}};
  const Ran plain = RunProgram({PUMA_BIN "/puma-ctl", "--host", address_, "get", "pipelines"}, config);
  EXPECT_EQ(plain.code, 1);
  EXPECT_TRUE(absl::StrContains(plain.err, "--ca")) << plain.err;
  ASSERT_EQ(RunProgram({PUMA_BIN "/puma-ctl", "context", "set", "lab", "--host", address_, "--ca", Tls("ca.pem"), "--cert",
                        Tls("robot.pem"), "--key", Tls("robot.key"), "--server-name", "localhost"},
                       config)
                .code,
            0);
  const Ran list = RunProgram({PUMA_BIN "/puma-ctl", "get", "pipelines"}, config);
  EXPECT_EQ(list.code, 0) << list.err;
}

TEST_F(AccessTest, ATokenCountsOverTheSocketAndChangesOfTheFileHoldAtOnce) {
  ASSERT_TRUE(Apply(absl::StrCat("pipeline: robots\n", kServant)).ok());
  const std::string token = Directory() + "/token";
  EXPECT_EQ(Ctl({"--token-file", token, "get", "tasks"}).code, 0);
  const Ran refused = Ctl({"--token-file", token, "stop", "robots/servant"});
  EXPECT_NE(refused.code, 0);
  EXPECT_TRUE(absl::StrContains(refused.err, "operator")) << refused.err;
  Write("access.yaml", "roles:\n  - {token: eye, sha256: nonsense, role: viewer}\n");
  Write("token2", "other\n");
  EXPECT_TRUE(Eventually([&] {
    const auto events = client().ListEvents();
    return events.ok() && absl::StrContains(events->ShortDebugString(), "access.yaml:2:");
  })) << "a mistake in it is told";
  EXPECT_EQ(Ctl({"--token-file", token, "get", "tasks"}).code, 0) << "and changes nothing";
  Write("access.yaml", "roles: []\n");
  EXPECT_TRUE(Eventually([&] { return Ctl({"--token-file", token, "get", "tasks"}).code != 0; }));
  EXPECT_EQ(Ctl({"get", "tasks"}).code, 0) << "its own user may, as ever";
}

TEST_F(AccessTest, FloodsOfConnectionsLeaveAWorkingApi) {
  ASSERT_TRUE(Apply(absl::StrCat("pipeline: robots\n", kServant)).ok());
  ASSERT_TRUE(WaitForState("robots/servant", v1::TASK_STATE_RUNNING));
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 500; ++i) silent.push_back(ConnectToTls());
  EXPECT_EQ(Ctl({"get", "tasks"}).code, 0) << "others are not held up by who says nothing";
  EXPECT_TRUE(Call("robots/servant", "echo", {{"text", Of("hello")}}).ok());
  EXPECT_TRUE(Eventually([&] { return CtlAs("robot", {"get", "tasks", "robots"}).code == 0; })) << "nor are his neighbours for long";
  std::vector<UniqueFd> own;
  for (int i = 0; i < 600; ++i) own.push_back(ConnectToUnix());  // more than one user may have
  EXPECT_TRUE(client().GetHost().ok()) << "who is in stays in";
  own.clear();
  EXPECT_TRUE(Eventually([&] { return Ctl({"get", "tasks"}).code == 0; }));
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(Ctl({"logs"}).out, "connections, and may have no more"); }));
}

}  // namespace
}  // namespace puma::system_test
