#ifndef PUMA_RUNNABLE_H_
#define PUMA_RUNNABLE_H_
// A runnable declares its parameters, ports and commands in its constructor, acquires in OnStart, and is serviced by one thread.
// The constructor may run where nothing is ever executed (to describe the type): it only declares.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

#include "puma/buffer.h"
#include "puma/log.h"
#include "puma/value.h"

namespace puma {

class Runnable;
using Timestamp = absl::Duration;  // since boot, without sleep: monotonic, the same clock in all processes
Timestamp PrecisionTimestamp();    // nanoseconds

enum class Scope { kDescribe, kParent, kChild };  // only described; in who makes its runner; about to run
struct InputOptions {
  bool optional = false;
  std::string help = {};
};
struct OutputOptions {
  bool optional = false;  // unconnected: what is published goes nowhere
  std::string help = {};
};

template <class T>
using Output = Publisher<T>;  // of a runnable: inert except while it executes
template <class T>
class Buffer;
class AttributeBase;
class Environment;
template <class X>
struct Interface;  // this, and the next three: <puma/proxy.h>
template <class X>
class Methods;
template <class X>
class Remote;
template <class I>
class Facade;

namespace internal {

class BufferCore;
class FacadeCore;
class RunnableCore;
using Thunk = std::function<absl::StatusOr<Value>(std::span<const Value>)>;
struct Argument {
  std::string name, type;
};
struct CommandDeclaration {
  std::string name, help, result;
  std::vector<Argument> arguments;
  Thunk thunk;
  std::string key;  // of the method: MethodKey
};
// A buffer that a runnable hands on to runners of its own.
struct PassedBuffer {
  std::string name;
  TypeInfo type{};
  std::shared_ptr<BufferCore> core;  // null: not given
};
// A facade that a runnable uses.
struct FacadeSlot {
  std::string name, type;            // the interface's
  std::shared_ptr<FacadeCore> core;  // null: not where it runs
};
// What names a method within one program.
template <class M>
std::string MethodKey(M method) {
  return std::string(typeid(M).name()) + std::string(reinterpret_cast<const char*>(&method), sizeof method);
}
struct InputDeclaration {
  std::string name;
  TypeInfo type;
  InputOptions options;
  const void* subscriber;  // inputs with the same one complete together; null: on its own
  OnReceived on_value;
  OnCompleted on_complete;  // null: takes no error
};
void DeclareInput(RunnableCore&, InputDeclaration);
std::shared_ptr<OutputCore> DeclareOutput(RunnableCore&, std::string_view name, TypeInfo, OutputOptions);
void DeclareCommand(RunnableCore&, CommandDeclaration);
absl::StatusOr<Value> DeclareParam(RunnableCore&, std::string_view name, std::string type, const Value* default_value,
                                   std::string_view help);
void ParamFailed(RunnableCore&, std::string_view name, const absl::Status&);
std::shared_ptr<PassedBuffer> DeclarePassed(RunnableCore&, std::string_view name, TypeInfo type);
std::shared_ptr<FacadeSlot> DeclareFacade(RunnableCore&, std::string_view name, std::string type);
void SendStatus(RunnableCore&, std::string type, Value status);
void DeclareAttribute(RunnableCore&, AttributeBase&);
Runnable* Self(RunnableCore&);
Scope ScopeOf(const RunnableCore&);
bool IsConnected(const RunnableCore&, std::string_view port);

template <class R>
struct ResultOf {
  using type = R;
};
template <class R>
struct ResultOf<absl::StatusOr<R>> {
  using type = R;
};
template <>
struct ResultOf<absl::Status> {
  using type = void;
};
template <class R>
using ResultOfT = typename ResultOf<std::remove_cvref_t<R>>::type;

// Results that stay where they are and are referred to: an X by value, X&, X*, std::shared_ptr<X> or std::unique_ptr<X>.
template <class R>
struct Referent {
  using type = R;
};
template <class X>
struct Referent<X*> {
  using type = X;
};
template <class X>
struct Referent<std::shared_ptr<X>> {
  using type = X;
};
template <class X>
struct Referent<std::unique_ptr<X>> {
  using type = X;
};
template <class X>
concept HasInterface = requires(Methods<X>& methods) {
  Interface<X>::Describe(methods);
};
template <class R>
concept Referable = !Passable<R> && HasInterface<typename Referent<R>::type>;
template <class X>
struct Referred;  // keeps an object for those who refer to it: <puma/proxy.h>

// What a caller gets: Status, StatusOr<R>, StatusOr<Remote<X>>.
template <class R>
struct CallResult {
  using type = absl::StatusOr<R>;
};
template <>
struct CallResult<void> {
  using type = absl::Status;
};
template <Referable R>
struct CallResult<R> {
  using type = absl::StatusOr<Remote<typename Referent<R>::type>>;
};
template <class R>
typename CallResult<R>::type ResultFrom(absl::StatusOr<Value> value) {
  if constexpr (std::is_void_v<R>) {
    return std::move(value).status();
  } else {
    if (!value.ok()) return std::move(value).status();
    if constexpr (Referable<R>) {
      return Remote<typename Referent<R>::type>::Of(*value);
    } else {
      return value->template As<R>();
    }
  }
}
template <class R>
constexpr bool CheckResult() {
  static_assert(std::is_void_v<R> || Passable<R> || Referable<R>,
                "puma: this result can't leave its process: use a plain type, give it a puma::Codec, or list its methods in a "
                "puma::Interface");
  return true;
}

template <class T>
absl::StatusOr<Value> ValueOfResult(T&& result) {
  using R = std::remove_cvref_t<T>;
  if constexpr (Referable<R>) {
    return Referred<typename Referent<R>::type>::Keep(std::forward<T>(result));
  } else if constexpr (Passable<R>) {
    return Value::Of<R>(result);
  } else {
    return Value();  // CheckResult refuses it
  }
}
template <class F>
absl::StatusOr<Value> AsValue(F&& call) {
  using R = std::remove_cvref_t<decltype(call())>;
  if constexpr (std::is_void_v<R>) {
    call();
    return Value();
  } else if constexpr (std::same_as<R, absl::Status>) {
    absl::Status s = call();
    if (!s.ok()) return s;
    return Value();
  } else if constexpr (!std::same_as<R, ResultOfT<R>>) {
    auto r = call();
    if (!r.ok()) return r.status();
    return ValueOfResult(*std::move(r));
  } else {
    return ValueOfResult(call());
  }
}
template <class R>
std::string ResultName() {
  if constexpr (std::is_void_v<ResultOfT<R>>)
    return "";
  else if constexpr (Referable<ResultOfT<R>>)
    return "reference to " + Demangle(typeid(typename Referent<ResultOfT<R>>::type).name());
  else
    return Value::TypeName<ResultOfT<R>>();
}
template <class... A, class F, size_t... I>
absl::StatusOr<Value> Apply([[maybe_unused]] std::span<const Value> in, F&& f, std::index_sequence<I...>) {
  [[maybe_unused]] std::tuple<absl::StatusOr<A>...> args{in[I].template As<A>()...};
  absl::Status bad;
  ((void)(bad.ok() && !std::get<I>(args).ok() ? (bad = std::get<I>(args).status(), 0) : 0), ...);
  if (!bad.ok()) return bad;
  return AsValue([&]() -> decltype(auto) { return f(*std::move(std::get<I>(args))...); });
}

}  // namespace internal

// Tells whoever has made the runner something of type S: Runner::LatestStatus<S>, WaitForStatus<S>. Only the runnable's thread uses it.
template <class S>
class StatusPort {
 public:
  explicit StatusPort(internal::RunnableCore& core) : core_(&core) {}
  // Never blocks. Without anybody who could listen, as under the host, it does nothing.
  void Send(const S& status) { internal::SendStatus(*core_, Value::TypeName<S>(), Value::Of<S>(status)); }

