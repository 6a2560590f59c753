#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/config/module_catalogue.h"
#include "server/config/spec_checks.h"
#include "server/config/suggest.h"

namespace puma::server {
namespace {

constexpr uint32_t kMaxReplicas = 64, kMaxRestarts = 10'000;
constexpr double kMaxSpinNanos = 10e6;
constexpr int64_t kMaxSeconds = 365 * 24 * 3600;

// One task under the eye.
class TaskCheck {
 public:
  TaskCheck(const v1::PipelineSpec& spec, const std::string& name, const v1::TaskSpec& task, FieldViolations& wrong)
      : spec_(spec), task_(task), field_("tasks." + name), wrong_(wrong) {
    CheckName(field_, name, wrong);
  }

  void All() {
    Type();
    Enums();
    if (task_.replicas() > kMaxReplicas) Wrong("replicas", absl::StrCat(task_.replicas(), "; it must be 1 to ", kMaxReplicas));
    Durations();
    if (task_.restart().max_restarts() > kMaxRestarts) {
      Wrong("restart.max_restarts", absl::StrCat(task_.restart().max_restarts(), "; it must be 1 to ", kMaxRestarts));
    }
    if (const double cpu = task_.resources().cpu(); !std::isfinite(cpu) || cpu < 0)
      Wrong("resources.cpu", "it must be a number of processors above 0");
    Thread();
  }

 private:
  void Wrong(const std::string& field, const std::string& description) { wrong_.Add(absl::StrCat(field_, ".", field), description); }

  void Type() {
    const size_t dot = task_.type().find('.');
    const std::string module = task_.type().substr(0, dot), type = dot == std::string::npos ? "" : task_.type().substr(dot + 1);
    if (!IsIdentifier(module) || !IsIdentifier(type)) {
      return Wrong("type", absl::StrCat("\"", task_.type(), "\" is no type: write it as \"module.Type\""));
    }
    const std::vector<std::string> listed(spec_.modules().begin(), spec_.modules().end());
    if (std::find(listed.begin(), listed.end(), module) != listed.end()) return;
    const std::string near = Suggest(module, listed);
    Wrong("type", absl::StrCat("module \"", module, "\" is not in the list \"modules\"",
                               near.empty() ? "; add it there" : absl::StrCat("; did you mean \"", near, ".", type, "\"?")));
  }

  void Enums() {
    Known("placement", task_.placement(), v1::Placement_IsValid(task_.placement()));
    Known("log_level", task_.log_level(), v1::LogLevel_IsValid(task_.log_level()));
    Known("restart.policy", task_.restart().policy(), v1::RestartPolicy_IsValid(task_.restart().policy()));
    for (const std::string& port : KeysOf(task_.inputs())) {
      const v1::Join from = task_.inputs().at(port).from();
      Known(absl::StrCat("inputs.", port, ".from"), from, v1::Join_IsValid(from));
    }
    for (const std::string& other : KeysOf(task_.depends_on())) {
      const v1::Condition condition = task_.depends_on().at(other);
      Known("depends_on." + other, condition, v1::Condition_IsValid(condition));
    }
  }

  void Known(const std::string& field, int value, bool valid) {
    if (!valid) Wrong(field, absl::StrCat("unknown value ", value, "; the client may be newer than this host"));
  }

  void Durations() {
    Above("restart.within", task_.restart().within());
    Above("restart.backoff.initial", task_.restart().backoff().initial());
    Above("restart.backoff.max", task_.restart().backoff().max());
    Above("start_deadline", task_.start_deadline());
    if (task_.has_watchdog()) Above("watchdog", task_.watchdog());
    if (!Sane(task_.spin()) || Nanos(task_.spin()) > kMaxSpinNanos) Wrong("spin", "it must be 0 to 10ms: it burns a processor");
    NotBelow("stop.grace", task_.stop().grace());
    NotBelow("stop.term_grace", task_.stop().term_grace());
    if (Nanos(task_.restart().backoff().max()) < Nanos(task_.restart().backoff().initial())) {
      Wrong("restart.backoff.max", "it is shorter than restart.backoff.initial");
    }
  }

  static double Nanos(const google::protobuf::Duration& d) { return static_cast<double>(d.seconds()) * 1e9 + d.nanos(); }
  static bool Sane(const google::protobuf::Duration& d) {
    return d.seconds() >= 0 && d.seconds() <= kMaxSeconds && d.nanos() >= 0 && d.nanos() < 1'000'000'000;
  }

  void Above(const std::string& field, const google::protobuf::Duration& d) {
    if (!Sane(d) || Nanos(d) == 0) Wrong(field, "it must be above 0 and at most a year");
  }
  void NotBelow(const std::string& field, const google::protobuf::Duration& d) {
    if (!Sane(d)) Wrong(field, "it must be 0 to a year");
  }

  void Thread() {
    if (task_.placement() != v1::PLACEMENT_THREAD) return;
    const v1::ResourceSpec& r = task_.resources();
    const bool limited = r.memory().bytes() != 0 || r.cpu() != 0 || r.pids() != 0 || r.files() != 0;
    if (limited)
      Wrong("resources",
            "limits hold for a process; this task is a thread of its pipeline's group worker: use placement process, or leave them out");
    if (task_.has_watchdog()) Wrong("watchdog", "a thread can't be ended alone: use placement process, or leave it out");
  }

  const v1::PipelineSpec& spec_;
  const v1::TaskSpec& task_;
  const std::string field_;
  FieldViolations& wrong_;
};

}  // namespace

void CheckTask(const v1::PipelineSpec& spec, const std::string& name, const v1::TaskSpec& task, FieldViolations& wrong) {
  TaskCheck(spec, name, task, wrong).All();
}

}  // namespace puma::server
