#include "server/telemetry/severity.h"

#include <gtest/gtest.h>

namespace puma::server {
namespace {

TEST(Severity, IsOpenTelemetrysNumber) {
  EXPECT_EQ(SeverityOfLevel(0), 1);
  EXPECT_EQ(SeverityOfLevel(2), 9);
  EXPECT_EQ(SeverityOfLevel(4), 17);
  EXPECT_EQ(SeverityOfLevel(99), 17);
  EXPECT_EQ(SeverityOfLogLevel(v1::LOG_LEVEL_UNSPECIFIED), 0);
  EXPECT_EQ(SeverityOfLogLevel(v1::LOG_LEVEL_WARN), 13);
}

TEST(Severity, GoesThereAndBack) {
  for (int level = 0; level < 5; ++level) {
    EXPECT_EQ(LevelOfSeverity(SeverityOfLevel(level)), level);
    EXPECT_EQ(SeverityOfName(SeverityName(SeverityOfLevel(level))), SeverityOfLevel(level));
  }
  EXPECT_EQ(LevelOfSeverity(12), 2);
  EXPECT_EQ(LevelOfSeverity(24), 4);
  EXPECT_EQ(LevelOfSeverity(0), 0);
}

}  // namespace
}  // namespace puma::server
