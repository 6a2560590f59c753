#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/config/spec_checks.h"
#include "server/config/suggest.h"

namespace puma::server {
namespace {

template <class Ports>
void CheckPorts(const std::string& field, const Ports& ports, const v1::PipelineSpec& spec, FieldViolations& wrong) {
  for (const std::string& port : KeysOf(ports)) {
    const std::string& buffer = BufferOf(ports.at(port));
    if (port.empty()) wrong.Add(field, "a port has a name");
    if (!spec.buffers().contains(buffer)) {
      wrong.Add(absl::StrCat(field, ".", port),
                absl::StrCat("unknown buffer \"", buffer, "\"", DidYouMean(buffer, KeysOf(spec.buffers()))));
    }
  }
}

// A subscription is one per task and buffer.
void CheckReadOnce(const std::string& field, const v1::TaskSpec& task, FieldViolations& wrong) {
  std::map<std::string, std::string> port_of;
  for (const std::string& port : KeysOf(task.inputs())) {
    const auto [first, is_new] = port_of.try_emplace(task.inputs().at(port).buffer(), port);
    if (!is_new)
      wrong.Add(absl::StrCat(field, ".inputs.", port), absl::StrCat("input \"", first->second, "\" reads buffer \"", first->first,
                                                                    "\" already; one input of a task reads a buffer"));
  }
}

// Replicas share what they read: each message is for one of them. A lossy subscription can't promise that it is read by any.
void CheckLossyInputs(const std::string& field, const v1::TaskSpec& task, FieldViolations& wrong) {
  for (const std::string& port : KeysOf(task.inputs())) {
    if (!task.inputs().at(port).lossy() || task.replicas() <= 1) continue;
    wrong.Add(absl::StrCat(field, ".inputs.", port, ".lossy"),
              "replicas share their messages, and can't share a lossy subscription: leave out lossy, or the replicas");
  }
}

void CheckReaders(const std::string& buffer, const v1::PipelineSpec& spec, const std::vector<std::string>& readers,
                  FieldViolations& wrong) {
  std::string shared;
  for (const std::string& reader : readers) {
    if (spec.tasks().at(reader).replicas() <= 1) continue;
    if (!shared.empty()) {
      wrong.Add(absl::StrCat("tasks.", reader, ".replicas"), absl::StrCat("buffer \"", buffer, "\" is read by the replicas of \"", shared,
                                                                          "\" already; at most one task with replicas reads a buffer"));
    } else {
      shared = reader;
    }
  }
  const v1::OnFull on_full = spec.buffers().at(buffer).on_full();
  const bool lossy = on_full == v1::ON_FULL_DROP_OLDEST || on_full == v1::ON_FULL_LATEST;
  if (lossy && !shared.empty()) {
    wrong.Add(absl::StrCat("buffers.", buffer, ".on_full"),
              absl::StrCat("every subscription of this buffer is lossy, and the replicas of \"", shared,
                           "\" can't share a lossy one; use block, error, warn or ignore, or no replicas"));
  }
}

// Finds circles by depth-first search; each is told once, as "a -> b -> a".
class CircleFinder {
 public:
  CircleFinder(const v1::PipelineSpec& spec, FieldViolations& wrong) : spec_(spec), wrong_(wrong) {}
  void Visit(const std::string& name) {
    if (done_.contains(name)) return;
    const auto at = std::find(path_.begin(), path_.end(), name);
    if (at != path_.end()) {
      const std::vector<std::string> circle(at, path_.end());
      wrong_.Add(absl::StrCat("tasks.", circle.back(), ".depends_on.", name),
                 absl::StrCat("a circle: ", absl::StrJoin(circle, " -> "), " -> ", name, "; none of them could start"));
      return;
    }
    path_.push_back(name);
    for (const std::string& other : KeysOf(spec_.tasks().at(name).depends_on())) {
      if (spec_.tasks().contains(other)) Visit(other);
    }
    path_.pop_back();
    done_.insert(name);
  }

 private:
  const v1::PipelineSpec& spec_;
  FieldViolations& wrong_;
  std::vector<std::string> path_;
  std::set<std::string> done_;
};

}  // namespace

void CheckWiring(const v1::PipelineSpec& spec, FieldViolations& wrong) {
  std::map<std::string, std::vector<std::string>> readers;
  std::set<std::string> published;
  for (const std::string& name : KeysOf(spec.tasks())) {
    const v1::TaskSpec& task = spec.tasks().at(name);
    CheckPorts(absl::StrCat("tasks.", name, ".inputs"), task.inputs(), spec, wrong);
    CheckPorts(absl::StrCat("tasks.", name, ".outputs"), task.outputs(), spec, wrong);
    CheckReadOnce("tasks." + name, task, wrong);
    std::set<std::string> reads;
    for (const auto& [port, input] : task.inputs()) reads.insert(input.buffer());
    CheckLossyInputs("tasks." + name, task, wrong);
    for (const std::string& buffer : reads) readers[buffer].push_back(name);
    for (const auto& [port, buffer] : task.outputs()) published.insert(buffer);
  }
  for (const std::string& name : KeysOf(spec.buffers())) {
    if (!published.contains(name))
      wrong.Add("buffers." + name, "no task publishes into it: name it in the outputs of a task, or leave it out");
    CheckReaders(name, spec, readers[name], wrong);
  }
}

void CheckDependencies(const v1::PipelineSpec& spec, FieldViolations& wrong) {
  CircleFinder circles(spec, wrong);
  for (const std::string& name : KeysOf(spec.tasks())) {
    for (const std::string& other : KeysOf(spec.tasks().at(name).depends_on())) {
      const std::string field = absl::StrCat("tasks.", name, ".depends_on.", other);
      const auto it = spec.tasks().find(other);
      if (it == spec.tasks().end()) {
        wrong.Add(field, absl::StrCat("unknown task \"", other, "\"", DidYouMean(other, KeysOf(spec.tasks()))));
      } else if (spec.tasks().at(name).depends_on().at(other) == v1::CONDITION_SUCCEEDED &&
                 it->second.restart().policy() == v1::RESTART_POLICY_ALWAYS) {
        wrong.Add(field, absl::StrCat("\"", other, "\" has the restart policy always, and so never is SUCCEEDED"));
      }
    }
    circles.Visit(name);
  }
}

}  // namespace puma::server
