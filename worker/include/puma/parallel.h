#ifndef PUMA_PARALLEL_H_
#define PUMA_PARALLEL_H_
// Multicaster, pools and executors. Jobs are functions, or lambdas without captures: the same rule for threads and processes, checked by
// the compiler. A child process finds them by object file and offset, never by name.
#include <memory>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "puma/environment.h"

namespace puma {
namespace internal {

class MulticasterCore;
class PoolCore;
using JobFunction = absl::StatusOr<Value> (*)(std::span<const Value> arguments);

template <class... A>
struct Types {};
// The parameters of a job, which its arguments are converted to: those of its only operator(), else the arguments' own types.
template <class F, class... A>
struct Parameters {
  using type = Types<std::decay_t<A>...>;
};
template <class M>
struct ParametersOf;
template <class C, class R, class... P>
struct ParametersOf<R (C::*)(P...) const> {
  using type = Types<std::decay_t<P>...>;
};
template <class C, class R, class... P>
struct ParametersOf<R (C::*)(P...) const noexcept> : ParametersOf<R (C::*)(P...) const> {};
template <class R, class... P>
struct ParametersOf<R (*)(P...)> {
  using type = Types<std::decay_t<P>...>;
};
template <class R, class... P>
struct ParametersOf<R (*)(P...) noexcept> : ParametersOf<R (*)(P...)> {};
template <class F, class... A>
requires requires { &F::operator(); }
struct Parameters<F, A...> : ParametersOf<decltype(&F::operator())> {};
// A function as a class of its own.
template <auto kFunction>
struct FunctionJob {
  template <class... A>
  auto operator()(A&&... a) const -> decltype(kFunction(std::forward<A>(a)...)) {
    return kFunction(std::forward<A>(a)...);
  }
};
template <auto kFunction, class... A>
struct Parameters<FunctionJob<kFunction>, A...> : ParametersOf<decltype(kFunction)> {};

template <class F>
concept Stateless = std::is_class_v<F> && std::is_empty_v<F> && std::is_default_constructible_v<F>;
template <class F>
constexpr bool CheckJob() {
  static_assert(!std::is_pointer_v<F> && !std::is_member_pointer_v<F>,
                "puma: give a function as Submit<&Function>(args...), so that a process can find it");
  static_assert(std::is_pointer_v<F> || std::is_member_pointer_v<F> || Stateless<F>,
                "puma: a job may not capture: captures can't reach another process. Pass values as arguments");
  return Stateless<F>;
}

template <class R, class F>
absl::StatusOr<Value> EncodedResult(F&& call) {
  using T = std::remove_cvref_t<decltype(call())>;
  if constexpr (std::is_void_v<T>) {
    call();
    return Value();
  } else if constexpr (std::same_as<T, absl::Status>) {
    if (absl::Status status = call(); !status.ok()) return status;
    return Value();
  } else if constexpr (!std::same_as<T, ResultOfT<T>>) {
    auto result = call();
    if (!result.ok()) return std::move(result).status();
    return Value::Encoded<R>(*std::move(result));
  } else {
    return Value::Encoded<R>(call());
  }
}
// Runs an F, whose result is an R, with P...
template <class F, class R, class... P>
struct JobOf {
  static_assert((Passable<P> && ...), "puma: an argument of this job can't be passed: use plain types or give it a puma::Codec");
  static_assert(std::is_void_v<R> || Passable<R>, "puma: this job's result can't be passed: use a plain type or give it a puma::Codec");
  static absl::StatusOr<Value> Run(std::span<const Value> in) { return Unpack(in, std::index_sequence_for<P...>()); }
  // One after the other: the results as a list, or the first error.
  static absl::StatusOr<Value> RunEach(std::span<const Value> in) {
    std::vector<Value> results;
    for (const Value& each : in) {
      auto result = Run({&each, 1});
      if (!result.ok()) return result;
      results.push_back(*std::move(result));
    }
    return Value::List(std::move(results));
  }

 private:
  template <size_t... I>
  static absl::StatusOr<Value> Unpack([[maybe_unused]] std::span<const Value> in, std::index_sequence<I...>) {
    [[maybe_unused]] std::tuple<absl::StatusOr<P>...> arguments{in[I].template As<P>()...};
    absl::Status bad;
    (bad.Update(std::get<I>(arguments).status()), ...);
    if (!bad.ok()) return bad;
    return EncodedResult<R>([&]() -> decltype(auto) { return F{}(*std::move(std::get<I>(arguments))...); });
  }
};
// A job with its arguments, ready to go.
struct PackedJob {
  JobFunction function = nullptr;
  std::vector<Value> arguments;
};
template <class F, class... P>
struct JobResult {
  using type = void;
};
template <class F, class... P>
requires std::is_invocable_v<const F&, P...>
struct JobResult<F, P...> {
  using type = ResultOfT<std::invoke_result_t<const F&, P...>>;
};
template <class F, class... P>
struct Packer;
template <class F, class... P>
struct Packer<F, Types<P...>> {
  template <class... A>
  static constexpr bool kFits = [] {
    if constexpr (sizeof...(A) == sizeof...(P)) {
      return (std::is_convertible_v<A, P> && ...) && std::is_invocable_v<const F&, P...>;
    } else {
      return false;
    }
  }();
  using Result = typename JobResult<F, P...>::type;
  template <class R, class... A>
  static PackedJob Pack(A&&... arguments) {
    return {&JobOf<F, R, P...>::Run, {Value::Encoded<P>(P(std::forward<A>(arguments)))...}};
  }
};
template <class F, class... A>
using PackerOf = Packer<F, typename Parameters<F, A...>::type>;

// What a worker of a pool or an executor runs.
class JobWorker : public Runnable {
 public:
  explicit JobWorker(Setup& setup);
  ~JobWorker() override;