 private:
  internal::RunnableCore* core_;
};

// A buffer for the inputs and outputs of runners that this runnable makes (environment()).
template <class T>
class PassOn {
 public:
  explicit PassOn(std::shared_ptr<internal::PassedBuffer> passed) : passed_(std::move(passed)) {}
  Buffer<T> buffer() const { return Buffer<T>(passed_->core, nullptr); }  // while it executes

 private:
  std::shared_ptr<internal::PassedBuffer> passed_;
};

// Handed to a runnable's constructor; valid only there, on its thread. Mistakes are collected and reported together, all at once.
class Setup {
 public:
  explicit Setup(internal::RunnableCore& core) : core_(core) {}
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;
  Scope scope() const { return internal::ScopeOf(core_); }
  bool Connected(std::string_view port) const { return internal::IsConnected(core_, port); }  // it will have a buffer; describing: false
  internal::RunnableCore& core() { return core_; }

  template <class T>
  T Param(std::string_view name, T default_value, std::string_view help) {
    Value value;
    if constexpr (Speakable<T>) value = Value::Of<T>(default_value);
    return GetParam<T>(name, &value, std::move(default_value), help);
  }
  std::string Param(std::string_view name, const char* default_value, std::string_view help) {
    return Param<std::string>(name, default_value, help);
  }
  template <class T>
  T RequiredParam(std::string_view name, std::string_view help) {  // T{} while describing, or when it is missing
    return GetParam<T>(name, nullptr, T{}, help);
  }

