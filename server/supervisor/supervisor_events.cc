// What clients read of all that happened.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/supervisor/supervisor.h"

namespace puma::server {
namespace {

constexpr int kInfo = 9, kWarn = 13, kError = 17;

std::string Word(v1::TaskState state) { return std::string(absl::StripPrefix(v1::TaskState_Name(state), "TASK_STATE_")); }

v1::Event Make(v1::EventKind kind, const std::string& name, int severity, std::string message) {
  v1::Event event;
  event.set_kind(kind);
  event.set_name(name);
  event.set_severity(severity);
  event.set_message(std::move(message));
  return event;
}

int SeverityOf(v1::TaskState state) { return state == v1::TASK_STATE_FAILED ? kError : state == v1::TASK_STATE_BACKOFF ? kWarn : kInfo; }

}  // namespace

void Supervisor::TellState(const TaskRec& task, v1::TaskState earlier) {
  if (earlier == v1::TASK_STATE_UNSPECIFIED) return;  // it is new, or was adopted
  const v1::TaskState state = task.life.state;
  v1::Event event = Make(v1::EVENT_KIND_STATE, task.full_name, SeverityOf(state),
                         absl::StrCat(Word(earlier), " -> ", Word(state), task.life.reason.empty() ? "" : ": ", task.life.reason));
  event.set_run(task.life.run);
  event.set_state(state);
  event.set_earlier_state(earlier);
  events_.Add(std::move(event));
}

void Supervisor::TellGone(const TaskRec& task) {
  v1::Event event = Make(v1::EVENT_KIND_STATE, task.full_name, kInfo, "deleted");
  event.set_run(task.life.run);
  event.set_earlier_state(task.shown);
  events_.Add(std::move(event));
}

void Supervisor::TellExit(const TaskRec& task) {
  const v1::RunExit& exit = task.life.exit;
  const bool well = exit.cause() == v1::EXIT_CAUSE_COMPLETED || exit.cause() == v1::EXIT_CAUSE_STOPPED;
  v1::Event event = Make(v1::EVENT_KIND_RUN_ENDED, task.full_name, well ? kInfo : kWarn, exit.summary());
  event.set_run(exit.run());
  *event.mutable_exit() = exit;
  events_.Add(std::move(event));
}

void Supervisor::TellWish(const std::string& name, const std::string& what, const std::string& request_id) {
  v1::Event event = Make(v1::EVENT_KIND_WISH, name, kInfo, what);
  event.set_request_id(request_id);
  events_.Add(std::move(event));
}

void Supervisor::TellLetter(const TaskRec& task, const v1::DeadLetter& letter) {
  v1::Event event = Make(v1::EVENT_KIND_DEAD_LETTER, task.full_name, kError,
                         absl::StrCat(letter.name(), ": message ", letter.number(), " of ", letter.publisher(), " on input ", letter.port(),
                                      " was given up after ", letter.deliveries(), " deliveries: ", letter.cause().summary()));
  event.set_run(task.life.run);
  events_.Add(std::move(event));
}

void Supervisor::TellDistrust(const std::string& name, int64_t run, const std::string& what) {
  v1::Event event = Make(v1::EVENT_KIND_DISTRUST, name, kError, what);
  event.set_run(run);
  events_.Add(std::move(event));
}

void Supervisor::TellHost(const std::string& what) { events_.Add(Make(v1::EVENT_KIND_HOST, "host", kInfo, what)); }

}  // namespace puma::server