 private:
  virtual absl::Status Collect(Value&) { return absl::OkStatus(); }  // what it leaves goes to the owner
  absl::Status OnJob(const std::string& packed);
  absl::StatusOr<Value> RunJob(std::string_view packed, uint64_t& id);
  struct Known;
  const std::unique_ptr<Known> known_;
  const int worker_;
  Output<std::string> reports_;
};
template <class R>
class CollectingWorker final : public JobWorker {
 public:
  explicit CollectingWorker(Setup& setup) : JobWorker(setup), results_(setup.Output<R>("results")) {}

 private:
  absl::Status Collect(Value& result) override {
    auto value = std::exchange(result, Value()).template As<R>();
    if (!value.ok()) return value.status();
    return results_.PublishValue(*value, kInfinite, OnFull::kError);
  }
  Output<R> results_;
};
using MakeWorker = AnyRunner (*)(Environment&, std::string_view name, RunnerOptions);
template <class W>
AnyRunner MakeWorkerOf(Environment& environment, std::string_view name, RunnerOptions options) {
  return environment.CreateRunner<W>(name, std::move(options));
}
// `results`: null for an executor.
std::shared_ptr<PoolCore> MakePool(Environment& environment, int size, std::string_view name, MakeWorker make, const AnyBuffer* results);
absl::Status SubmitToPool(PoolCore& pool, PackedJob job);                  // blocks while one waits already
std::shared_ptr<CallCore> SubmitForResult(PoolCore& pool, PackedJob job);  // never blocks
// `each`: takes any number of inputs, and returns the list of their results.
absl::StatusOr<std::vector<Value>> MapJobs(PoolCore& pool, JobFunction each, std::vector<Value> inputs, Timeout timeout, int chunk);
absl::Status StatusOf(PoolCore& pool);
absl::Status Close(PoolCore& pool, Timeout timeout);
void CloseAtEnd(PoolCore& pool);

}  // namespace internal

// Copies what one buffer gets to others, on a thread of its own, with the completion: for buffers that must be several. (Where one will do,
// many subscriptions of it copy nothing.) Values are offered to the outputs in the order of subscribing. Thread-safe.
class Multicaster {
 public:
  Multicaster(Environment& environment, const AnyBuffer& from);
  ~Multicaster();  // Close; logs an error that nobody took
  // Another buffer of the same type, as a publisher of it from now on. A full output is skipped (kIgnore, kWarn); or ends the multicaster
  // (kError), and all outputs are completed with an error that names it; or is waited for (kBlock), which holds up all. ALREADY_EXISTS:
  // twice. FAILED_PRECONDITION: started.
  absl::Status Subscribe(const AnyBuffer& to, OnFull on_full = OnFull::kError);
  absl::Status Unsubscribe(const AnyBuffer& to);  // NOT_FOUND; FAILED_PRECONDITION: started
  absl::Status Start();                           // once. Without outputs, it takes values and drops them
  void Stop();                                    // leaves the outputs without completing them
  absl::Status Join(Timeout timeout = kInfinite);
  absl::Status CheckForErrors();  // its own error, once. One that came through its input goes to the outputs, who own it then
  absl::Status Close();           // Stop, Join, CheckForErrors; everything afterwards is FAILED_PRECONDITION

 private:
  const std::unique_ptr<internal::MulticasterCore> core_;
};

// Workers, threads or processes, that run jobs; results arrive on a buffer, which each worker publishes to. Thread-safe.
template <class R>
class Pool {
 public:
  static_assert(Encodable<R>, "puma: a pool's results travel through a buffer: use a plain type or give it a puma::Codec");
  // The pool counts as a publisher of `results` from now on. `size`: workers, 1 to 100.
  Pool(Environment& environment, int size, std::string_view name, const Buffer<R>& results)
      : core_(internal::MakePool(environment, size, name, &internal::MakeWorkerOf<internal::CollectingWorker<R>>, &results)) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { internal::CloseAtEnd(*core_); }

