#include "worker/platform/signal_name.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace puma {
namespace {

TEST(SignalName, IsWhatPeopleWrite) {
  EXPECT_EQ(SignalName(SIGTERM), "SIGTERM");
  EXPECT_EQ(SignalName(SIGUSR1), "SIGUSR1");
  EXPECT_EQ(SignalName(0), "signal 0");
  EXPECT_EQ(SignalName(40), "signal 40");
}

TEST(SignalName, LeadsBackWithAndWithoutItsPrefix) {
  for (const int signal : {SIGHUP, SIGINT, SIGKILL, SIGUSR2, SIGWINCH}) {
    EXPECT_EQ(SignalNumber(SignalName(signal)), signal);
    EXPECT_EQ(SignalNumber(SignalName(signal).substr(3)), signal);
  }
  for (const char* name : {"", "SIG", "9", "term", "SIGSIGTERM", "SIGNOTHING"}) EXPECT_EQ(SignalNumber(name), 0) << name;
}

}  // namespace
}  // namespace puma
