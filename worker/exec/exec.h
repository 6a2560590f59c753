#ifndef PUMA_WORKER_EXEC_EXEC_H_
#define PUMA_WORKER_EXEC_EXEC_H_
// puma.Exec: a task that is a program which knows nothing of PUMA. Clients name a command of the host's catalogue; what that is, the host
// says in parameters whose names begin with "@", which no client can give.
#include <puma/runnable.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/exec/program.h"
#include "worker/platform/unique_fd.h"

namespace puma::exec {

class Exec : public Runnable {
 public:
  explicit Exec(Setup& setup);

  // Commands.
  absl::Status Signal(std::string name);
  int Pid() const { return program_->pid(); }

 private:
  absl::Status OnStart() override;
  absl::Status Execute() override;
  absl::Status OnInput(const std::string& line);
  absl::Status OnInputEnd(const absl::Status& error);
  absl::Status WaitForInput();
  void PublishLines();  // on a thread of its own
  void PublishLine(std::string& line);
  absl::Status Judge(const ProgramEnd& end, bool asked) const;

  const std::string command_;
  ProgramSpec spec_;
  const int stop_signal_;
  const std::vector<int> success_codes_;
  const bool reads_, publishes_;
  Output<std::string> lines_;
  UniqueFd input_, output_;  // our ends of its standard input and output
  std::unique_ptr<Program> program_;
  uint64_t unpublished_ = 0;  // the publishing thread's, until it has ended
  absl::Status why_unpublished_;
};

}  // namespace puma::exec
#endif  // PUMA_WORKER_EXEC_EXEC_H_