  // The handler is one of: Status|void f(const T&), f(T), f(const T&, const Message&). An error from upstream ends the runnable.
  template <class C, class R, class T>
  void Input(std::string_view name, R (C::*f)(T), InputOptions options = {}) {
    AddInput<std::remove_cvref_t<T>>(name, std::move(options), Plain<C, T>(f), nullptr);
  }
  template <class C, class R, class T>
  void Input(std::string_view name, R (C::*f)(const T&, const Message&), InputOptions options = {}) {
    AddInput<T>(name, std::move(options), WithMessage<C, T>(f), nullptr);
  }
  // With a handler of the completion, Status|void g(const Status& error): see Subscriber::OnComplete. One that returns nothing takes it.
  template <class C, class R, class T, class S>
  void Input(std::string_view name, R (C::*f)(T), S (C::*g)(const absl::Status&), InputOptions options = {}) {
    AddInput<std::remove_cvref_t<T>>(name, std::move(options), Plain<C, T>(f), Completion<C>(g));
  }
  template <class C, class R, class T, class S>
  void Input(std::string_view name, R (C::*f)(const T&, const Message&), S (C::*g)(const absl::Status&), InputOptions options = {}) {
    AddInput<T>(name, std::move(options), WithMessage<C, T>(f), Completion<C>(g));
  }
  // The subscriber must live as long as the runnable; one may serve several inputs.
  template <class T>
  void Input(std::string_view name, Subscriber<T>& s, InputOptions options = {}) {
    internal::DeclareInput(core_,
                           {std::string(name), TypeInfo::Of<T>(), std::move(options), &s,
                            [&s](const internal::Received& r) { return internal::WithValue<T>(r, [&](auto&& v) { return s.OnValue(v); }); },
                            [&s](const absl::Status& e) { return s.OnComplete(e); }});
  }
  template <class T>
  puma::Output<T> Output(std::string_view name, OutputOptions options = {}) {
    static_assert(std::is_same_v<T, std::remove_cvref_t<T>>, "puma: a port carries values");
    static_assert(CrossesProcesses<T> || ThreadOnly<T>, "puma: pointers, views and references can't travel");
    return puma::Output<T>(internal::DeclareOutput(core_, name, TypeInfo::Of<T>(), std::move(options)));
  }

  // Names its arguments; their count is checked by the compiler. The result is void, Status, R or StatusOr<R>.
  template <class C, class R, class... A, size_t N>
  void Command(std::string_view name, R (C::*f)(A...), const char* const (&arguments)[N], std::string_view help = "") {
    static_assert(N == sizeof...(A), "puma: a command needs one name for each argument of its method");
    AddCommand<C, R, A...>(name, f, {arguments, arguments + N}, help);
  }
  template <class C, class R, class... A, size_t N>
  void Command(std::string_view name, R (C::*f)(A...) const, const char* const (&arguments)[N], std::string_view help = "") {
    static_assert(N == sizeof...(A), "puma: a command needs one name for each argument of its method");
    AddCommand<C, R, A...>(name, f, {arguments, arguments + N}, help);
  }
  template <class C, class R>
  void Command(std::string_view name, R (C::*f)(), std::string_view help = "") {
    AddCommand<C, R>(name, f, {}, help);
  }
  template <class C, class R>
  void Command(std::string_view name, R (C::*f)() const, std::string_view help = "") {
    AddCommand<C, R>(name, f, {}, help);
  }

  // What this runnable tells its parent of itself.
  template <class S>
  StatusPort<S> Status() {
    static_assert(Passable<S>, "puma: a status is a plain type, or has a puma::Codec");
    return StatusPort<S>(core_);
  }
  template <class T>
  puma::PassOn<T> PassOn(std::string_view name) {
    return puma::PassOn<T>(internal::DeclarePassed(core_, name, TypeInfo::Of<T>()));
  }
  // An object of another thread or process, by the methods of its interface: <puma/proxy.h>.
  template <class I>
  Facade<I> UseFacade(std::string_view name) {
    return Facade<I>(internal::DeclareFacade(core_, name, internal::Demangle(typeid(I).name())));
  }

