#ifndef PUMA_TESTING_TEST_RUN_H_
#define PUMA_TESTING_TEST_RUN_H_
// Runs a runnable inline: no thread, a clock that the test turns, ports in memory, the log captured. Needs no test framework.
//
//   puma::testing::TestRun<Averager> run;
//   PUMA_ASSERT_OK(run.Start());
//   PUMA_ASSERT_OK(run.input<double>("samples").PublishValue(2.0));
//   PUMA_ASSERT_OK(run.Advance(absl::Seconds(1)));
//   EXPECT_EQ(run.Take<double>("mean"), std::vector<double>{2.0});
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "puma/environment.h"
#include "puma/testing/log_capture.h"
#include "puma/testing/manual_clock.h"

namespace puma::testing {

using Params = std::map<std::string, Value>;

struct TestRunOptions {
  std::string name = "test_run";  // the runnable's
  // Of its ports: room for what is published, either way, between two steps or two Takes. A full one is RESOURCE_EXHAUSTED; with
  // OnFull::kBlock the runnable waits there, until a Step after a Take. Fewer values than `capacity` if that many take more than 16 MiB.
  BufferOptions buffers = {.capacity = 1024, .capacity_bytes = 4 << 20};
  std::vector<std::string> unconnected = {};  // optional ports that nothing is connected to
  // Objects that it calls (Setup::UseFacade), each of a Proxy or a fake of one, all of one environment. They answer on threads of their
  // own.
  std::vector<FacadeWire> facades = {};
  ManualClock* clock = nullptr;  // shared by several runs; outlives them. Null: its own
};

namespace internal {
class InlineRun;
}

// What TestRun does for any type. One thread uses it. Its destructor stops the runnable, and steps it until it has ended.
class AnyTestRun {
 public:
  AnyTestRun(const AnyTestRun&) = delete;
  AnyTestRun& operator=(const AnyTestRun&) = delete;
  ~AnyTestRun();

  // Once. Constructs the runnable, calls its OnStart. INVALID_ARGUMENT: all that is wrong with its declarations and parameters;
  // FAILED_PRECONDITION: its constructor declares something else each time.
  absl::Status Start();
  // Lets it run until it would sleep: all that is due at the clock's time is done, ticks, inputs, completions. A loop of its own runs until
  // it polls for commands again. Its error, if it has ended with one, again and again; it goes nowhere else.
  absl::Status Step();
  // Steps, and turns the clock by `by` (finite, not negative) from tick to tick, stepping at each.
  absl::Status Advance(absl::Duration by);
  // Asked for; the next Step serves it.
  void Stop();
  bool ended() const;
  absl::Status result() const;  // its error; OK: it runs, has completed or was stopped

  ManualClock& clock();
  const LogCapture& log() const;  // all that is logged while this lives, by anybody in this process

  // What an output was completed with, once all its values are taken; nothing: it was not, or they aren't. Throws like Take.
  std::optional<absl::Status> Completion(std::string_view output);

 protected:
  AnyTestRun(puma::internal::RunnableType type, const Params& params, TestRunOptions options);
  std::shared_ptr<puma::internal::OutputCore> In(std::string_view port, TypeInfo type);
  size_t TakeFrom(std::string_view port, TypeInfo type, puma::internal::ReceivedRef on_value);
  Runnable& Object() const;
  Runnable& ParentHalf() const;
  absl::StatusOr<Value> Command(std::string_view method, const std::vector<Value>& arguments);
  absl::StatusOr<Value> Latest(const std::string& type);

 private:
  std::unique_ptr<internal::InlineRun> run_;
};

template <class T>
class TestRun : public AnyTestRun {
 public:
  explicit TestRun(const Params& params = {}, TestRunOptions options = {})
      : AnyTestRun(puma::internal::TypeOf<T>(), params, std::move(options)) {}
  TestRun(std::initializer_list<Params::value_type> params, TestRunOptions options = {})  // else {{"a", "b"}} is ambiguous
      : TestRun(Params(params), std::move(options)) {}

  // What the runnable reads from. The same publisher each time; PublishComplete completes the input. With a wrong name or type each use
  // says so.
  template <class V>
  Publisher<V> input(std::string_view port) {
    return Publisher<V>(In(port, TypeInfo::Of<V>()));
  }
  // All that it has published since the last Take. Throws puma::Exception: there is no such output, or it has another type.
  template <class V>
  std::vector<V> Take(std::string_view port) {
    static_assert(!IsBlock<V>::value, "puma: a Block is a view: look at it with TakeEach");
    std::vector<V> taken;
    TakeEach<V>(port, [&](auto&& value) { taken.push_back(std::forward<decltype(value)>(value)); });
    return taken;
  }
  // The same, one by one, where they lie: void|Status f(const V&) or f(const V&, const Message&). How many there were.
  template <class V, class F>
  size_t TakeEach(std::string_view port, F&& f) {
    return TakeFrom(port, TypeInfo::Of<V>(), [&](const puma::internal::Received& r) {
      return puma::internal::WithValue<V>(r, [&](auto&& v) { return puma::internal::Hand(f, std::forward<decltype(v)>(v), r.message); });
    });
  }

  // The runnable itself, until this goes. Its methods may be called directly, as commands are: between steps. Throws puma::Exception before
  // Start.
  T& object() const { return static_cast<T&>(Object()); }
  // Calls a method as Runner<T>::Call does: it must be declared as a command, and its exceptions become errors.
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...), A&&... args) {
    return CallAs<C, R, P...>(puma::internal::MethodKey(method), std::forward<A>(args)...);
  }
  template <class C, class R, class... P, class... A>
  auto Call(R (C::*method)(P...) const, A&&... args) {
    return CallAs<C, R, P...>(puma::internal::MethodKey(method), std::forward<A>(args)...);
  }
  // The newest status of this type, once. NOT_FOUND: none.
  template <class S>
  absl::StatusOr<S> LatestStatus() {
    auto value = Latest(Value::TypeName<S>());
    if (!value.ok()) return value.status();
    return value->template As<S>();
  }
  // An attribute of the parent's half: run.parent(&Camera::gain) = 2.0, before Start. Throws puma::Exception if that can't be constructed.
  template <class A>
  A& parent(A T::*attribute) const {
    static_assert(std::is_base_of_v<AttributeBase, A>, "puma: only attributes have a parent's half");
    return static_cast<T&>(ParentHalf()).*attribute;
  }

 private:
  template <class C, class R, class... P, class... A>
  typename puma::internal::CallResult<puma::internal::ResultOfT<R>>::type CallAs(const std::string& key, A&&... args) {
    static_assert(std::is_base_of_v<C, T>, "puma: Call takes a method of the test run's own runnable");
    static_assert(sizeof...(P) == sizeof...(A), "puma: wrong number of arguments for this command");
    if constexpr (sizeof...(P) == sizeof...(A)) {
      static_assert((std::is_convertible_v<A&&, std::decay_t<P>> && ...), "puma: wrong argument types for this command");
      if constexpr ((std::is_convertible_v<A&&, std::decay_t<P>> && ...))
        return puma::internal::ResultFrom<puma::internal::ResultOfT<R>>(
            Command(key, {Value::Of<std::decay_t<P>>(std::decay_t<P>(std::forward<A>(args)))...}));
    }
    return absl::InternalError("not reached");
  }
};

}  // namespace puma::testing
#endif  // PUMA_TESTING_TEST_RUN_H_
