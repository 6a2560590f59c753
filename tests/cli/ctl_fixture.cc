#include "tests/cli/ctl_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <utility>

namespace puma::client {

Running::Running(const std::vector<std::string>& words, const std::string& program) {
  std::array<int, 2> out{}, err{};
  EXPECT_EQ(pipe(out.data()), 0);
  EXPECT_EQ(pipe(err.data()), 0);
  std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(out[1], 1);
    dup2(err[1], 2);
    for (int fd = 3; fd < 256; ++fd) close(fd);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  fds_ = {out[0], err[0]};
}

bool Running::ReadUntil(const std::string& text) {
  while (ran_.out.find(text) == std::string::npos) {
    if (!ReadSome()) return false;
  }
  return true;
}

void Running::Interrupt() {
  if (pid_ > 1) kill(pid_, SIGINT);
}

Ran Running::End() {
  while (ReadSome()) {
  }
  int status = 0;
  if (pid_ > 0) waitpid(pid_, &status, 0);
  ran_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return std::move(ran_);
}

bool Running::ReadSome() {
  std::array<pollfd, 2> polled = {pollfd{fds_[0], POLLIN, 0}, pollfd{fds_[1], POLLIN, 0}};
  if (fds_[0] < 0 && fds_[1] < 0) return false;
  poll(polled.data(), polled.size(), -1);
  for (size_t i = 0; i < 2; ++i) {
    if (fds_[i] < 0 || polled[i].revents == 0) continue;
    std::array<char, 4096> bytes;
    const ssize_t got = read(fds_[i], bytes.data(), bytes.size());
    if (got > 0) (i == 0 ? ran_.out : ran_.err).append(bytes.data(), static_cast<size_t>(got));
    if (got <= 0) close(std::exchange(fds_[i], -1));
  }
  return true;
}

CtlTest::CtlTest() {
  setenv("TZ", "UTC", 1);
  unsetenv("PUMA_HOST");
}

Ran CtlTest::Ctl(std::vector<std::string> words) {
  words.insert(words.begin(), {"--host", host_.target()});
  return Running(words).End();
}

std::string CtlTest::Write(const std::string& text) {
  const std::string path = host_.directory() + "/spec.yaml";
  std::ofstream(path) << text;
  return path;
}

}  // namespace puma::client
