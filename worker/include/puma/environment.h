#ifndef PUMA_ENVIRONMENT_H_
#define PUMA_ENVIRONMENT_H_
// Library mode: buffers, runnables and plain functions in a program of your own, as threads or as processes; nothing else changes.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "puma/buffer.h"
#include "puma/event.h"
#include "puma/primitives.h"
#include "puma/runner.h"
#include "puma/subscription.h"

namespace puma {

// First in main. In a child process, which is this program again, it runs the child's function and never returns. Without it a
// ProcessEnvironment launches nothing.
void Init(int argc, char** argv);

enum class Subscriptions { kOne, kMany };
struct BufferOptions {
  size_t capacity = 64;       // values of each publisher, exact
  size_t capacity_bytes = 0;  // of each publisher, for types without a fixed size; 0: 16 MiB. The largest value is half of it
  OnFull on_full = OnFull::kError;
  Subscriptions subscriptions = Subscriptions::kOne;  // at a time
  std::vector<std::string> named = {};                // of many: they have a position from the beginning
  bool warn_on_discard = true;                        // of items, or of the buffer while it is in use
  absl::Duration discard_after = absl::Seconds(5);    // items that are left when nobody publishes or subscribes
};

namespace internal {
class BufferCore;
class EnvironmentCore;
class JobCore;
struct PublisherParts {
  std::shared_ptr<OutputCore> output;
  std::shared_ptr<void> scope;
};
PublisherParts OpenPublisher(const std::shared_ptr<BufferCore>&);
std::shared_ptr<SubscriptionCore> OpenSubscription(const std::shared_ptr<BufferCore>&, EventCore* event, SubscribeOptions);
}  // namespace internal

// A buffer of any type. A cheap handle, thread-safe. The buffer lives as long as the handles that come from CreateBuffer.
class AnyBuffer {
 public:
  const std::string& name() const;
  const TypeInfo& type() const;
  absl::Status status() const;  // why it could not be made; each use says the same
  // Ends the buffer, also for those who use it, with a warning then. Returns the error of a completion that nobody took, once. A second
  // time only warns.
  absl::Status Close();
  const std::shared_ptr<internal::BufferCore>& core() const { return core_; }

 protected:
  AnyBuffer(std::shared_ptr<internal::BufferCore> core, std::shared_ptr<void> scope) : core_(std::move(core)), scope_(std::move(scope)) {}
  std::shared_ptr<internal::BufferCore> core_;
  std::shared_ptr<void> scope_;  // null: opened, not made here
};

// One lane for each publisher, one position for each subscription. Order is kept for each publisher, and from one that has left to those
// that open later.
template <class T>
class Buffer : public AnyBuffer {
 public:
  Buffer(std::shared_ptr<internal::BufferCore> core, std::shared_ptr<void> scope) : AnyBuffer(std::move(core), std::move(scope)) {}
  // Never fails here: what is wrong meets you at the first use, or in status().
  Publisher<T> Publish() const {
    auto parts = internal::OpenPublisher(core_);
    return Publisher<T>(std::move(parts.output), std::move(parts.scope));
  }
  Subscription<T> Subscribe(Event& event, SubscribeOptions options = {}) const {
    return Subscription<T>(internal::OpenSubscription(core_, event.core().get(), std::move(options)));
  }
  Subscription<T> Subscribe(SubscribeOptions options = {}) const {
    return Subscription<T>(internal::OpenSubscription(core_, nullptr, std::move(options)));
  }
};

// A facade of whatever interface: <puma/proxy.h>.
class AnyFacade {
 public:
  explicit AnyFacade(std::shared_ptr<internal::FacadeSlot> slot) : slot_(std::move(slot)) {}
  const std::shared_ptr<internal::FacadeSlot>& slot() const { return slot_; }

 protected:
  std::shared_ptr<internal::FacadeSlot> slot_;
};

struct BufferWire {
  std::string port;
  AnyBuffer buffer;
};
struct FacadeWire {
  std::string name;
  AnyFacade facade;
};
struct RunnerOptions {
  std::vector<BufferWire> inputs = {};
  std::vector<BufferWire> outputs = {};
  std::map<std::string, Value> params = {};
  std::vector<BufferWire> pass_on = {};  // for runners of its own (Setup::PassOn)
  std::vector<FacadeWire> facades = {};  // Setup::UseFacade
  absl::Duration stop_grace = absl::Seconds(30);
};

// A function that runs on a thread or in a process of its own. A scope: the destructor waits for its end and logs an error that nobody
// took.
class Job {
 public:
  explicit Job(std::shared_ptr<internal::JobCore> core) : core_(std::move(core)) {}
  Job(Job&&) noexcept = default;
  Job& operator=(Job&& other) noexcept;
  ~Job();
  const std::string& name() const;
  // What the function returned, once, then OK; or why it could not run or finish: a signal, an exit code. DEADLINE_EXCEEDED: it runs.
  absl::Status Join(Timeout timeout = kInfinite);
  int pid() const;  // of its process; 0: it has none
  void Kill();      // its process, at once; a thread can't be

