#include "worker/examples/edges/rate.h"

#include <gtest/gtest.h>

namespace edges {
namespace {

TEST(Rate, IsANumberOfFramesASecond) {
  EXPECT_EQ(*ParseRate("4Hz"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseRate("4"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseRate("0.5Hz"), absl::Seconds(2));
}

TEST(Rate, ZeroIsAsFastAsTheyAreTaken) { EXPECT_EQ(*ParseRate("0"), absl::ZeroDuration()); }

TEST(Rate, AnythingElseIsRefusedWithAnExample) {
  for (const char* text : {"", "Hz", "fast", "-1", "30 kHz", "nan", "inf"}) {
    const auto rate = ParseRate(text);
    EXPECT_EQ(rate.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(std::string(rate.status().message()).find("30Hz"), std::string::npos) << rate.status();
  }
}

}  // namespace
}  // namespace edges
