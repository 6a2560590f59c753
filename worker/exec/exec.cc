#include "worker/exec/exec.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <puma/module.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include "worker/platform/signal_name.h"
#include "worker/platform/system.h"

namespace puma::exec {
namespace {

using Texts = std::vector<std::string>;
using TextByName = std::map<std::string, std::string>;

constexpr size_t kMaxLine = 1 << 20;        // a longer one is published in pieces
constexpr int kLookAtCommandsEveryMs = 20;  // while the program does not read its input

// {ours, the program's}.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> Pipe(bool we_write) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "a pipe to the program");
  UniqueFd ours(ends[we_write ? 1 : 0]), its(ends[we_write ? 0 : 1]);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  return std::pair(std::move(ours), std::move(its));
}

}  // namespace

Exec::Exec(Setup& setup)
    : command_(setup.RequiredParam<std::string>("command", "which of the host's commands (puma-host --commands)")),
      stop_signal_(setup.Param("@stop_signal", SIGTERM, "")),
      success_codes_(setup.Param("@success_codes", std::vector<int>{0}, "")),
      reads_(setup.Connected("stdin")),
      publishes_(setup.Connected("stdout")),
      lines_(setup.Output<std::string>(
          "stdout", {.optional = true, .help = "the lines of its standard output; not connected: they go to the log, as its errors do"})) {
  setup.Param("args", Texts{}, "further arguments, if the command takes any");
  setup.Param("environment", TextByName{}, "variables for its environment, of those that the command takes");
  spec_.path = setup.Param("@program", "", "");
  spec_.arguments = setup.Param("@args", Texts{}, "");
  spec_.environment = setup.Param("@environment", TextByName{}, "");
  spec_.directory = setup.Param("@working_directory", "", "");
  setup.Input("stdin", &Exec::OnInput, &Exec::OnInputEnd,
              {.optional = true, .help = "lines for its standard input, which ends when the buffer completes; not connected: it has none"});
  setup.Command("signal", &Exec::Signal, {"name"}, "sends it a signal, as HUP or SIGUSR1");
  setup.Command("pid", &Exec::Pid, "its process");
}

absl::Status Exec::Signal(std::string name) {
  const int number = SignalNumber(name);
  if (number == 0) return absl::InvalidArgumentError(fmt::format("\"{}\" is no signal: write it as HUP or SIGUSR1", name));
  return program_->Signal(number);
}

// ---- its life
// ----------------------------------------------------------------------------------------------------------------------------

absl::Status Exec::OnStart() {
  if (spec_.path.empty()) return absl::FailedPreconditionError("only a host with a catalogue of commands starts puma.Exec");
  ::signal(SIGPIPE, SIG_IGN);  // of an input that it does not read; the program itself has the default
  UniqueFd its_input, its_output;
  if (reads_) {
    PUMA_ASSIGN_OR_RETURN(auto pipe, Pipe(true));
    std::tie(input_, its_input) = std::move(pipe);
  }
  if (publishes_) {
    PUMA_ASSIGN_OR_RETURN(auto pipe, Pipe(false));
    std::tie(output_, its_output) = std::move(pipe);
  }
  spec_.input = its_input.get();
  spec_.output = its_output.get();
  PUMA_ASSIGN_OR_RETURN(program_, Program::Start(spec_, [this] { EndService(); }));
  log().info("command \"{}\": {} is process {}", command_, spec_.path, program_->pid());
  return absl::OkStatus();
}

absl::Status Exec::Execute() {
  std::thread publisher;
  if (publishes_) publisher = std::thread([this] { PublishLines(); });
  absl::Status status = Service();
  while (status.ok() && !program_->ended() && WaitForCommands(absl::InfiniteDuration())) {
  }
  const bool asked = !program_->ended();
  const bool failed = !status.ok() && !absl::IsCancelled(status);
  if (asked) (void)program_->SignalGroup(failed ? SIGKILL : stop_signal_);
  const ProgramEnd end = program_->Wait();
  if (publisher.joinable()) publisher.join();
  if (unpublished_ != 0) log().warn("{} lines were not published: {}", unpublished_, std::string(why_unpublished_.message()));
  return failed ? status : Judge(end, asked);
}

// Who is asked to stop may say so with its end.
absl::Status Exec::Judge(const ProgramEnd& end, bool asked) const {
  if (asked && (end.signal == stop_signal_ || end.code == 128 + stop_signal_)) return absl::OkStatus();
  Error error{.code = absl::StatusCode::kAborted, .exit_code = end.signal != 0 ? 0 : end.code, .signal = end.signal};
  if (end.signal != 0) {
    error.message =
        fmt::format("command \"{}\" was killed by {}{}", command_, SignalName(end.signal), end.core_dumped ? " (core dumped)" : "");
    return ToStatus(error);
  }
  if (std::find(success_codes_.begin(), success_codes_.end(), end.code) != success_codes_.end()) return absl::OkStatus();
  error.message = fmt::format("command \"{}\" exited with code {}", command_, end.code);
  return ToStatus(error);
}

// ---- its input
// ---------------------------------------------------------------------------------------------------------------------------

// A line that was not written as a whole comes again in the next run. CANCELLED: the program has ended, or is to.
absl::Status Exec::OnInput(const std::string& line) {
  const std::string text = line + "\n";
  for (std::string_view left = text; !left.empty();) {
    const ssize_t written = input_.valid() ? ::write(input_.get(), left.data(), left.size()) : -1;
    if (written > 0) {
      left.remove_prefix(static_cast<size_t>(written));
      continue;
    }
    if (input_.valid() && errno == EINTR) continue;
    if (input_.valid() && errno != EAGAIN) input_.reset();  // it has closed it: nothing is read any more until it ends
    if (absl::Status status = WaitForInput(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Until it reads, or for a while.
absl::Status Exec::WaitForInput() {
  pollfd polled[] = {{input_.get(), POLLOUT, 0}, {program_->pidfd(), POLLIN, 0}};  // a negative one is not looked at
  ::poll(polled, 2, kLookAtCommandsEveryMs);
  if (program_->ended() || !PollCommands()) return absl::CancelledError("the program reads no more");
  return absl::OkStatus();
}

absl::Status Exec::OnInputEnd(const absl::Status& error) {
  input_.reset();
  return error;
}

// ---- its output
// --------------------------------------------------------------------------------------------------------------------------

void Exec::PublishLines() {
  NameThread("puma-stdout");
  std::string line;
  char bytes[16 << 10];
  while (true) {
    pollfd polled[] = {{output_.get(), POLLIN, 0}, {program_->pidfd(), POLLIN, 0}};
    ::poll(polled, 2, -1);
    const bool ended = polled[1].revents != 0;  // seen before the read: what it had written is there
    const ssize_t got = ::read(output_.get(), bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (got < 0 && (ended || errno != EAGAIN))) break;
    for (std::string_view left(bytes, got < 0 ? 0 : static_cast<size_t>(got)); !left.empty();) {
      const size_t end = left.find('\n');
      line += left.substr(0, end);
      if (end != std::string_view::npos || line.size() >= kMaxLine) PublishLine(line);
      left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
    }
  }
  if (!line.empty()) PublishLine(line);
}

// Blocks while the buffer is full, and so the program. Once a stop is asked for nothing waits: what has no room is counted.
void Exec::PublishLine(std::string& line) {
  absl::Status status = lines_.PublishValue(line);
  line.clear();
  if (status.ok()) return;
  ++unpublished_;
  why_unpublished_ = std::move(status);
}

}  // namespace puma::exec

PUMA_MODULE(puma) { module.Add<puma::exec::Exec>("Exec"); }
