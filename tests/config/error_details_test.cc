#include "server/config/error_details.h"

#include <gtest/gtest.h>

#include "absl/strings/cord.h"

namespace puma::server {
namespace {

template <class Detail>
Detail Of(const absl::Status& status, const std::string& name) {
  Detail detail;
  const auto bytes = status.GetPayload("type.googleapis.com/google.rpc." + name);
  EXPECT_TRUE(bytes.has_value() && detail.ParseFromString(std::string(*bytes)));
  return detail;
}

TEST(ErrorDetails, NoViolationIsOk) { EXPECT_TRUE(FieldViolations().ToStatus("x").ok()); }

TEST(ErrorDetails, TellsAllViolationsInTheMessageAndAsABadRequest) {
  FieldViolations wrong;
  wrong.Add("tasks.a.type", "unknown");
  wrong.Add("buffers.b", "no publisher");
  const absl::Status status = wrong.ToStatus("pipeline p");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(std::string(status.message()), "pipeline p: 2 mistakes\n  tasks.a.type: unknown\n  buffers.b: no publisher");
  const auto violations = FieldViolationsOf(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[1].field(), "buffers.b");
  EXPECT_TRUE(FieldViolationsOf(absl::InvalidArgumentError("plain")).empty());
}

TEST(ErrorDetails, AStatusCarriesSeveralKinds) {
  absl::Status status = WithErrorInfo(absl::FailedPreconditionError("p is being deleted"), "DELETING", {{"pipeline", "p"}});
  status = WithRetryInfo(status, absl::Milliseconds(1500));
  status = WithPreconditionFailure(status, "DELETING", "pipelines/p", "wait");
  status = WithPreconditionFailure(status, "BUSY", "pipelines/p", "wait more");
  const auto info = Of<google::rpc::ErrorInfo>(status, "ErrorInfo");
  EXPECT_EQ(info.reason(), "DELETING");
  EXPECT_EQ(info.domain(), "puma");
  EXPECT_EQ(info.metadata().at("pipeline"), "p");
  const auto retry = Of<google::rpc::RetryInfo>(status, "RetryInfo");
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(Of<google::rpc::PreconditionFailure>(status, "PreconditionFailure").violations_size(), 2);
  EXPECT_EQ(std::string(status.message()), "p is being deleted");
}

// The public wire format, byte by byte.
TEST(ErrorDetails, HasTheFieldNumbersOfThePublicFormat) {
  FieldViolations wrong;
  wrong.Add("f", "d");
  const auto bytes = wrong.ToStatus("x").GetPayload("type.googleapis.com/google.rpc.BadRequest");
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(std::string(*bytes), (std::string{'\x0a', '\x06', '\x0a', '\x01', 'f', '\x12', '\x01', 'd'}));
}

}  // namespace
}  // namespace puma::server
