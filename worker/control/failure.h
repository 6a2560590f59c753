#ifndef PUMA_WORKER_CONTROL_FAILURE_H_
#define PUMA_WORKER_CONTROL_FAILURE_H_
// An error of a runnable as JSON: how it crosses from a worker to the host, in slots and results.
//   {"code": 3, "message": "...", "types": [...], "stack": [{"function","file","line","module","offset"}], "path": [...], "causes": [...],
//    "exit_code": 3, "signal": 9}  (the last two only of a program that ended so)
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/include/puma/status.h"

namespace puma::control {

// Texts, stack and causes are shortened until the JSON has at most that many bytes (no fewer than 1 KiB).
std::string FailureToJson(const Error& error, size_t at_most = SIZE_MAX);
// INVALID_ARGUMENT. Causes that are nested deeper than 16 are left out.
absl::StatusOr<Error> FailureFromJson(std::string_view json);

}  // namespace puma::control
#endif  // PUMA_WORKER_CONTROL_FAILURE_H_
