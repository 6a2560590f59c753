#include "tests/system/host_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/lib/spec_file.h"

namespace puma::system_test {
namespace {

std::string Full(const std::string& task) { return "pipelines/" + absl::StrReplaceAll(task, {{"/", "/tasks/"}}); }

struct Started {
  int pid = -1, out = -1, err = -1;
};

Started Spawn(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment, bool die_with_us) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return {};
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int pid = fork();
  if (pid == 0) {
    if (die_with_us) prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  return {pid, out[0], err[0]};
}

// Reads both to their ends.
void ReadAll(const Started& started, std::string& out, std::string& err) {
  pollfd fds[] = {{started.out, POLLIN, 0}, {started.err, POLLIN, 0}};
  std::string* texts[] = {&out, &err};
  for (int open = 2; open > 0;) {
    poll(fds, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = read(fds[i].fd, buffer, sizeof(buffer));
      if (got > 0) {
        texts[i]->append(buffer, static_cast<size_t>(got));
      } else {
        close(std::exchange(fds[i].fd, -1));
        --open;
      }
    }
  }
}

}  // namespace

Ran RunProgram(std::vector<std::string> words, const std::map<std::string, std::string>& environment) {
  Ran ran;
  const Started started = Spawn(words, environment, true);
  ReadAll(started, ran.out, ran.err);
  int status = 0;
  waitpid(started.pid, &status, 0);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

bool Alive(int pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');
  return name_end != std::string::npos && name_end + 2 < text.size() && text[name_end + 2] != 'Z';
}

bool KillProcess(int64_t pid) { return pid > 1 && kill(static_cast<int>(pid), SIGKILL) == 0; }

bool Eventually(const std::function<bool()>& condition) {
  const auto watchdog = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (std::chrono::steady_clock::now() < watchdog) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

HostTest::HostTest() {
  char name[] = "/tmp/puma-test.XXXXXX";
  directory_ = mkdtemp(name);
}

HostTest::~HostTest() {
  StopHost();
  if (!HasFailure()) std::filesystem::remove_all(directory_);
}

std::vector<std::string> HostTest::HostCommand() const {
  std::vector<std::string> words{PUMA_BIN "/puma-host", "--state-dir",    directory_ + "/state", "--socket", Socket(),
                                 "--modules",           PUMA_TEST_MODULES};
  words.insert(words.end(), more_flags_.begin(), more_flags_.end());
  return words;
}

void HostTest::StartHost() {
  const std::vector<std::string> words = HostCommand();
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string log = directory_ + "/host.txt";
  shim_ = fork();
  if (shim_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int out = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(out, 1);
    dup2(out, 2);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  const bool serving = Eventually([&] {
    if (waitpid(shim_, nullptr, WNOHANG) == shim_) {
      shim_ = -1;
      return true;
    }
    absl::StatusOr<std::unique_ptr<client::Client>> connected = client::Client::Connect(Target());
    if (!connected.ok() || !(*connected)->GetHost().ok()) return false;
    client_ = *std::move(connected);
    return true;
  });
  ASSERT_TRUE(serving && shim_ > 0) << "the host did not come up; see " << log;
}

void HostTest::StopHost() {
  if (shim_ <= 0) return;
  client_.reset();
  kill(shim_, SIGTERM);
  int status = 0;
  EXPECT_TRUE(Eventually([&] { return waitpid(shim_, &status, WNOHANG) == shim_; })) << "the shim does not end";
  shim_ = -1;
}

int HostTest::KillHost() {
  int pid = 0;
  EXPECT_TRUE(Eventually([&] {
    absl::StatusOr<v1::GetHostResponse> host = client_->GetHost();
    if (host.ok()) pid = static_cast<int>(host->host().pid());
    return pid != 0;
  }));
  EXPECT_TRUE(KillProcess(pid));
  EXPECT_TRUE(Eventually([&] {
    absl::StatusOr<v1::GetHostResponse> host = client_->GetHost();
    return host.ok() && host->host().pid() != 0 && host->host().pid() != pid;
  }));
  return pid;
}

Ran HostTest::Ctl(std::vector<std::string> words) {
  words.insert(words.begin(), {PUMA_BIN "/puma-ctl", "--host", Target()});
  return RunProgram(words);
}

std::string HostTest::Write(const std::string& name, const std::string& text) {
  const std::string path = directory_ + "/" + name;
  std::ofstream(path) << text;
  return path;
}

absl::Status HostTest::Apply(const std::string& yaml) {
  const Ran ran = Ctl({"apply", "-f", Write("spec.yaml", yaml)});
  return ran.code == 0 ? absl::OkStatus() : absl::InvalidArgumentError(ran.err);
}

v1::Task HostTest::Task(const std::string& name) {
  v1::GetTaskRequest request;
  request.set_name(Full(name));
  absl::StatusOr<v1::GetTaskResponse> response = client_->GetTask(request);
  return response.ok() ? response->task() : v1::Task();
}

bool HostTest::WaitForState(const std::string& name, v1::TaskState state) {
  return Eventually([&] { return Task(name).status().state() == state; });
}

absl::StatusOr<v1::InvokeCommandResponse> HostTest::Call(const std::string& task, const std::string& command,
                                                         const std::map<std::string, google::protobuf::Value>& arguments) {
  v1::InvokeCommandRequest request;
  request.set_name(Full(task));
  request.set_command(command);
  for (const auto& [name, value] : arguments) (*request.mutable_arguments())[name] = value;
  return client_->InvokeCommand(request);
}

double HostTest::Number(const std::string& task, const std::string& command) {
  absl::StatusOr<v1::InvokeCommandResponse> response = Call(task, command);
  return response.ok() ? response->result().number_value() : -1;
}

google::protobuf::Value Of(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}
google::protobuf::Value Of(double number) {
  google::protobuf::Value value;
  value.set_number_value(number);
  return value;
}

}  // namespace puma::system_test
