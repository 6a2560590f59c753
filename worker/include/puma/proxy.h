#ifndef PUMA_PROXY_H_
#define PUMA_PROXY_H_
// Objects that are used from elsewhere by an interface: a Proxy serves one on a thread of its own, a Facade reaches it from other threads
// and processes, a Remote is an object that a call has returned. The methods of an interface are listed once:
//
//   template <> struct puma::Interface<Camera> {
//     static void Describe(puma::Methods<Camera>& methods) { methods.Add("set_gain", &Camera::SetGain); }
//   };
//
// before its first use, in a header. Arguments and results as with commands; results that have no puma::Codec but an Interface stay where
// they are, and come as Remote.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "puma/environment.h"

namespace puma {

struct MethodOptions {
  absl::Duration within = absl::Seconds(60);  // how long a call waits for its answer, if it does not say itself
  absl::Duration slow = absl::Seconds(1);     // a call that takes longer warns, once for each method
};

namespace internal {

class ProxyServer;
using LocalBody = void (*)();  // of a type that the method's key implies
struct Method {
  std::string name, key;
  MethodOptions options;
  std::function<absl::StatusOr<Value>(void* object, std::span<const Value>)> thunk;
  LocalBody local = nullptr;
};
// What an interface lists.
struct MethodTable {
  std::string interface;
  std::vector<Method> methods;
  const Method* FindKey(std::string_view key) const;
  const Method* FindName(std::string_view name) const;
  absl::Status NotListed() const;  // FAILED_PRECONDITION, with those that are
};
template <class I>
const MethodTable& MethodsOf();

// `within`: infinite and negative values as in Timeout; nothing: as the method says.
absl::StatusOr<Value> CallFacade(const FacadeSlot& slot, const MethodTable& table, std::string_view key, std::vector<Value> arguments,
                                 std::optional<Timeout> within);
absl::StatusOr<Value> CallReference(const std::shared_ptr<RemoteHandle>& object, const MethodTable& table, std::string_view key,
                                    std::vector<Value> arguments, std::optional<Timeout> within);
absl::StatusOr<Value> KeepForOthers(std::shared_ptr<void> object, const MethodTable& table);
absl::Status NothingReturned(const MethodTable& table);

std::shared_ptr<ProxyServer> MakeProxy(Environment& environment, std::string_view name, const MethodTable& table,
                                       std::function<std::shared_ptr<void>()> make);
std::shared_ptr<FacadeSlot> FacadeOf(ProxyServer& proxy);
absl::Status StatusOf(const ProxyServer& proxy);
void Close(ProxyServer& proxy);

template <class I, class C, class... P, class... A>
std::vector<Value> Arguments(A&&... arguments) {
  static_assert(std::is_base_of_v<C, I>, "puma: this is no method of the interface");
  static_assert(sizeof...(P) == sizeof...(A), "puma: wrong number of arguments for this method");
  if constexpr (sizeof...(P) == sizeof...(A)) {
    static_assert((std::is_convertible_v<A&&, std::decay_t<P>> && ...), "puma: wrong argument types for this method");
    if constexpr ((std::is_convertible_v<A&&, std::decay_t<P>> && ...))
      return {Value::Encoded<std::decay_t<P>>(std::decay_t<P>(std::forward<A>(arguments)))...};
  }
  return {};
}

template <class X>
struct Referred {
  static absl::StatusOr<Value> Keep(X& object) { return Keep(std::shared_ptr<X>(std::shared_ptr<X>(), &object)); }
  static absl::StatusOr<Value> Keep(X* object) { return Keep(std::shared_ptr<X>(std::shared_ptr<X>(), object)); }
  static absl::StatusOr<Value> Keep(X&& object) { return Keep(std::make_shared<X>(std::move(object))); }
  static absl::StatusOr<Value> Keep(std::unique_ptr<X> object) { return Keep(std::shared_ptr<X>(std::move(object))); }
  static absl::StatusOr<Value> Keep(std::shared_ptr<X> object) {
    if (object == nullptr) return NothingReturned(MethodsOf<X>());
    return KeepForOthers(std::move(object), MethodsOf<X>());
  }
  static absl::StatusOr<Value> Keep(const X&) {
    static_assert(!std::is_object_v<X>, "puma: what is referred to is not const: return an X&, a std::shared_ptr<X> or an X by value");
    return Value();
  }
};

}  // namespace internal

// Handed to Interface<I>::Describe. Results: void, Status, R, StatusOr<R>; R is plain, has a puma::Codec, or is referred to.
template <class I>
class Methods {
 public:
  explicit Methods(internal::MethodTable& table) : table_(table) {}
  template <class C, class R, class... A>
  void Add(std::string_view name, R (C::*method)(A...), MethodOptions options = {}) {
    AddAs<C, R, A...>(name, method, options);
  }
  template <class C, class R, class... A>
  void Add(std::string_view name, R (C::*method)(A...) const, MethodOptions options = {}) {
    AddAs<C, R, A...>(name, method, options);
  }
  // A facade runs `body`, a function or a lambda without captures, in the caller instead: Status|StatusOr<...> body(const Facade<I>&,
  // A...), what Facade::Call returns. It may call the object's own method, by Facade::CallRemote.
  template <class C, class R, class... A, class F>
  void AddLocal(std::string_view name, R (C::*method)(A...), F body, MethodOptions options = {}) {
    AddAs<C, R, A...>(name, method, options);
    SetLocal<R, A...>(body);
  }
  template <class C, class R, class... A, class F>
  void AddLocal(std::string_view name, R (C::*method)(A...) const, F body, MethodOptions options = {}) {
    AddAs<C, R, A...>(name, method, options);
    SetLocal<R, A...>(body);
  }

