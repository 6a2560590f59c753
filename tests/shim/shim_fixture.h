#ifndef PUMA_TESTS_SHIM_SHIM_FIXTURE_H_
#define PUMA_TESTS_SHIM_SHIM_FIXTURE_H_
// A real puma-shim with hollow hosts and misbehaving workers; the test itself is the host's mind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "worker/platform/seqpacket.h"
#include "worker/shim/cgroup.h"
#include "worker/shim/process_tree.h"
#include "worker/shim/protocol.h"
#include "worker/shim/template.h"

namespace puma::shim {

// Waits for a condition under a generous watchdog.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}
inline bool Alive(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text[name_end + 2] != 'Z' && text[name_end + 2] != 'X';
}
// Never to a group, nor to everybody: a pid that a failed step left at 0 or -1 must not end the machine.
inline void SendSignal(int pid, int signal) {
  ASSERT_GT(pid, 1);
  ::kill(pid, signal);
}
inline size_t DescriptorsOf(int pid) {
  std::error_code error;
  size_t count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++count;
  }
  return count;
}

struct Message {
  Header header;
  std::vector<std::byte> body;
  std::vector<UniqueFd> fds;
  template <class T>
  T As() const {
    T value{};
    if (body.size() >= sizeof(T)) std::memcpy(&value, body.data(), sizeof(T));
    return value;
  }
  std::string Rest(size_t after) const { return {reinterpret_cast<const char*>(body.data()) + after, body.size() - after}; }
};

// The host's end of its socket, as its incarnation's process has handed it over.
class HostEnd {
 public:
  HostEnd(int pid, UniqueFd socket) : pid_(pid), socket_(std::move(socket)) {}
  int pid() const { return pid_; }
  void Kill() const { SendSignal(pid_, SIGKILL); }

  template <class T>
  uint64_t Send(Type type, const T& body, std::vector<int> fds = {}, std::string_view rest = {}) {
    Header header;
    header.type = type;
    header.length = static_cast<uint32_t>(sizeof(Header) + sizeof(T) + rest.size());
    header.fd_count = static_cast<uint32_t>(fds.size());
    header.sequence = ++sequence_;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes.append(reinterpret_cast<const char*>(&body), sizeof(body)).append(rest);
    SendRaw(bytes, fds);
    return sequence_;
  }
  void SendRaw(std::string_view bytes, std::vector<int> fds = {}) { SendPacket(socket_.get(), std::as_bytes(std::span(bytes)), fds); }

