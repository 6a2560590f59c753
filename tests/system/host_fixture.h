#ifndef PUMA_TESTS_SYSTEM_HOST_FIXTURE_H_
#define PUMA_TESTS_SYSTEM_HOST_FIXTURE_H_
// A real host on a state directory and a socket of its own, spoken to through the client library and puma-ctl.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/include/puma/client/client.h"

namespace puma::system_test {

struct Ran {
  int code = -1;
  std::string out, err;
};
// Runs a program to its end.
Ran RunProgram(std::vector<std::string> words, const std::map<std::string, std::string>& environment = {});

bool Alive(int pid);
// SIGKILL to that process, and only if it can be one: 0 and below would be groups. False: there is none.
bool KillProcess(int64_t pid);
// Waits, at most two minutes, until `condition` holds.
bool Eventually(const std::function<bool()>& condition);

class HostTest : public ::testing::Test {
 protected:
  HostTest();
  ~HostTest() override;

  void StartHost();  // returns when it serves
  void StopHost();   // SIGTERM to the shim; returns when it has ended
  std::string Directory() const { return directory_; }
  std::string Socket() const { return directory_ + "/run/puma.sock"; }
  std::string Target() const { return "unix:" + Socket(); }
  std::vector<std::string> HostCommand() const;
  void GiveHost(std::vector<std::string> flags) { more_flags_ = std::move(flags); }  // before StartHost
  client::Client& client() { return *client_; }
  int shim() const { return shim_; }

  Ran Ctl(std::vector<std::string> words);
  std::string Write(const std::string& name, const std::string& text);  // a file in the directory

  absl::Status Apply(const std::string& yaml);  // through puma-ctl's own reader of spec files
  v1::Task Task(const std::string& name);       // "p/t"; an empty one when it does not exist
  bool WaitForState(const std::string& name, v1::TaskState state);
  absl::StatusOr<v1::InvokeCommandResponse> Call(const std::string& task, const std::string& command,
                                                 const std::map<std::string, google::protobuf::Value>& arguments = {});
  double Number(const std::string& task, const std::string& command);  // a command's result; -1: it failed
  int KillHost();                                                      // SIGKILL to puma-host, not to the shim; the pid that it had

 private:
  std::string directory_;
  std::vector<std::string> more_flags_;
  int shim_ = -1;
  std::unique_ptr<client::Client> client_;
};

google::protobuf::Value Of(const std::string& text);
google::protobuf::Value Of(double number);

}  // namespace puma::system_test
#endif  // PUMA_TESTS_SYSTEM_HOST_FIXTURE_H_
