// main of a test program: a child process of a ProcessEnvironment is this program again, and ends in Init.
#ifdef PUMA_TEST_MAIN_GMOCK
#include <gmock/gmock.h>
#else
#include <gtest/gtest.h>
#endif
#include <puma/environment.h>

int main(int argc, char** argv) {
  puma::Init(argc, argv);
#ifdef PUMA_TEST_MAIN_GMOCK
  ::testing::InitGoogleMock(&argc, argv);
#else
  ::testing::InitGoogleTest(&argc, argv);
#endif
  return RUN_ALL_TESTS();
}
