// One task from the command line: a pipeline of its own that goes when the task has ended.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/logs.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

constexpr absl::Duration kNoEnd = absl::Hours(24 * 365);
constexpr absl::Duration kLogPatience = absl::Seconds(5);  // for records that never come: the reader was too slow for them

// Keeps SIGINT and SIGTERM from all threads that are made while it lives, and SIGPIPE from all.
class Interrupts {
 public:
  Interrupts() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    signal(SIGPIPE, SIG_IGN);
  }
  ~Interrupts() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  // A thread that makes calls of them, as long as it lives.
  std::jthread Listen(std::function<void(int signal)> interrupted) const {
    return std::jthread([signals = signals_, interrupted = std::move(interrupted)](const std::stop_token& stop) {
      const timespec wait{0, 50'000'000};
      while (!stop.stop_requested()) {
        if (const int signal = sigtimedwait(&signals, nullptr, &wait); signal > 0) interrupted(signal);
      }
    });
  }

 private:
  sigset_t signals_, before_;
};

// Prints the log of the task while it runs.
class LogPrinter {
 public:
  // `unread`: nobody reads standard output any more.
  LogPrinter(Client& host, const Output& output, const std::string& parent, std::function<void()> unread)
      : host_(host), output_(output), parent_(parent), unread_(std::move(unread)) {
    stream_ = host.TailLogs(Request(-1, true));
    thread_ = std::thread([this] { Print(); });
  }
  ~LogPrinter() {
    stream_->Cancel();
    thread_.join();
  }
  // Nothing is logged any more: waits until all of it has been printed.
  void Finish() {
    const auto last = LastRecord();
    std::unique_lock lock(mutex_);
    for (uint64_t seen = ~uint64_t{0}; last && seen != batches_;) {
      seen = batches_;
      const auto more = [&] { return printed_ == last || over_ || batches_ != seen; };
      if (changed_.wait_for(lock, absl::ToChronoNanoseconds(kLogPatience), more) && (printed_ == last || over_)) return;
    }
  }

 private:
  using Identity = std::tuple<int64_t, uint64_t, int64_t, std::string>;
  static Identity IdentityOf(const v1::LogRecord& record) {
    return {record.time_unix_nanos(), record.sequence(), record.tid(), record.message()};
  }
  v1::TailLogsRequest Request(int32_t history, bool follow) const {
    v1::TailLogsRequest request;
    request.set_parent(parent_);
    request.set_history(history);
    request.set_follow(follow);
    return request;
  }
  std::optional<Identity> LastRecord() {
    std::optional<Identity> last;
    const auto stream = host_.TailLogs(Request(1, false));
    for (;;) {
      const auto batch = stream->Next();
      if (!batch.ok() || !batch->has_value()) return last;
      if ((*batch)->records_size() > 0) last = IdentityOf(*(*batch)->records().rbegin());
    }
  }
  void Print() {
    for (;;) {
      const auto batch = stream_->Next();
      const bool more = batch.ok() && batch->has_value();
      if (more) PrintRun(output_, **batch);
      const bool read = output_.Flush();
      if (!read) unread_();
      const std::lock_guard lock(mutex_);
      over_ = !more || !read;
      ++batches_;
      if (more && (*batch)->records_size() > 0) printed_ = IdentityOf(*(*batch)->records().rbegin());
      changed_.notify_all();
      if (over_) return;
    }
  }

  Client& host_;
  const Output& output_;
  const std::string parent_;
  const std::function<void()> unread_;
  std::unique_ptr<Stream<v1::TailLogsResponse>> stream_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::optional<Identity> printed_;  // the last record
  uint64_t batches_ = 0;
  bool over_ = false;
  std::thread thread_;
};

std::string RandomName(const std::string& type) {
  std::random_device random;
  std::string name;
  for (const char c : type) name += absl::ascii_isalnum(c) ? absl::ascii_tolower(c) : '-';
  return absl::StrFormat("run-%s-%08x", name.substr(0, 40), random());
}

