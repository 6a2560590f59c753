// Where records go: captures, then what InitLogging opened, else what was installed, else stderr. And all of it saved, restored, reset.
#include <puma/logging.h>

#include <algorithm>
#include <utility>

#include "worker/logging/output.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/mutex.h"

namespace puma {
namespace logging {
namespace {

class Nowhere : public RecordSink {
 public:
  void Write(const Record&) override {}
};

// What is saved and restored, levels aside.
struct Destinations {
  std::shared_ptr<RecordSink> configured;
  std::vector<std::shared_ptr<Interceptor>> interceptors;  // the newest last
  bool shut_down = false;
};

std::atomic<RecordSink*> the_sink{nullptr};  // null: stderr
std::atomic<bool> capturing{false};

struct Sinks {
  Mutex mutex;  // held while captures are called
  RecordSink* installed PUMA_GUARDED_BY(mutex) = nullptr;
  Destinations to PUMA_GUARDED_BY(mutex);

  void Publish() PUMA_REQUIRES(mutex) {
    static auto* const nowhere = new Nowhere;
    RecordSink* const sink = to.shut_down ? nowhere : to.configured != nullptr ? to.configured.get() : installed;
    the_sink.store(sink, std::memory_order_release);
    capturing.store(!to.interceptors.empty() && !to.shut_down, std::memory_order_release);
  }
  Level Floor() PUMA_REQUIRES(mutex) {
    Level floor = Level::kOff;
    for (const auto& interceptor : to.interceptors) floor = std::min(floor, interceptor->level);
    return floor;
  }
};

Sinks& TheSinks() {
  static auto* const sinks = new Sinks;
  return *sinks;
}

RecordSink& Sink() {
  RecordSink* const sink = the_sink.load(std::memory_order_acquire);
  return sink != nullptr ? *sink : StderrSink();
}

// False: a capture keeps the record for itself.
bool Capture(const Record& record) {
  Sinks& sinks = TheSinks();
  MutexLock lock(sinks.mutex);
  for (auto at = sinks.to.interceptors.rbegin(); at != sinks.to.interceptors.rend(); ++at) {
    if (record.level >= (*at)->level) (*at)->Take(record);
    if ((*at)->shield) return false;
  }
  return true;
}

// Changes where records go; the levels' floor follows. Changes come one at a time; what was replaced is closed outside of the locks.
template <class Change>
void Update(Change change) {
  static auto* const one_at_a_time = new Mutex;
  Sinks& sinks = TheSinks();
  std::shared_ptr<RecordSink> replaced;
  std::vector<std::shared_ptr<Interceptor>> removed;
  MutexLock order(*one_at_a_time);
  Level floor;
  bool off;
  {
    MutexLock lock(sinks.mutex);
    replaced = sinks.to.configured;
    removed = sinks.to.interceptors;
    change(sinks.to);
    sinks.Publish();
    floor = sinks.Floor();
    off = sinks.to.shut_down;
  }
  SetCaptureFloor(floor);
  TurnOff(off);
}

}  // namespace

RecordSink* InstallSink(RecordSink* sink) {
  Sinks& sinks = TheSinks();
  MutexLock lock(sinks.mutex);
  std::swap(sinks.installed, sink);
  sinks.Publish();
  return sink;
}

bool SinkInstalled() {
  Sinks& sinks = TheSinks();
  MutexLock lock(sinks.mutex);
  return sinks.installed != nullptr;
}

void SetConfiguredSink(std::shared_ptr<RecordSink> sink) {
  Update([&](Destinations& to) {
    to.configured = std::move(sink);
    to.shut_down = false;
  });
}

void Dispatch(const Record& record) {
  if (capturing.load(std::memory_order_acquire)) [[unlikely]] {
    if (!Capture(record)) return;
  }
  // What is only for captures goes on to a parent's: its sink says whether it wants it.
  Sink().Write(record);
}

void FlushSink() { Sink().Flush(); }

void WriteElsewhere(const Record& record, const RecordSink* closed) {
  RecordSink& successor = Sink();
  if (&successor != closed) successor.Write(record);
}

void AddInterceptor(std::shared_ptr<Interceptor> interceptor) {
  Update([&](Destinations& to) { to.interceptors.push_back(std::move(interceptor)); });
}

void EndInterceptor(const std::shared_ptr<Interceptor>& interceptor) {
  Update([&](Destinations& to) {
    interceptor->ended = true;
    std::erase(to.interceptors, interceptor);
  });
}

}  // namespace logging

struct SavedLogging::State {
  logging::LevelTable levels;
  logging::Destinations to;
};

SavedLogging SaveLogging() {
  auto state = std::make_shared<SavedLogging::State>();
  state->levels = logging::CurrentLevels();
  logging::Sinks& sinks = logging::TheSinks();
  MutexLock lock(sinks.mutex);
  state->to = sinks.to;
  SavedLogging saved;
  saved.state_ = std::move(state);
  return saved;
}

void RestoreLogging(const SavedLogging& saved) {
  if (saved.state_ == nullptr) return;
  logging::Update([&](logging::Destinations& to) {
    to = saved.state_->to;
    std::erase_if(to.interceptors, [](const auto& interceptor) { return interceptor->ended; });
  });
  logging::ReplaceLevels(saved.state_->levels);
}

void ResetLogging() {
  logging::Update([](logging::Destinations& to) { to = {}; });
  logging::ReplaceLevels(logging::FirstLevels());
}

void ShutdownLogging() {
  logging::Update([](logging::Destinations& to) {
    to.configured = nullptr;
    to.shut_down = true;
  });
}

}  // namespace puma