 private:
  template <class C>
  C* Self() {
    static_assert(std::is_base_of_v<Runnable, C>, "puma: a handler or command must be a method of a class derived from puma::Runnable");
    return static_cast<C*>(internal::Self(core_));
  }
  template <class T>
  T GetParam(std::string_view name, const Value* default_value, T fallback, std::string_view help) {
    static_assert(Speakable<T>, "puma: a parameter is a bool, number, std::string, absl::Duration, or a std::vector or std::map of these");
    auto v = internal::DeclareParam(core_, name, Value::TypeName<T>(), default_value, help);
    if (!v.ok()) return fallback;
    auto t = v->template As<T>();
    if (t.ok()) return *std::move(t);
    internal::ParamFailed(core_, name, t.status());
    return fallback;
  }
  template <class C, class T, class F>
  internal::OnReceived Plain(F f) {
    using V = std::remove_cvref_t<T>;
    return [self = Self<C>(), f](const internal::Received& r) {
      return internal::WithValue<V>(r,
                                    [&](auto&& v) { return internal::AsStatus([&] { return (self->*f)(std::forward<decltype(v)>(v)); }); });
    };
  }
  template <class C, class T, class F>
  internal::OnReceived WithMessage(F f) {
    return [self = Self<C>(), f](const internal::Received& r) {
      return internal::WithValue<T>(r, [&](auto&& v) { return internal::AsStatus([&] { return (self->*f)(v, r.message); }); });
    };
  }
  template <class C, class G>
  internal::OnCompleted Completion(G g) {
    return [self = Self<C>(), g](const absl::Status& e) { return internal::AsStatus([&] { return (self->*g)(e); }); };
  }
  template <class T>
  void AddInput(std::string_view name, InputOptions options, internal::OnReceived f, internal::OnCompleted g) {
    static_assert(CrossesProcesses<T> || ThreadOnly<T>, "puma: pointers, views and references can't travel");
    internal::DeclareInput(core_, {std::string(name), TypeInfo::Of<T>(), std::move(options), nullptr, std::move(f), std::move(g)});
  }
  template <class C, class R, class... A, class F>
  void AddCommand(std::string_view name, F f, std::vector<std::string> names, std::string_view help) {
    static_assert((Passable<std::decay_t<A>> && ...),
                  "puma: an argument of this command can't be passed: use plain types or give it a puma::Codec");
    internal::CheckResult<internal::ResultOfT<R>>();
    internal::CommandDeclaration declaration{std::string(name), std::string(help),     internal::ResultName<R>(), {},
                                             nullptr,           internal::MethodKey(f)};
    [[maybe_unused]] size_t i = 0;
    (declaration.arguments.push_back({names[i++], Value::TypeName<std::decay_t<A>>()}), ...);
    declaration.thunk = [self = Self<C>(), f](std::span<const Value> in) {
      return internal::Apply<std::decay_t<A>...>(
          in, [&](auto&&... a) -> R { return (self->*f)(std::forward<decltype(a)>(a)...); }, std::index_sequence_for<A...>());
    };
    internal::DeclareCommand(core_, std::move(declaration));
  }
  internal::RunnableCore& core_;
};

// Base of all runnables. Only the runnable's own thread calls its hooks, handlers and commands: no locks are needed in them.
// An error that a hook or handler returns or throws ends the run; one of a command goes to its caller and the run goes on.
class Runnable {
 public:
  Runnable();  // only a runner or the host makes one: elsewhere it throws puma::Exception
  virtual ~Runnable();
  Runnable(const Runnable&) = delete;  // handlers point at it: neither copied nor moved
  Runnable& operator=(const Runnable&) = delete;
  const std::string& name() const;

 protected:
  virtual absl::Status OnStart() { return absl::OkStatus(); }  // acquire here: devices, files, threads
  virtual absl::Status Execute() { return Service(); }         // override for an own loop; then call PollCommands often
  virtual absl::Status OnTick(Timestamp) { return absl::OkStatus(); }
  virtual void OnWait() {}                                   // before each sleep
  virtual bool OnEnd(const absl::Status&) { return false; }  // how it ended. true: the error has been handled

  // The loop: wait, tick, commands, inputs. Returns when stopped, when all inputs have completed, or with the error that ends the run.
  absl::Status Service();
  // Serves the commands that are there, without blocking. False: stop was asked for; Execute should return.
  bool PollCommands();
  // As PollCommands, but sleeps until a command comes or the time has passed.
  bool WaitForCommands(absl::Duration at_most);
  // Any thread, as long as the runnable lives: Service returns OK behind the handler in hand, as if all inputs had completed, and
  // WaitForCommands sleeps no more.
  void EndService();

  absl::Status SetTickInterval(absl::Duration);  // > 0; moves the next tick, counted from the last planned one
  absl::Status ResumeTicks();                    // the first tick comes one interval from now; FAILED_PRECONDITION without an interval
  void PauseTicks();
  Timestamp Now() const;       // PrecisionTimestamp(), or the clock of a test
  Environment& environment();  // the kind that it runs in, for runners of its own; throws puma::Exception before OnStart
  const Logger& log() const { return *log_; }

 private:
  friend class internal::RunnableCore;
  internal::RunnableCore* core_;
  const Logger* log_;
};

}  // namespace puma
#endif  // PUMA_RUNNABLE_H_