 private:
  template <class C, class R, class... A, class M>
  void AddAs(std::string_view name, M method, MethodOptions options) {
    static_assert(std::is_base_of_v<C, I>, "puma: this is no method of the interface");
    static_assert((Passable<std::decay_t<A>> && ...),
                  "puma: an argument of this method can't be passed: use plain types or give it a puma::Codec");
    internal::CheckResult<internal::ResultOfT<R>>();
    table_.methods.push_back({std::string(name), internal::MethodKey(method), options, [method](void* object, std::span<const Value> in) {
                                return internal::Apply<std::decay_t<A>...>(
                                    in,
                                    [&](auto&&... a) -> R { return (static_cast<I*>(object)->*method)(std::forward<decltype(a)>(a)...); },
                                    std::index_sequence_for<A...>());
                              }});
  }
  template <class R, class... A, class F>
  void SetLocal(F body) {
    using Body = typename internal::CallResult<internal::ResultOfT<R>>::type (*)(const Facade<I>&, std::decay_t<A>...);
    static_assert(std::is_convertible_v<F, Body>,
                  "puma: a local body is a function, or a lambda without captures, of (const puma::Facade<I>&, arguments...) that returns "
                  "what Facade::Call returns");
    if constexpr (std::is_convertible_v<F, Body>)
      table_.methods.back().local = reinterpret_cast<internal::LocalBody>(static_cast<Body>(body));
  }
  internal::MethodTable& table_;
};

namespace internal {
template <class I>
const MethodTable& MethodsOf() {
  static_assert(HasInterface<I>, "puma: list the methods of this class in a puma::Interface, before its first use");
  static const auto* const table = [] {
    auto* made = new MethodTable{Demangle(typeid(I).name()), {}};
    if constexpr (HasInterface<I>) {
      Methods<I> methods(*made);
      Interface<I>::Describe(methods);
    }
    return made;
  }();
  return *table;
}
}  // namespace internal

// An object that a call has returned, in the scope where it was made: a runnable's, or a proxy's. Thread-safe; a cheap handle. The last
// copy lets go of the object there. Once that scope has ended, each use is UNAVAILABLE.
template <class X>
class Remote {
 public:
  // As Runner::Call: 60 s, or what the method's options say. From that scope's own thread it runs directly.
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...), A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), std::nullopt, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...) const, A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), std::nullopt, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto CallWithin(Timeout within, R (C::*method)(P...), A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), within, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto CallWithin(Timeout within, R (C::*method)(P...) const, A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), within, std::forward<A>(arguments)...);
  }

  static absl::StatusOr<Remote> Of(const Value& value) {
    if (value.reference() == nullptr) return InvalidArgument("puma: the answer is no reference");
    return Remote(value.reference());
  }

 private:
  explicit Remote(std::shared_ptr<internal::RemoteHandle> object) : object_(std::move(object)) {}
  template <class C, class R, class... P, class... A>
  auto Send(const std::string& key, std::optional<Timeout> within, A&&... arguments) const {
    return internal::ResultFrom<internal::ResultOfT<R>>(internal::CallReference(
        object_, internal::MethodsOf<X>(), key, internal::Arguments<X, C, P...>(std::forward<A>(arguments)...), within));
  }
  std::shared_ptr<internal::RemoteHandle> object_;
};

