#ifndef PUMA_TESTS_BUFFER_SINGLE_STEP_H_
#define PUMA_TESTS_BUFFER_SINGLE_STEP_H_
// Runs a part of the protocol in a child, one instruction at a time, and shows the memory that it shares after each instruction that has
// changed it: what others would find if it were killed there.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace puma::testing {

// Zeroed memory that a forked child shares with us.
class SharedMemory {
 public:
  explicit SharedMemory(size_t bytes) : bytes_(bytes) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) abort();
    data_ = static_cast<std::byte*>(at);
  }
  ~SharedMemory() { ::munmap(data_, bytes_); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  std::span<std::byte> span() const { return {data_, bytes_}; }
  template <typename T>
  T& as(size_t offset = 0) const {
    return *reinterpret_cast<T*>(data_ + offset);
  }

 private:
  size_t bytes_;
  std::byte* data_;
};

struct Stepped {
  uint64_t instructions = 0, images = 0;  // images: that differ from each other
};

class SingleStep {
 public:
  // `child` runs in a forked process; `look` is called here after each instruction that changed `watched`, while the child stands still.
  static Stepped Run(std::span<const std::byte> watched, const std::function<void()>& child, const std::function<void()>& look) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      ::raise(SIGSTOP);
      child();
      ::_exit(0);
    }
    EXPECT_GT(pid, 1);
    Stepped stepped;
    std::vector<std::byte> last(watched.begin(), watched.end());
    std::set<size_t> seen;
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    while (WIFSTOPPED(status)) {
      if (memcmp(last.data(), watched.data(), watched.size()) != 0 || stepped.instructions == 0) {
        memcpy(last.data(), watched.data(), watched.size());
        const std::string_view bytes(reinterpret_cast<const char*>(last.data()), last.size());
        if (seen.insert(std::hash<std::string_view>()(bytes)).second) look();
      }
      ++stepped.instructions;
      const int signal = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);
      if (::ptrace(PTRACE_SINGLESTEP, pid, nullptr, signal) != 0 || ::waitpid(pid, &status, 0) != pid) break;
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child did not end well: " << status;
    stepped.images = seen.size();
    return stepped;
  }
};

}  // namespace puma::testing
#endif  // PUMA_TESTS_BUFFER_SINGLE_STEP_H_
