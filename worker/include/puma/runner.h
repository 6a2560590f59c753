#ifndef PUMA_RUNNER_H_
#define PUMA_RUNNER_H_
// Runners: runnables as threads or processes of a program of your own. Made by Environment::CreateRunner; include <puma/environment.h>.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "puma/runnable.h"

namespace puma {

class AnyBuffer;
namespace internal {

class CallCore;
class RunnerCore;

struct RunnableType {
  std::unique_ptr<Runnable> (*make)(Setup&);
};
template <class T>
RunnableType TypeOf() {
  static_assert(std::is_base_of_v<Runnable, T>, "puma: a runner runs classes derived from puma::Runnable");
  static_assert(std::is_constructible_v<T, Setup&>,
                "puma: a runnable is constructed from (puma::Setup&): use parameters and ports instead of other arguments");
  static_assert(!std::is_abstract_v<T>, "puma: this runnable is abstract");
  if constexpr (std::is_constructible_v<T, Setup&> && !std::is_abstract_v<T>) {
    return {[](Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<T>(s); }};
  } else {
    return {};
  }
}
absl::StatusOr<Value> AwaitCall(CallCore& call, Timeout timeout);
absl::Status SentStatus(const CallCore& call);

}  // namespace internal

// The result of a call. Thread-safe; a cheap handle. The error is the callee's, with its stack and its path, or UNAVAILABLE: the runnable
// has ended before it answered.
template <class R>
class Future {
 public:
  explicit Future(std::shared_ptr<internal::CallCore> core) : core_(std::move(core)) {}
  // Status, StatusOr<R>, or StatusOr<Remote<X>> (<puma/proxy.h>); again and again the same. DEADLINE_EXCEEDED: not yet; its text says what
  // the runnable may be doing.
  auto Get(Timeout timeout = absl::Seconds(30)) const { return internal::ResultFrom<R>(internal::AwaitCall(*core_, timeout)); }
  absl::Status Sent() const { return internal::SentStatus(*core_); }  // why it could not be sent

 private:
  std::shared_ptr<internal::CallCore> core_;
};

// A scope: the destructor closes, and logs an error that nobody took. Movable, so that runners can live in a vector. Thread-safe.
// An error of the runnable is handed out once in all: to StartBlocking, WaitUntilRunning, WaitForStatus, CheckForErrors or Close.
class AnyRunner {
 public:
  AnyRunner(AnyRunner&&) noexcept = default;
  AnyRunner& operator=(AnyRunner&& other) noexcept;
  ~AnyRunner();

  // Once. INVALID_ARGUMENT lists all that is wrong with the type, its wiring and its parameters; nothing has started then.
  absl::Status Start();
  absl::Status StartBlocking(Timeout timeout = absl::Seconds(30));  // Start, then WaitUntilRunning
  // OK at once if it has already ended without an error. DEADLINE_EXCEEDED: OnStart has not returned.
  absl::Status WaitUntilRunning(Timeout timeout);
  void Stop();  // asked for: also before the start, twice, or after the end
  // DEADLINE_EXCEEDED: it still runs; the runner stays usable. kNoWait only looks. Not the runnable's error: CheckForErrors.
  absl::Status Join(Timeout timeout = kInfinite);
  absl::Status CheckForErrors();
  // Stops, joins, checks: the end of the scope with its answer. A process that does not end within stop_grace gets SIGTERM, then SIGKILL; a
  // thread is left behind. Both are DEADLINE_EXCEEDED. Everything afterwards is FAILED_PRECONDITION.
  absl::Status Close();
  // Called once, on the environment's thread, when it has ended: with OK, or its error, whoever else has it. Also if it has ended already.
  void OnEnd(std::function<void(const absl::Status&)> callback);
  bool IsAlive() const;  // started, and not ended
  int pid() const;       // 0: it has no process of its own, or none yet
  const std::string& name() const;

