#ifndef PUMA_CLIENT_CLI_WAIT_H_
#define PUMA_CLIENT_CLI_WAIT_H_
// Waiting for a state of one task, or of all tasks of a pipeline.
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "client/cli/commands.h"
#include "puma/v1/services.pb.h"

namespace puma::client {

// A task that must come, and from which generation on its state counts (its state before an apply would mislead).
using Expected = std::map<std::string, int64_t>;

// What was waited for, on which tasks, and what has been seen. A value without gRPC.
class Awaited {
 public:
  // `name` is a task or a pipeline. `condition`: running, succeeded, stopped, failed, deleted.
  Awaited(std::string name, std::string condition, Expected expected = {});
  void Observe(const v1::TaskEvent& event);
  // True: reached. An error: it can't be reached any more, or there is no such task.
  absl::StatusOr<bool> Reached() const;
  // "3 of 4 running"
  std::string Progress() const;

 private:
  bool Concerns(const std::string& task) const;
  enum class Verdict { kYes, kNotYet, kNever };
  Verdict VerdictOn(const v1::Task& task) const;

  const std::string name_, condition_;
  const Expected expected_;
  bool snapshot_ = false;
  std::map<std::string, v1::Task> tasks_;
  std::set<std::string> gone_;
};

// Watches until it is reached. DEADLINE_EXCEEDED, or what made it impossible.
absl::Status WaitFor(Client& host, const Output& output, const std::string& name, const std::string& condition, const Expected& expected,
                     absl::Duration timeout);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_WAIT_H_
