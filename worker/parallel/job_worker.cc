// A worker of a pool or an executor: a runnable whose input are jobs.
#include <fmt/format.h>
#include <puma/parallel.h>

#include <map>
#include <string>
#include <utility>

#include "worker/parallel/job_message.h"
#include "worker/platform/bytes.h"
#include "worker/runnable/door.h"
#include "worker/runnable/value_bytes.h"

namespace puma::internal {

// Where functions lie that it has been given once.
struct JobWorker::Known {
  std::map<std::string, JobFunction, std::less<>> functions;
};

JobWorker::JobWorker(Setup& setup)
    : known_(std::make_unique<Known>()),
      worker_(setup.RequiredParam<int>("worker", "its number")),
      reports_(setup.Output<std::string>("reports")) {
  setup.Input("jobs", &JobWorker::OnJob);
}
JobWorker::~JobWorker() = default;

absl::StatusOr<Value> JobWorker::RunJob(std::string_view packed, uint64_t& id) {
  ByteReader from(packed);
  id = from.Get<uint64_t>();
  const std::string_view address = from.GetText();
  std::vector<Value> arguments;
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) arguments.push_back(UnpackValue(from));
  if (!from.ok()) return absl::DataLossError("a job that ends too early");
  auto known = known_->functions.find(address);
  if (known == known_->functions.end()) {
    auto function = FunctionAt(address);
    if (!function.ok()) return function.status();
    known = known_->functions.emplace(std::string(address), *function).first;
  }
  return ThroughDoor([&] { return known->second(arguments); });
}

// Its own failure is the job's: the worker goes on.
absl::Status JobWorker::OnJob(const std::string& packed) {
  JobReport report;
  report.worker = worker_;
  report.result = RunJob(packed, report.job);
  if (report.result.ok()) {
    absl::Status collected = Collect(*report.result);
    if (absl::IsCancelled(collected)) return collected;  // it is being stopped
    if (!collected.ok()) report.result = std::move(collected);
  }
  if (!report.result.ok()) {
    Error error = ErrorOf(report.result.status());
    if (error.path.empty() || error.path.back() != name()) error.path.push_back(name());
    report.result = ToStatus(error);
  }
  absl::Status told = reports_.PublishValue(PackReport(report), kInfinite, OnFull::kError);
  if (!absl::IsInvalidArgument(told)) return told;
  report.result =
      absl::ResourceExhaustedError(fmt::format("\"{}\": the job's result is too large: {}", name(), std::string(told.message())));
  return reports_.PublishValue(PackReport(report), kInfinite, OnFull::kError);
}

}  // namespace puma::internal