 private:
  std::shared_ptr<internal::JobCore> core_;
};

// Thread-safe. Buffers and jobs may outlive it.
class Environment {
 public:
  using Function = absl::Status (*)(Environment& environment, const std::vector<std::string>& arguments);

  virtual ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  std::string_view kind() const;  // "threads" or "processes"

  template <class T>
  Buffer<T> CreateBuffer(std::string_view name, BufferOptions options = {}) {
    static_assert(CrossesProcesses<T> || ThreadOnly<T>, "puma: pointers, views and references can't travel");
    auto [core, scope] = MakeBuffer(name, TypeInfo::Of<T>(), std::move(options));
    return Buffer<T>(std::move(core), std::move(scope));
  }
  // The buffer of this name that the program which made the environment has created.
  template <class T>
  Buffer<T> OpenBuffer(std::string_view name) {
    static_assert(CrossesProcesses<T> || ThreadOnly<T>, "puma: pointers, views and references can't travel");
    return Buffer<T>(FindBuffer(name, TypeInfo::Of<T>()), nullptr);
  }
  // Makes the parent's half of T at once, with its parameters; the child's half is made where it runs. A runnable's outputs count as
  // publishers from now on. Never fails here: what is wrong meets you, all of it, at Start.
  template <class T>
  Runner<T> CreateRunner(std::string_view name, RunnerOptions options = {}) {
    return Runner<T>(MakeRunner(name, internal::TypeOf<T>(), std::move(options)));
  }
  // Runs `function`, which is a plain one of this program or of a library that it is linked with. It finds the buffers with OpenBuffer.
  Job Launch(std::string_view name, Function function, std::vector<std::string> arguments = {});

  // What threads or processes wait for, hold and count together: <puma/primitives.h>. Create makes one; Open finds, by its name, one that
  // the program which made the environment has created, or this runnable.
  AutoResetEvent CreateAutoResetEvent(std::string_view name);
  AutoResetEvent OpenAutoResetEvent(std::string_view name);
  ManualEvent CreateManualEvent(std::string_view name);
  ManualEvent OpenManualEvent(std::string_view name);
  Lock CreateLock(std::string_view name);
  Lock OpenLock(std::string_view name);
  Condition CreateCondition(std::string_view name);
  Condition OpenCondition(std::string_view name);
  template <class T>
  Atomic<T> CreateAtomic(std::string_view name, T initial = T()) {
    return Atomic<T>(MakePrimitive(name, "atomic " + TypeInfo::Of<T>().name(), Atomic<T>::Word(initial)));
  }
  template <class T>
  Atomic<T> OpenAtomic(std::string_view name) {
    return Atomic<T>(FindPrimitive(name, "atomic " + TypeInfo::Of<T>().name()));
  }

  explicit Environment(std::shared_ptr<internal::EnvironmentCore> core, uint64_t maker = 0) : core_(std::move(core)), maker_(maker) {}
  const std::shared_ptr<internal::EnvironmentCore>& core() const { return core_; }

 private:
  std::shared_ptr<internal::RunnerCore> MakeRunner(std::string_view name, internal::RunnableType type, RunnerOptions options);
  std::pair<std::shared_ptr<internal::BufferCore>, std::shared_ptr<void>> MakeBuffer(std::string_view, TypeInfo, BufferOptions);
  std::shared_ptr<internal::BufferCore> FindBuffer(std::string_view, TypeInfo);
  std::shared_ptr<internal::PrimitiveCore> MakePrimitive(std::string_view name, std::string_view type, uint64_t cell);
  std::shared_ptr<internal::PrimitiveCore> FindPrimitive(std::string_view name, std::string_view type);
  std::shared_ptr<internal::EnvironmentCore> core_;
  uint64_t maker_;  // whose names of buffers it knows
};
class ThreadEnvironment : public Environment {
 public:
  ThreadEnvironment();
};
class ProcessEnvironment : public Environment {
 public:
  ProcessEnvironment();
};
std::unique_ptr<Environment> CreateEnvironment(std::string_view kind);  // "threads" or "processes", for a flag; else null

}  // namespace puma
#endif  // PUMA_ENVIRONMENT_H_
