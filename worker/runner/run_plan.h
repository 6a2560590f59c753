#ifndef PUMA_WORKER_RUNNER_RUN_PLAN_H_
#define PUMA_WORKER_RUNNER_RUN_PLAN_H_
// All that a run of a program's own runnable needs to know. A value that travels to a child process.
#include <puma/environment.h>
#include <puma/module.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/environment/orders.h"

namespace puma::runner {

struct Wire {
  std::string port;
  internal::BufferFacts buffer;
  uint64_t seat = 0;  // outputs
};

struct RunPlan {
  std::string name;
  Module::Factory factory = nullptr;
  std::map<std::string, std::string> params;  // JSON
  std::vector<Wire> inputs, outputs, passed;
  std::string declarations;             // of the parent's half
  std::vector<std::string> attributes;  // what its attributes give to the child's
  std::vector<Wire> facades;            // the buffer: of the proxy's requests
};

absl::StatusOr<std::string> Pack(const RunPlan& plan);   // INVALID_ARGUMENT: the factory lies in no object file
absl::StatusOr<RunPlan> Unpack(std::string_view bytes);  // NOT_FOUND: this process has no such factory

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_RUN_PLAN_H_
