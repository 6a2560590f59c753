#ifndef PUMA_WORKER_PARALLEL_JOB_MESSAGE_H_
#define PUMA_WORKER_PARALLEL_JOB_MESSAGE_H_
// What the owner of workers and the workers say to each other, each in a buffer: jobs, and reports of jobs that are done.
#include <puma/parallel.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace puma::internal {

inline constexpr size_t kJobLane = 8 << 20;  // bytes of one worker's jobs, or reports: the largest is half of it
inline constexpr size_t kJobsOfOne = 16;     // there is one at a time; room so that none waits for a position to be stored

struct JobReport {
  uint64_t job = 0;
  int worker = 0;
  absl::StatusOr<Value> result = Value();
};

// A job is its number, where its function lies, its arguments.
absl::StatusOr<std::string> AddressText(JobFunction function);  // INVALID_ARGUMENT: it lies in no object file
absl::StatusOr<JobFunction> FunctionAt(std::string_view address);
std::string PackJob(uint64_t job, std::string_view address, const std::vector<Value>& arguments);

std::string PackReport(const JobReport& report);
JobReport UnpackReport(std::string_view bytes);

}  // namespace puma::internal
#endif  // PUMA_WORKER_PARALLEL_JOB_MESSAGE_H_
