#ifndef PUMA_TESTS_LOGGING_CHILD_PROCESS_H_
#define PUMA_TESTS_LOGGING_CHILD_PROCESS_H_
// Starts a program as the child of a hub: the descriptors are inherited, their numbers and the levels are its first arguments.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/logging/hub.h"

namespace puma::tests {

class ChildProcess {
 public:
  // Arguments of the program: ring, page, doorbell, name, levels, then `arguments`. Standard input is a pipe from the parent, standard
  // output one to it.
  ChildProcess(logging::Hub& hub, const std::string& program, const std::string& name, std::vector<std::string> arguments) : hub_(hub) {
    auto child = hub.AddChild(name);
    if (!child.ok()) return;
    token_ = child->token;
    std::vector<std::string> words = {program};
    for (int fd : child->descriptors.fds()) words.push_back(std::to_string(fd));
    words.push_back(name);
    words.push_back(logging::LevelsForChildren());
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
    to_.reset(in[1]);
    from_.reset(out[0]);
    const UniqueFd child_in(in[0]), child_out(out[1]);
    pid_ = fork();
    if (pid_ == 0) {
      for (int fd : child->descriptors.fds()) fcntl(fd, F_SETFD, 0);
      dup2(child_in.get(), 0);
      dup2(child_out.get(), 1);
      execv(program.c_str(), argv.data());
      _exit(127);
    }
  }
  ~ChildProcess() {
    if (pid_ > 1) Kill(), Wait();
  }
  bool ok() const { return pid_ > 1; }
  int pid() const { return pid_; }
  int to() const { return to_.get(); }
  int from() const { return from_.get(); }
  void Kill() const {
    if (pid_ > 1) ::kill(pid_, SIGKILL);
  }
  // Waits for the end and tells the hub. The status of waitpid.
  int Wait() {
    int status = -1;
    if (pid_ > 1) waitpid(std::exchange(pid_, -1), &status, 0);
    hub_.ChildEnded(token_);
    return status;
  }

 private:
  logging::Hub& hub_;
  uint64_t token_ = 0;
  int pid_ = -1;
  UniqueFd to_, from_;
};

}  // namespace puma::tests
#endif  // PUMA_TESTS_LOGGING_CHILD_PROCESS_H_
