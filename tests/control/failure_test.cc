#include "worker/control/failure.h"

#include <gmock/gmock.h>

namespace puma::control {
namespace {

Error Nested(int depth) {
  Error error;
  error.code = absl::StatusCode::kAborted;
  error.message = "level " + std::to_string(depth);
  error.types = {"std::runtime_error", "std::exception"};
  error.stack = {{"/lib/edges.so", "Edge::Find", "edges.cc", 42, ~uint64_t{0}}};
  error.path = {"doors/detector.0", "doors/tally"};
  error.exit_code = 3;
  error.signal = 9;
  if (depth > 0) error.causes.push_back(Nested(depth - 1));
  return error;
}

TEST(Failure, ComesBackAsItWasWritten) {
  const auto back = FailureFromJson(FailureToJson(Nested(2)));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->code, absl::StatusCode::kAborted);
  EXPECT_EQ(back->message, "level 2");
  EXPECT_EQ(back->types.size(), 2u);
  EXPECT_EQ(back->path[1], "doors/tally");
  ASSERT_EQ(back->stack.size(), 1u);
  EXPECT_EQ(back->stack[0].function, "Edge::Find");
  EXPECT_EQ(back->stack[0].line, 42);
  EXPECT_EQ(back->stack[0].offset, ~uint64_t{0});
  ASSERT_EQ(back->causes.size(), 1u);
  EXPECT_EQ(back->causes[0].causes[0].message, "level 0");
  EXPECT_EQ(back->exit_code, 3);
  EXPECT_EQ(back->signal, 9);
}

TEST(Failure, IsShortenedUntilItFitsAndIsStillAFailure) {
  Error error = Nested(12);
  error.message = std::string(100'000, '"');
  for (int i = 0; i < 1000; ++i) error.stack.push_back({"module", std::string(500, 'f'), "file", i, 1});
  for (size_t at_most : {size_t{1024}, size_t{32 << 10}}) {
    const std::string json = FailureToJson(error, at_most);
    EXPECT_LE(json.size(), at_most);
    const auto back = FailureFromJson(json);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->code, absl::StatusCode::kAborted);
    EXPECT_FALSE(back->message.empty());
  }
}

TEST(Failure, OfAHostileWorkerIsTakenAsFarAsItMakesSense) {
  EXPECT_EQ(FailureFromJson("{\"code\":0}")->code, absl::StatusCode::kUnknown);
  EXPECT_EQ(FailureFromJson("{\"code\":4711,\"message\":7,\"stack\":[1,{\"line\":\"x\"}],\"causes\":{}}")->message, "");
  for (const char* text : {"", "nonsense", "[]", "null", "{\"code\":"}) EXPECT_FALSE(FailureFromJson(text).ok()) << text;
}

TEST(Failure, NestedForEverIsCut) {
  std::string json;
  for (int i = 0; i < 100'000; ++i) json += "{\"causes\":[";
  EXPECT_FALSE(FailureFromJson(json).ok());
  const auto deep = FailureFromJson(FailureToJson(Nested(100)));
  ASSERT_TRUE(deep.ok());
  int depth = 0;
  for (const Error* error = &*deep; !error->causes.empty(); error = &error->causes[0]) ++depth;
  EXPECT_EQ(depth, 16);
}

}  // namespace
}  // namespace puma::control