  // The next message; nothing when the shim has closed or the watchdog has barked.
  std::optional<Message> Next() {
    pollfd wait{socket_.get(), POLLIN, 0};
    if (::poll(&wait, 1, 60'000) <= 0) return std::nullopt;
    Packet packet = ReceivePacket(socket_.get());
    if (packet.bytes.size() < sizeof(Header)) return std::nullopt;
    Message message;
    std::memcpy(&message.header, packet.bytes.data(), sizeof(Header));
    message.body.assign(packet.bytes.begin() + sizeof(Header), packet.bytes.end());
    message.fds = std::move(packet.fds);
    return message;
  }
  // The next message of that type; others are kept in `passed`.
  std::optional<Message> Await(Type type) {
    while (auto message = Next()) {
      if (message->header.type == type) return message;
      passed.push_back(std::move(*message));
    }
    return std::nullopt;
  }
  // True: the shim has answered everything so far; what else it said is in `passed`.
  bool Settle() {
    Send(Type::kPing, Ping{7});
    return Await(Type::kPong).has_value();
  }
  std::vector<Message> passed;

  // All of an inventory.
  std::vector<Message> Inventory() {
    std::vector<Message> all;
    Send(Type::kGetInventory, GetInventory{});
    while (auto message = Next()) {
      const bool end = message->header.type == Type::kInventoryEnd;
      all.push_back(std::move(*message));
      if (end) break;
    }
    return all;
  }

 private:
  int pid_;
  UniqueFd socket_;
  uint64_t sequence_ = 0;
};

class ShimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/puma-shim-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof(address.sun_path), "%s/test.sock", name);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(listener_.get(), 64), 0);
  }
  void TearDown() override {
    if (shim_ > 0) {
      SendSignal(shim_, SIGKILL);
      WaitForShim();
    }
    // What a test left behind, failed or not, ends with it.
    if (!StateId().empty()) {
      std::string left;
      EXPECT_TRUE(EndLeftovers("PUMA_STATE", StateId(), 60, left)) << left;
      Cgroups::Take(StateId());  // a shim that was killed leaves its groups to its successor
    }
    std::filesystem::remove_all(directory_);
  }

  std::string StateDirectory() const { return directory_ + "/state"; }
  std::string StateId() const {
    std::ifstream file(StateDirectory() + "/id");
    std::string id;
    file >> id;
    return id;
  }
  // Starts a shim; its stderr goes to a file. Does not wait for its host.
  int Launch(std::vector<std::string> host_arguments, const std::string& host = HOLLOW_HOST, const std::string& log = "log") {
    std::vector<std::string> arguments{PUMA_SHIM, "--state-dir", StateDirectory(), "--host", host, "--worker", worker_, "--"};
    arguments.insert(arguments.end(), host_arguments.begin(), host_arguments.end());
    const std::string log_path = directory_ + "/" + log;
    const int pid = ::fork();
    if (pid == 0) {
      const int out = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(out, 1);
      ::dup2(out, 2);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    return pid;
  }
  void Start() {
    shim_ = Launch({directory_ + "/test.sock"});
    ASSERT_GT(shim_, 0);
  }
  std::string Log(const std::string& log = "log") const {
    std::ifstream file(directory_ + "/" + log);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static int WaitFor(int pid) {
    int status = -1;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int WaitForShim() { return WaitFor(std::exchange(shim_, -1)); }

  // The next incarnation of the host.
  HostEnd NextHost() {
    pollfd wait{listener_.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 60'000), 1) << Log();
    const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    Packet packet = ReceivePacket(connection.get());
    int pid = -1;
    if (packet.bytes.size() == sizeof(pid)) std::memcpy(&pid, packet.bytes.data(), sizeof(pid));
    EXPECT_EQ(packet.fds.size(), 1u);
    return HostEnd(pid, packet.fds.empty() ? UniqueFd() : std::move(packet.fds[0]));
  }
  HostEnd GreetedHost() {
    HostEnd host = NextHost();
    Hello hello{};
    std::memset(hello.store_id, 0xab, sizeof(hello.store_id));
    host.Send(Type::kHello, hello);
    const auto welcome = host.Await(Type::kWelcome);
    EXPECT_TRUE(welcome.has_value()) << Log();
    if (welcome) features_ = welcome->As<Welcome>().features;
    return host;
  }
  static UniqueFd HostSegment(int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) {
    UniqueFd fd(::memfd_create("H", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(fd.get(), 4096), 0);
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
  }
  static Spawn SpawnOf(const RunId& id, const char* what) {
    Spawn spawn{};
    spawn.id = id;
    spawn.control_segment = 1000;
    spawn.slots = 1;
    std::snprintf(spawn.name, sizeof(spawn.name), "%s", what);
    std::snprintf(spawn.label, sizeof(spawn.label), "label of %llu", static_cast<unsigned long long>(id.key));
    return spawn;
  }
  static Message SpawnWorker(HostEnd& host, const RunId& id, const char* what) {
    const UniqueFd segment = HostSegment();
    host.Send(Type::kSpawn, SpawnOf(id, what), {segment.get()});
    auto answer = host.Await(Type::kSpawnResult);
    EXPECT_TRUE(answer.has_value());
    return answer ? std::move(*answer) : Message{};
  }
  static int PidOf(const Message& spawned) { return spawned.As<SpawnResult>().pid; }

  // 0: there is none.
  int TemplatePid() const {
    for (int child : ChildrenOf(shim_)) {
      if (CommandLineOf(child).find(kTemplate) != std::string::npos) return child;
    }
    return 0;
  }
  static std::string CommandLineOf(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // The shim's children but its template.
  std::vector<int> ChildrenOfShim() const {
    std::vector<int> children = ChildrenOf(shim_);
    std::erase(children, TemplatePid());
    return children;
  }

  std::string directory_;
  UniqueFd listener_;
  std::string worker_ = MISBEHAVING_WORKER;
  int shim_ = -1;
  uint32_t features_ = 0;  // of the last Welcome
};

}  // namespace puma::shim
#endif  // PUMA_TESTS_SHIM_SHIM_FIXTURE_H_
