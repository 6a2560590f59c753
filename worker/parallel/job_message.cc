#include "worker/parallel/job_message.h"

#include "worker/environment/code_address.h"
#include "worker/environment/error_text.h"
#include "worker/platform/bytes.h"
#include "worker/runnable/value_bytes.h"

namespace puma::internal {
namespace {

constexpr size_t kErrorText = 64 << 10;

}  // namespace

absl::StatusOr<std::string> AddressText(JobFunction function) {
  auto address = AddressOf(reinterpret_cast<const void*>(function));
  if (!address.ok()) return address.status();
  ByteWriter to;
  to.PutText(address->object).PutText(address->build_id).Put(address->offset);
  return to.Take();
}

absl::StatusOr<JobFunction> FunctionAt(std::string_view text) {
  ByteReader from(text);
  CodeAddress address;
  address.object = from.GetText();
  address.build_id = from.GetText();
  address.offset = from.Get<uint64_t>();
  auto code = CodeAt(address);
  if (!code.ok()) return code.status();
  return reinterpret_cast<JobFunction>(*code);
}

std::string PackJob(uint64_t job, std::string_view address, const std::vector<Value>& arguments) {
  ByteWriter to;
  to.Put(job).PutText(address).Put(static_cast<uint64_t>(arguments.size()));
  for (const Value& argument : arguments) PackValue(argument, to);
  return to.Take();
}

std::string PackReport(const JobReport& report) {
  ByteWriter to;
  to.Put(report.job).Put(report.worker).Put(report.result.ok());
  if (report.result.ok()) {
    PackValue(*report.result, to);
  } else {
    to.PutText(TextOfError(report.result.status(), kErrorText));
  }
  return to.Take();
}

JobReport UnpackReport(std::string_view bytes) {
  ByteReader from(bytes);
  JobReport report;
  report.job = from.Get<uint64_t>();
  report.worker = from.Get<int>();
  if (from.Get<bool>()) {
    report.result = UnpackValue(from);
  } else {
    report.result = ErrorFromText(from.GetText());
  }
  return report;
}

}  // namespace puma::internal