// A way to the object of a Proxy, from any thread, many at once; each caller gets its own answer. A cheap handle. It crosses to children as
// RunnerOptions::facades and Setup::UseFacade, at most to 120 of them at a time.
template <class I>
class Facade : public AnyFacade {
 public:
  using AnyFacade::AnyFacade;
  // As Runner::Call: 60 s, or what the method's options say. UNAVAILABLE: the proxy has ended. FAILED_PRECONDITION: used where its runnable
  // does not run. From the proxy's own thread it runs directly. A method with a local body runs that.
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...), A&&... arguments) const {
    return CallLocal<C, R, P...>(internal::MethodKey(method), std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...) const, A&&... arguments) const {
    return CallLocal<C, R, P...>(internal::MethodKey(method), std::forward<A>(arguments)...);
  }
  // Always sent, also if the method has a local body.
  template <class C, class R, class... P, class... A>
  auto CallRemote(R (C::*method)(P...), A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), std::nullopt, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto CallRemote(R (C::*method)(P...) const, A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), std::nullopt, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto CallWithin(Timeout within, R (C::*method)(P...), A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), within, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto CallWithin(Timeout within, R (C::*method)(P...) const, A&&... arguments) const {
    return Send<C, R, P...>(internal::MethodKey(method), within, std::forward<A>(arguments)...);
  }

 private:
  template <class C, class R, class... P, class... A>
  auto CallLocal(const std::string& key, A&&... arguments) const {
    using Result = typename internal::CallResult<internal::ResultOfT<R>>::type;
    const internal::Method* const listed = internal::MethodsOf<I>().FindKey(key);
    if constexpr (std::is_invocable_v<Result (*)(const Facade&, std::decay_t<P>...), const Facade&, A...>) {
      if (listed != nullptr && listed->local != nullptr)
        return reinterpret_cast<Result (*)(const Facade&, std::decay_t<P>...)>(listed->local)(*this, std::forward<A>(arguments)...);
    }
    return Send<C, R, P...>(key, std::nullopt, std::forward<A>(arguments)...);
  }
  template <class C, class R, class... P, class... A>
  auto Send(const std::string& key, std::optional<Timeout> within, A&&... arguments) const {
    return internal::ResultFrom<internal::ResultOfT<R>>(internal::CallFacade(
        *slot_, internal::MethodsOf<I>(), key, internal::Arguments<I, C, P...>(std::forward<A>(arguments)...), within));
  }
};

// Serves an object on a thread of its own, in the process that makes the proxy: calls come one after the other, in order. A scope: the call
// in hand finishes, those that wait are UNAVAILABLE. Thread-safe.
template <class I>
class Proxy {
 public:
  // The object lives longer.
  Proxy(Environment& environment, std::string_view name, I& object)
      : server_(internal::MakeProxy(environment, name, internal::MethodsOf<I>(),
                                    [&object] { return std::shared_ptr<void>(std::shared_ptr<void>(), &object); })) {}
  // Made, used and destroyed on the proxy's thread only. What `make` throws is the error of status() and of each call.
  Proxy(Environment& environment, std::string_view name, std::function<std::unique_ptr<I>()> make)
      : server_(internal::MakeProxy(environment, name, internal::MethodsOf<I>(),
                                    [make = std::move(make)] { return std::shared_ptr<I>(make()); })) {}
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy() { internal::Close(*server_); }

  Facade<I> facade() const { return Facade<I>(internal::FacadeOf(*server_)); }
  absl::Status status() const { return internal::StatusOf(*server_); }  // why it can't serve
  void Close() { internal::Close(*server_); }

 private:
  std::shared_ptr<internal::ProxyServer> server_;
};

}  // namespace puma
#endif  // PUMA_PROXY_H_
