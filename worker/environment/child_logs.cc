#include "worker/environment/child_logs.h"

#include <puma/log.h>

#include <map>
#include <utility>

#include "worker/logging/hub.h"
#include "worker/platform/mutex.h"

namespace puma::internal {
namespace {

// Never destroyed: threads that are left behind may log to the end.
class ChildLogs {
 public:
  ChildLog Add(const std::string& name, std::function<void(const std::string&)> tell_levels) {
    ChildLog log;
    logging::Hub* const hub = TheHub();
    if (hub == nullptr) return log;
    auto child = hub->AddChild(name);
    if (!child.ok()) {
      puma::log().warn("\"{}\" logs to its own stderr: {}", name, std::string(child.status().message()));
      return log;
    }
    log.token = child->token;
    log.fds.push_back(std::move(child->descriptors.ring));
    log.fds.push_back(std::move(child->descriptors.page));
    log.fds.push_back(std::move(child->descriptors.doorbell));
    MutexLock lock(mutex_);
    tell_[log.token] = std::move(tell_levels);
    log.levels = logging::LevelsForChildren();
    return log;
  }
  void Ended(uint64_t token) {
    logging::Hub* const hub = TheHub();
    if (token == 0 || hub == nullptr) return;
    {
      MutexLock lock(mutex_);
      tell_.erase(token);
    }
    hub->ChildEnded(token);
  }

 private:
  logging::Hub* TheHub() {
    MutexLock lock(hub_mutex_);
    if (hub_ == nullptr && !failed_) {
      logging::HubOptions options;
      options.levels_changed = [this](const std::string& levels) { Tell(levels); };
      auto made = logging::Hub::Create(std::move(options));
      failed_ = !made.ok();
      if (made.ok()) hub_ = *std::move(made);
    }
    return hub_.get();
  }
  void Tell(const std::string& levels) {
    std::map<uint64_t, std::function<void(const std::string&)>> tell;
    {
      MutexLock lock(mutex_);
      tell = tell_;
    }
    for (auto& [token, child] : tell) child(levels);
  }

  Mutex hub_mutex_;  // not the one that Tell takes: a hub that is made takes the levels' lock, which is held around Tell
  bool failed_ PUMA_GUARDED_BY(hub_mutex_) = false;
  std::unique_ptr<logging::Hub> hub_ PUMA_GUARDED_BY(hub_mutex_);
  Mutex mutex_;
  std::map<uint64_t, std::function<void(const std::string&)>> tell_ PUMA_GUARDED_BY(mutex_);
};

ChildLogs& TheChildLogs() {
  static auto* const logs = new ChildLogs;
  return *logs;
}

}  // namespace

ChildLog NewChildLog(const std::string& name, std::function<void(const std::string&)> tell_levels) {
  return TheChildLogs().Add(name, std::move(tell_levels));
}
void ChildLogEnded(uint64_t token) { TheChildLogs().Ended(token); }

void AttachChildLog(std::vector<UniqueFd> fds, const std::string& name, const std::string& levels) {
  if (fds.size() != 3) return;
  logging::HubDescriptors descriptors{std::move(fds[0]), std::move(fds[1]), std::move(fds[2])};
  if (absl::Status status = logging::AttachToHub(std::move(descriptors), name, levels); !status.ok())
    log().warn("this process logs to its own stderr: {}", std::string(status.message()));
}

}  // namespace puma::internal
