#include "server/config/error_details.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace puma::server {
namespace {

template <class Detail>
std::string UrlOf() {
  return "type.googleapis.com/" + Detail::descriptor()->full_name();
}

template <class Detail>
absl::Status With(absl::Status status, const Detail& detail) {
  status.SetPayload(UrlOf<Detail>(), absl::Cord(detail.SerializeAsString()));
  return status;
}

template <class Detail>
Detail Of(const absl::Status& status) {
  Detail detail;
  if (auto bytes = status.GetPayload(UrlOf<Detail>()); bytes.has_value()) detail.ParseFromString(std::string(*bytes));
  return detail;
}

}  // namespace

void FieldViolations::Add(const std::string& field, const std::string& description) {
  google::rpc::BadRequest::FieldViolation& violation = *bad_.add_field_violations();
  violation.set_field(field);
  violation.set_description(description);
}

void FieldViolations::Add(const FieldViolations& others) { bad_.MergeFrom(others.bad_); }

absl::Status FieldViolations::ToStatus(const std::string& what) const {
  if (empty()) return absl::OkStatus();
  const int count = bad_.field_violations_size();
  std::string text = absl::StrCat(what, count == 1 ? ": 1 mistake" : absl::StrCat(": ", count, " mistakes"));
  for (const auto& violation : bad_.field_violations()) absl::StrAppend(&text, "\n  ", violation.field(), ": ", violation.description());
  return With(absl::InvalidArgumentError(text), bad_);
}

std::vector<google::rpc::BadRequest::FieldViolation> FieldViolationsOf(const absl::Status& status) {
  const auto bad = Of<google::rpc::BadRequest>(status);
  return {bad.field_violations().begin(), bad.field_violations().end()};
}

absl::Status WithErrorInfo(absl::Status status, const std::string& reason, const std::map<std::string, std::string>& metadata) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("puma");
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[key] = value;
  return With(std::move(status), info);
}

absl::Status WithRetryInfo(absl::Status status, absl::Duration delay) {
  google::rpc::RetryInfo info;
  const int64_t ns = absl::ToInt64Nanoseconds(delay);
  info.mutable_retry_delay()->set_seconds(ns / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
  return With(std::move(status), info);
}

absl::Status WithPreconditionFailure(absl::Status status, const std::string& type, const std::string& subject,
                                     const std::string& description) {
  auto failure = Of<google::rpc::PreconditionFailure>(status);
  google::rpc::PreconditionFailure::Violation& violation = *failure.add_violations();
  violation.set_type(type);
  violation.set_subject(subject);
  violation.set_description(description);
  return With(std::move(status), failure);
}

}  // namespace puma::server