absl::StatusOr<v1::PipelineSpec> SpecOf(const RunArguments& arguments) {
  const size_t dot = arguments.type.find('.');
  if (dot == std::string::npos || dot == 0)
    return absl::InvalidArgumentError(absl::StrCat("\"", Escape(arguments.type), "\" is no type: write MODULE.TYPE, as edges.ImageLoader"));
  v1::PipelineSpec spec;
  spec.set_pipeline(arguments.name.empty() ? RandomName(arguments.type) : arguments.name);
  spec.add_modules(arguments.type.substr(0, dot));
  v1::TaskSpec& task = (*spec.mutable_tasks())["task"];
  task.set_type(arguments.type);
  task.mutable_restart()->set_policy(v1::RESTART_POLICY_NEVER);
  for (const std::string& text : arguments.values) {
    auto argument = ParseArgument(text);
    if (!argument.ok()) return argument.status();
    if (task.params().contains(argument->first))
      return absl::InvalidArgumentError(absl::StrCat("parameter ", Escape(argument->first), " is given twice"));
    (*task.mutable_params())[argument->first] = std::move(argument->second);
  }
  return spec;
}

// As a shell does: 128 and the signal for who was killed.
int CodeOf(const v1::Task& task) {
  const v1::RunExit& exit = task.status().last_exit();
  if (task.status().state() != v1::TASK_STATE_FAILED) return kDone;
  if (exit.signal() != 0) return 128 + exit.signal();
  return exit.code() != 0 ? exit.code() : static_cast<int>(kFailed);
}

absl::Status Delete(Client& host, const std::string& pipeline) {
  v1::DeletePipelineRequest request;
  request.set_name(pipeline);
  return host.DeletePipeline(request).status();
}

// It goes when the last process has ended and all that it has logged is in the log.
absl::Status WaitUntilGone(Client& host, const std::string& pipeline) {
  v1::GetPipelineRequest request;
  request.set_name(pipeline);
  for (;;) {
    const absl::Status status = host.GetPipeline(request).status();
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (!status.ok()) return status;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

}  // namespace

ExitCode RunTask(Session& session, const RunArguments& arguments) {
  const Output& output = session.output;
  const auto spec = SpecOf(arguments);
  if (!spec.ok()) return output.Error(spec.status()), kUsage;
  Interrupts interrupts;
  const auto connected = session.Host();
  if (!connected.ok()) return output.Error(connected.status());
  Client& host = **connected;

  const std::string pipeline = absl::StrCat("pipelines/", spec->pipeline()), task = absl::StrCat(pipeline, "/tasks/task");
  v1::GetPipelineRequest there;
  there.set_name(pipeline);
  if (host.GetPipeline(there).ok())
    return output.Error(absl::AlreadyExistsError(absl::StrCat("pipeline ", Escape(spec->pipeline()), " exists; choose another --name")));
  v1::ApplyPipelineRequest request;
  *request.mutable_spec() = *spec;
  if (const absl::Status applied = host.ApplyPipeline(request).status(); !applied.ok()) return output.Error(applied);

  std::stop_source give_up;
  std::atomic<int> interrupted{0};
  const auto stop = [&](int signal) {
    if (interrupted.exchange(signal) != 0) return give_up.request_stop(), void();
    if (signal != SIGPIPE) output.Words("stopping it; once more: without waiting for its end");
    v1::StopTaskRequest wish;
    wish.set_name(task);
    (void)host.StopTask(wish);
  };
  const std::jthread listening = interrupts.Listen(stop);
  absl::StatusOr<v1::WaitTaskResponse> ended;
  {
    LogPrinter printer(host, output, pipeline, [&] { stop(SIGPIPE); });
    v1::WaitTaskRequest wait;
    wait.set_name(task);
    ended = host.WaitTask(wait, {.deadline = absl::Now() + kNoEnd, .stop = give_up.get_token()});
    absl::Status deleted = Delete(host, pipeline);
    if (deleted.ok() && !give_up.stop_requested()) deleted = WaitUntilGone(host, pipeline);
    if (!deleted.ok() && !absl::IsNotFound(deleted)) (void)output.Error(deleted);
    if (!give_up.stop_requested()) printer.Finish();
  }
  if (interrupted != 0) return static_cast<ExitCode>(128 + interrupted);
  if (!ended.ok()) return output.Error(ended.status());
  const v1::Task& last = ended->task();
  const int code = CodeOf(last);
  if (code != kDone) (void)output.Error(absl::UnknownError(last.status().last_exit().summary()));
  return static_cast<ExitCode>(code);
}

}  // namespace puma::client
