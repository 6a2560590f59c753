// The tests' programs are their own workers.
#include <gtest/gtest.h>
#include <puma/environment.h>

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
