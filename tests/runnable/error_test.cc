#include <gmock/gmock.h>
#include <puma/codec.h>
#include <puma/status.h>

#include <stdexcept>
#include <thread>

#include "tests/runnable/throw_stacks.h"
#include "worker/runnable/door.h"
#include "worker/runnable/stack.h"

namespace puma {
namespace {

using internal::ThroughDoor;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Mine : std::runtime_error {
  using std::runtime_error::runtime_error;
};

__attribute__((noinline)) absl::Status ThrowsDeepInside() { throw Mine("deep"); }
__attribute__((noinline)) absl::Status MakesAStatus() { return NotFound("no file"); }
absl::Status HandsOn() {
  PUMA_RETURN_IF_ERROR(MakesAStatus());
  return absl::OkStatus();
}
absl::StatusOr<int> HandsOnAValue() {
  PUMA_ASSIGN_OR_RETURN(int v, absl::StatusOr<int>(MakesAStatus()));
  return v;
}

std::string Functions(const Error& error) {
  std::string all;
  for (const Frame& f : error.stack) all += f.function + "\n";
  return all;
}

TEST(ErrorTest, AnExceptionTellsItsTypesAndItsThrow) {
  if (!testing::kThrowsHaveStacks) GTEST_SKIP() << "no stack of throws under a sanitizer";
  const Error e = ErrorOf(ThroughDoor(ThrowsDeepInside));
  EXPECT_EQ(e.message, "deep");
  EXPECT_THAT(e.types, Contains("std::runtime_error"));
  EXPECT_THAT(e.types, Contains("std::exception"));
  EXPECT_THAT(e.types.front(), HasSubstr("Mine"));
  EXPECT_THAT(Functions(e), HasSubstr("ThrowsDeepInside"));
  EXPECT_NE(e.stack.front().offset, 0u);
}

TEST(ErrorTest, ARethrowKeepsTheFirstStackAndAWrapAddsACause) {
  if (!testing::kThrowsHaveStacks) GTEST_SKIP() << "no stack of throws under a sanitizer";
  const absl::Status s = ThroughDoor([]() -> absl::Status {
    try {
      return ThrowsDeepInside();
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  });
  const Error e = ErrorOf(s);
  EXPECT_EQ(e.message, "outer");
  ASSERT_EQ(e.causes.size(), 1u);
  EXPECT_EQ(e.causes[0].message, "deep");
  EXPECT_THAT(Functions(e.causes[0]), HasSubstr("ThrowsDeepInside"));
  const Error again = ErrorOf(ThroughDoor([]() -> absl::Status {
    try {
      return ThrowsDeepInside();
    } catch (...) {
      throw;
    }
  }));
  EXPECT_THAT(Functions(again), HasSubstr("ThrowsDeepInside"));
}

TEST(ErrorTest, AnExceptionOfAnotherThreadKeepsItsStack) {
  if (!testing::kThrowsHaveStacks) GTEST_SKIP() << "no stack of throws under a sanitizer";
  std::exception_ptr caught;
  std::thread([&] {
    try {
      (void)ThrowsDeepInside();
    } catch (...) {
      caught = std::current_exception();
    }
  }).join();
  const Error e = ErrorOf(ThroughDoor([&]() -> absl::Status { std::rethrow_exception(caught); }));
  EXPECT_THAT(Functions(e), HasSubstr("ThrowsDeepInside"));
}

TEST(ErrorTest, CodesFollowTheKindOfTheException) {
  EXPECT_TRUE(absl::IsInvalidArgument(ThroughDoor([]() -> absl::Status { throw std::invalid_argument("x"); })));
  EXPECT_TRUE(absl::IsOutOfRange(ThroughDoor([]() -> absl::Status { throw std::out_of_range("x"); })));
  EXPECT_TRUE(absl::IsResourceExhausted(ThroughDoor([]() -> absl::Status { throw std::bad_alloc(); })));
  EXPECT_TRUE(absl::IsUnknown(ThroughDoor([]() -> absl::Status { throw 42; })));
  EXPECT_EQ(ThroughDoor([]() -> absl::Status { throw "text"; }).message(), "text");
  EXPECT_TRUE(absl::IsNotFound(ThroughDoor([]() -> absl::Status { Throw(absl::NotFoundError("x")); })));
}

TEST(ErrorTest, AStatusKnowsItsPlaceAndEachHop) {
  const Error e = ErrorOf(HandsOn());
  EXPECT_EQ(e.code, absl::StatusCode::kNotFound);
  EXPECT_THAT(e.stack.front().file, HasSubstr("error_test.cc"));
  EXPECT_EQ(e.stack.front().function, "MakesAStatus");
  EXPECT_THAT(e.stack.back().file, HasSubstr("error_test.cc"));
  EXPECT_EQ(e.stack.back().function, "HandsOn");
  EXPECT_EQ(ErrorOf(HandsOnAValue().status()).stack.back().function, "HandsOnAValue");
}

TEST(ErrorTest, GoesThroughAStatusAndBack) {
  Error e;
  e.code = absl::StatusCode::kAborted;
  e.message = "m";
  e.types = {"A", "B"};
  e.path = {"one", "two"};
  e.stack.push_back({"mod.so", "f()", "f.cc", 7, 99});
  e.exit_code = 3;
  e.signal = 9;
  e.causes.resize(1);
  e.causes[0].message = "inner";
  const absl::Status s = ToStatus(e);
  EXPECT_TRUE(IsError(s, "B"));
  EXPECT_FALSE(IsError(s, "C"));
  const Error back = ErrorOf(s);
  EXPECT_EQ(back.code, e.code);
  EXPECT_EQ(back.types, e.types);
  EXPECT_EQ(back.path, e.path);
  EXPECT_EQ(back.exit_code, 3);
  EXPECT_EQ(back.signal, 9);
  ASSERT_EQ(back.stack.size(), 1u);
  EXPECT_EQ(back.stack[0].function, "f()");
  EXPECT_EQ(back.stack[0].offset, 99u);
  EXPECT_EQ(back.causes[0].message, "inner");
  EXPECT_THAT(Explain(s), HasSubstr("A: m"));
  EXPECT_THAT(Explain(s), HasSubstr("through one, two"));
  EXPECT_THAT(Explain(s), HasSubstr("f() (f.cc:7)"));
  EXPECT_THAT(Explain(s), HasSubstr("caused by"));
}

TEST(ErrorTest, APlainStatusIsAnErrorToo) {
  const Error e = ErrorOf(absl::NotFoundError("x"));
  EXPECT_EQ(e.code, absl::StatusCode::kNotFound);
  EXPECT_EQ(e.message, "x");
  EXPECT_TRUE(e.types.empty());
  EXPECT_TRUE(ToStatus(Error{absl::StatusCode::kOk, "", {}, {}, {}, {}}).ok());
}

TEST(ErrorTest, HiddenFunctionsGetTheirNamesFromTheFile) {
  const Frame f = internal::Symbolise(reinterpret_cast<uintptr_t>(&ThrowsDeepInside));
  EXPECT_THAT(f.function, HasSubstr("ThrowsDeepInside"));
  EXPECT_EQ(internal::FunctionInFile("/dev/null", 5), "");
  EXPECT_EQ(internal::FunctionInFile("/no/such/file", 5), "");
}

TEST(TimeoutTest, DurationsAreAboveZero) {
  EXPECT_FALSE(Timeout(absl::ZeroDuration()).valid());
  EXPECT_FALSE(Timeout(-absl::Seconds(1)).valid());
  EXPECT_TRUE(Timeout(absl::Nanoseconds(1)).valid());
  EXPECT_TRUE(kNoWait.valid());
  EXPECT_TRUE(kInfinite.valid());
  EXPECT_TRUE(kAsSpec.as_spec());
}

}  // namespace
}  // namespace puma
