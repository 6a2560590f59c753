// The barrier between "the tail is stored" and "who sleeps?", in two processes that were exec'd and have registered for membarriers, or
// have not, or may not: either the sleeper sees the tail, or the publisher the sleeper. A missing registration says nothing; it only loses
// wakes.
#include "tests/buffer/litmus.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "worker/platform/system.h"
#include "worker/platform/unique_fd.h"

namespace puma {
namespace {

using testing::Litmus;

class LitmusTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kRounds = 10000;

  LitmusTest() {
    bytes_ = testing::kRingAt + RingWriter::BytesNeeded(testing::LitmusRing(WakeMode::kAsymmetric)).value();
    fd_ = UniqueFd(::memfd_create("litmus", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(bytes_)), 0);
    at_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    EXPECT_NE(at_, MAP_FAILED);
    litmus_ = new (at_) Litmus;
    const char* rounds = getenv("PUMA_ROUNDS");
    litmus_->rounds = rounds != nullptr ? std::stoull(rounds) : kRounds;
    RegisterMembarrier();  // the peers must not live on their parent's registration
  }
  ~LitmusTest() override { ::munmap(at_, bytes_); }

  std::span<std::byte> ring() const { return {static_cast<std::byte*>(at_) + testing::kRingAt, bytes_ - testing::kRingAt}; }

  int Exec(const char* program, std::vector<const char*> words) {
    words.insert(words.begin(), program);
    words.push_back(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    if (::dup2(fd_.get(), testing::kLitmusFd) == testing::kLitmusFd && ::fcntl(testing::kLitmusFd, F_SETFD, 0) == 0)
      ::execv(program, const_cast<char* const*>(words.data()));
    ::_exit(127);
  }
  // Both to their ends. 0; 77: what the publisher was to do is not to be had here; else what went wrong.
  int Run(const char* publisher, std::vector<const char*> how, std::vector<const char*> sleeper = {"sleeper"}) {
    const int one = Exec(publisher, std::move(how)), other = Exec(PUMA_LITMUS_PEER, std::move(sleeper));
    int result = 0;
    for (int left = 2; left > 0; --left) {
      int status = 0;
      const pid_t ended = ::wait(&status);
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
      if (result == 0) result = code;
      const int waits = ended == one ? other : one;
      if (code != 0 && left == 2 && waits > 1) ::kill(waits, SIGKILL);
    }
    return result;
  }

  UniqueFd fd_;
  size_t bytes_ = 0;
  void* at_ = nullptr;
  Litmus* litmus_ = nullptr;
};

#define PUMA_LITMUS(...)                                   \
  const int result = Run(PUMA_LITMUS_PEER, {__VA_ARGS__}); \
  if (result == 77) GTEST_SKIP() << "not to be had here";  \
  ASSERT_EQ(result, 0);                                    \
  EXPECT_EQ(litmus_->over, 2 * litmus_->rounds);           \
  EXPECT_EQ(litmus_->lost, 0u) << "wakes were lost"

TEST_F(LitmusTest, NoWakeIsLostWhenAnAsymmetricPublisherIsRegistered) {
  PUMA_LITMUS("publisher", "create", "asymmetric", "registers");
  EXPECT_EQ(litmus_->asymmetric, 1u);
}

TEST_F(LitmusTest, NoWakeIsLostWhenAFencedPublisherIsNotRegistered) {
  PUMA_LITMUS("publisher", "create", "fenced", "silent");
  EXPECT_EQ(litmus_->registered, 0u);
}

TEST_F(LitmusTest, WhoMakesAnAsymmetricRingUnregisteredIsRegisteredThen) {
  if (!MembarrierRegistered()) GTEST_SKIP() << "not to be had here";
  PUMA_LITMUS("publisher", "create", "asymmetric", "silent");
  EXPECT_EQ(litmus_->asymmetric, 1u);
  EXPECT_EQ(litmus_->registered, 1u);
}

TEST_F(LitmusTest, WhoIsRefusedMakesAFencedRingInstead) {
  PUMA_LITMUS("publisher", "create", "asymmetric", "refused");
  EXPECT_EQ(litmus_->asymmetric, 0u);
  EXPECT_EQ(litmus_->registered, 0u);
}

TEST_F(LitmusTest, WhoGoesOnWithAnAsymmetricRingIsRegisteredThen) {
  if (!MembarrierRegistered()) GTEST_SKIP() << "not to be had here";
  ASSERT_TRUE(RingWriter::Create(ring(), testing::LitmusRing(WakeMode::kAsymmetric)).ok());
  PUMA_LITMUS("publisher", "resume", "asymmetric", "silent");
  EXPECT_EQ(litmus_->asymmetric, 1u);
  EXPECT_EQ(litmus_->registered, 1u);
}

TEST_F(LitmusTest, WhoIsRefusedAndGoesOnWithAnAsymmetricRingHasAFenceOfItsOwn) {
  if (!MembarrierRegistered()) GTEST_SKIP() << "not to be had here";
  ASSERT_TRUE(RingWriter::Create(ring(), testing::LitmusRing(WakeMode::kAsymmetric)).ok());
  PUMA_LITMUS("publisher", "resume", "asymmetric", "refused");
  EXPECT_EQ(litmus_->asymmetric, 1u) << "readers have copied the mode";
  EXPECT_EQ(litmus_->registered, 0u);
}

// What all this is for: an asymmetric publisher needs the sleeper's membarrier, and that its process is one of those that it reaches. How
// often wakes are lost without depends on the machine, so nothing is asked of it: it is counted and printed.
TEST_F(LitmusTest, WithoutTheSleepersMembarrierWakesAreLost) {
  const int result = Run(PUMA_LITMUS_PEER, {"publisher", "create", "asymmetric", "registers"}, {"sleeper", "fence"});
  if (result == 77) GTEST_SKIP() << "not to be had here";
  ASSERT_EQ(result, 0);
  printf("asymmetric, and only a fence in the sleeper: %lu of %lu wakes lost\n", litmus_->lost.load(), litmus_->rounds);
}

#ifdef PUMA_LITMUS_PEER_UNREGISTERED
TEST_F(LitmusTest, WithoutARegistrationWakesAreLost) {
  const int result = Run(PUMA_LITMUS_PEER_UNREGISTERED, {"publisher", "create", "asymmetric", "silent"});
  ASSERT_EQ(result, 0);
  EXPECT_EQ(litmus_->registered, 0u);
  printf("asymmetric, and the publisher not registered: %lu of %lu wakes lost\n", litmus_->lost.load(), litmus_->rounds);
}
#endif

}  // namespace
}  // namespace puma