 protected:
  explicit AnyRunner(std::shared_ptr<internal::RunnerCore> core) : core_(std::move(core)) {}
  // `within`: how long until it must be executed; infinite: no matter.
  std::shared_ptr<internal::CallCore> Send(std::string_view method, std::vector<Value> arguments, Timeout within, bool answered = true);
  absl::StatusOr<Value> Latest(const std::string& type, Timeout timeout);
  Runnable* Parent() const;
  std::shared_ptr<internal::RunnerCore> core_;
};

template <class T>
class Runner : public AnyRunner {
 public:
  explicit Runner(std::shared_ptr<internal::RunnerCore> core) : AnyRunner(std::move(core)) {}

  // Runs a declared command on the runnable's own thread, the most derived method, and returns its result: Status, or StatusOr. From any
  // thread, many at once; from the runnable's own thread it runs directly. 30 s; CallWithin sets another deadline, after which the answer
  // reaches nobody. FAILED_PRECONDITION: not started, or no command (the text lists them).
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...), A&&... args) {
    return CallWithin(absl::Seconds(30), method, std::forward<A>(args)...);
  }
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...) const, A&&... args) {
    return CallWithin(absl::Seconds(30), method, std::forward<A>(args)...);
  }
  template <class M, class... A>
  auto CallWithin(Timeout within, M method, A&&... args) {
    return SendCall(method, within, true, std::forward<A>(args)...).Get(within);
  }
  template <class M, class... A>
  auto CallAsync(M method, A&&... args) {
    return SendCall(method, kInfinite, true, std::forward<A>(args)...);
  }
  // Without an answer: an error of the command ends the runnable, since nobody else could be told.
  template <class M, class... A>
  absl::Status Post(M method, A&&... args) {
    return SendCall(method, kInfinite, false, std::forward<A>(args)...).Sent();
  }

  // An attribute of the parent's half (<puma/attributes.h>): runner.parent(&Camera::gain) = 2.0. One thread at a time. Throws
  // puma::Exception if the constructor has failed: Start says why.
  template <class A>
  A& parent(A T::*attribute) {
    static_assert(std::is_base_of_v<AttributeBase, A>,
                  "puma: only attributes have a parent's half; declare it as puma::Copied<...>, puma::Shared<...>, ...");
    return static_cast<T*>(Parent())->*attribute;
  }

  // The newest status of type S, once. NOT_FOUND: none.
  template <class S>
  absl::StatusOr<S> LatestStatus() {
    return WaitForStatus<S>(kNoWait);
  }
  // Also one that came before an OK end. DEADLINE_EXCEEDED; UNAVAILABLE: it has ended without one. The runnable's error comes first.
  template <class S>
  absl::StatusOr<S> WaitForStatus(Timeout timeout) {
    auto value = Latest(Value::TypeName<S>(), timeout);
    if (!value.ok()) return value.status();
    return value->template As<S>();
  }

 private:
  template <class C, class R, class... P, class... A>
  auto SendCall(R (C::*method)(P...), Timeout within, bool answered, A&&... args) {
    return SendAs<C, R, P...>(internal::MethodKey(method), within, answered, std::forward<A>(args)...);
  }
  template <class C, class R, class... P, class... A>
  auto SendCall(R (C::*method)(P...) const, Timeout within, bool answered, A&&... args) {
    return SendAs<C, R, P...>(internal::MethodKey(method), within, answered, std::forward<A>(args)...);
  }
  template <class C, class R, class... P, class... A>
  Future<internal::ResultOfT<R>> SendAs(const std::string& key, Timeout within, bool answered, A&&... args) {
    static_assert(std::is_base_of_v<C, T>, "puma: Call takes a method of the runner's own runnable");
    static_assert(sizeof...(P) == sizeof...(A), "puma: wrong number of arguments for this command");
    if constexpr (sizeof...(P) == sizeof...(A)) {
      static_assert((std::is_convertible_v<A&&, std::decay_t<P>> && ...), "puma: wrong argument types for this command");
      if constexpr ((std::is_convertible_v<A&&, std::decay_t<P>> && ...))
        return Future<internal::ResultOfT<R>>(
            Send(key, {Value::Of<std::decay_t<P>>(std::decay_t<P>(std::forward<A>(args)))...}, within, answered));
    }
    return Future<internal::ResultOfT<R>>(nullptr);
  }
};

}  // namespace puma
#endif  // PUMA_RUNNER_H_