  // One job may wait for a worker; with that place taken it blocks. An earlier job's error, or a worker's, is returned here instead, once,
  // and this job is not taken: ask again. UNAVAILABLE: all workers have died.
  template <class F, class... A>
  absl::Status Submit(F, A&&... arguments) {
    if constexpr (internal::CheckJob<F>()) {
      using Packer = internal::PackerOf<F, A...>;
      static_assert(Packer::template kFits<A...>, "puma: wrong arguments for this job");
      if constexpr (Packer::template kFits<A...>) {
        static_assert(std::is_convertible_v<typename Packer::Result, R>, "puma: this job's result is not what the pool collects");
        return internal::SubmitToPool(*core_, Packer::template Pack<R>(std::forward<A>(arguments)...));
      }
    }
    return absl::OkStatus();
  }
  template <auto kFunction, class... A>
  absl::Status Submit(A&&... arguments) {
    return Submit(internal::FunctionJob<kFunction>(), std::forward<A>(arguments)...);
  }
  absl::Status status() const { return internal::StatusOf(*core_); }  // why it can't work; each use says the same
  // Submitted jobs finish, workers end, then the result buffer gets the pool's one OK completion. The first error that no Submit has
  // returned, the rest is logged. Somebody must read the results, or they must fit. After the timeout, a second later, workers
  // that still run are ended as by Runner::Close.
  absl::Status Close(Timeout timeout = kInfinite) { return internal::Close(*core_, timeout); }

 private:
  const std::shared_ptr<internal::PoolCore> core_;
};

// Workers, threads or processes, that run jobs; results come as futures. Thread-safe.
class Executor {
 public:
  Executor(Environment& environment, int size, std::string_view name = "executor")
      : core_(internal::MakePool(environment, size, name, &internal::MakeWorkerOf<internal::JobWorker>, nullptr)) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor() { internal::CloseAtEnd(*core_); }

  // Never blocks. What goes wrong is the future's.
  template <class F, class... A>
  auto Submit(F, A&&... arguments) {
    if constexpr (internal::CheckJob<F>()) {
      using Packer = internal::PackerOf<F, A...>;
      static_assert(Packer::template kFits<A...>, "puma: wrong arguments for this job");
      if constexpr (Packer::template kFits<A...>) {
        using R = typename Packer::Result;
        return Future<R>(internal::SubmitForResult(*core_, Packer::template Pack<R>(std::forward<A>(arguments)...)));
      } else {
        return Future<void>(nullptr);
      }
    } else {
      return Future<void>(nullptr);
    }
  }
  template <auto kFunction, class... A>
  auto Submit(A&&... arguments) {
    return Submit(internal::FunctionJob<kFunction>(), std::forward<A>(arguments)...);
  }
  // The job's results for all inputs, in their order: StatusOr<std::vector<R>>, or Status. `chunk` inputs, >= 1, travel together, and the
  // first error of a chunk is its last. The first error in the order of the inputs is returned. DEADLINE_EXCEEDED: not all within
  // `timeout`. Either way what has not begun is dropped.
  template <class F, class T>
  auto Map(F, const std::vector<T>& inputs, Timeout timeout = kInfinite, int chunk = 1) {
    if constexpr (internal::CheckJob<F>()) {
      using Packer = internal::PackerOf<F, T>;
      static_assert(Packer::template kFits<T>, "puma: wrong arguments for this job");
      if constexpr (Packer::template kFits<T>) {
        return MapAs(Packer(), inputs, timeout, chunk);
      } else {
        return absl::OkStatus();
      }
    } else {
      return absl::OkStatus();
    }
  }
  template <auto kFunction, class T>
  auto Map(const std::vector<T>& inputs, Timeout timeout = kInfinite, int chunk = 1) {
    return Map(internal::FunctionJob<kFunction>(), inputs, timeout, chunk);
  }
  absl::Status status() const { return internal::StatusOf(*core_); }  // why it can't work; each use says the same
  // Running and waiting jobs finish, and their futures stay readable. Submit and Map are FAILED_PRECONDITION from now on.
  absl::Status Shutdown(Timeout timeout = kInfinite) { return internal::Close(*core_, timeout); }

 private:
  template <class F, class P, class T>
  auto MapAs(internal::Packer<F, internal::Types<P>>, const std::vector<T>& inputs, Timeout timeout, int chunk) {
    using R = typename internal::Packer<F, internal::Types<P>>::Result;
    std::vector<Value> values;
    for (const auto& input : inputs) values.push_back(Value::Encoded<P>(P(input)));
    auto mapped = internal::MapJobs(*core_, &internal::JobOf<F, R, P>::RunEach, std::move(values), timeout, chunk);
    if constexpr (std::is_void_v<R>) {
      return mapped.status();
    } else {
      absl::StatusOr<std::vector<R>> results = std::vector<R>();
      if (!mapped.ok()) return results = mapped.status();
      for (const Value& value : *mapped) {
        auto result = value.As<R>();
        if (!result.ok()) return absl::StatusOr<std::vector<R>>(result.status());
        results->push_back(*std::move(result));
      }
      return results;
    }
  }
  const std::shared_ptr<internal::PoolCore> core_;
};

}  // namespace puma
#endif  // PUMA_PARALLEL_H_
