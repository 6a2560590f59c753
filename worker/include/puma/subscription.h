#ifndef PUMA_SUBSCRIPTION_H_
#define PUMA_SUBSCRIPTION_H_
// The reading end of a buffer in a program of one's own: values are read where they lie.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "puma/buffer.h"
#include "puma/event.h"

namespace puma {

struct SubscribeOptions {
  std::string name = {};  // a buffer for many subscriptions keeps the position of a named one while nobody reads under this name
  bool lossy = false;     // never makes a publisher wait; Message::missed says how many values were overwritten before this one
  bool from_now = false;  // without what is still in the buffer
};

namespace internal {
class SubscriptionCore;
using ReceivedRef = absl::FunctionRef<absl::Status(const Received&)>;
using CompletedRef = absl::FunctionRef<absl::Status(const absl::Status&)>;
// How many of at most `at_most` items were taken. `on_complete`: may be null.
absl::StatusOr<size_t> Take(SubscriptionCore&, ReceivedRef on_value, const CompletedRef* on_complete, size_t at_most);
using RunRef = absl::FunctionRef<absl::Status(Bytes)>;
absl::StatusOr<size_t> TakeRuns(SubscriptionCore&, RunRef on_run, const CompletedRef* on_complete, size_t at_most);
absl::Status Hold(SubscriptionCore&, size_t count);
void Release(SubscriptionCore&);
absl::Status StatusOf(const SubscriptionCore&);
void End(SubscriptionCore&);

template <class F, class V>
absl::Status Hand(F& f, V&& value, const Message& message) {
  return AsStatus([&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<F&, V, const Message&>) {
      return f(std::forward<V>(value), message);
    } else if constexpr (std::is_invocable_v<F&, V>) {
      return f(std::forward<V>(value));
    } else {
      return f(value);  // takes a thread-only value by reference
    }
  });
}
}  // namespace internal

// A scope: the destructor leaves, and what was not taken stays for the next subscription. One thread at a time uses it.
//
// on_value: void|Status f(const T&) or f(T) or f(const T&, const Message&). The value is valid while it runs, longer only if held; its slot
// is free afterwards. Its error is returned, and the item counts as taken.
// on_complete: void|Status f(const Status& error), once, after all values; no value follows. Absent or null: OK is taken silently, an error
// is returned.
template <class T>
class Subscription {
 public:
  explicit Subscription(std::shared_ptr<internal::SubscriptionCore> core) : core_(std::move(core)) {}
  Subscription(Subscription&&) noexcept = default;
  Subscription& operator=(Subscription&& other) noexcept {
    Leave();
    core_ = std::move(other.core_);
    return *this;
  }
  ~Subscription() { Leave(); }

  // Takes at most one item and calls one of the two before it returns. Never blocks. False: there was nothing. DATA_LOSS: the item was no T
  // and is skipped.
  template <class F, class G = std::nullptr_t>
  absl::StatusOr<bool> CallEvents(F&& on_value,
                                  G&& on_complete = nullptr) requires(!std::is_base_of_v<Subscriber<T>, std::remove_cvref_t<F>>) {
    auto taken = Drain(on_value, on_complete, 1);
    if (!taken.ok()) return taken.status();
    return *taken != 0;
  }
  absl::StatusOr<bool> CallEvents(Subscriber<T>& subscriber) {
    return CallEvents([&](const T& value) { return subscriber.OnValue(value); },
                      [&](const absl::Status& error) { return subscriber.OnComplete(error); });
  }
  // Takes what is there, at most so many items, and says how many. An error ends the batch.
  template <class F, class G = std::nullptr_t>
  absl::StatusOr<size_t> Drain(F&& on_value, G&& on_complete = nullptr, size_t at_most = 64) {
    if (!core_) return Gone();
    auto received = [&](const internal::Received& r) {
      return internal::WithValue<T>(r, [&](auto&& v) { return internal::Hand(on_value, std::forward<decltype(v)>(v), r.message); });
    };
    if constexpr (std::is_same_v<std::remove_cvref_t<G>, std::nullptr_t>) {
      return internal::Take(*core_, received, nullptr, at_most);
    } else {
      auto completed = [&](const absl::Status& error) {
        return internal::AsStatus([&]() -> decltype(auto) { return on_complete(error); });
      };
      const internal::CompletedRef on_completed = completed;
      return internal::Take(*core_, received, &on_completed, at_most);
    }
  }

  // As Drain, but for plain values, array by array: void|Status f(std::span<const T>), as many as lie one after the other (if their
  // size is a multiple of 8; else, and from a lossy subscription, one by one). All of a run count as taken, whatever f returns.
  template <class F, class G = std::nullptr_t>
  absl::StatusOr<size_t> DrainRuns(F&& on_run, G&& on_complete = nullptr, size_t at_most = 1024) {
    static_assert(Encodable<T> && Codec<T>::kInPlace, "puma: only plain values lie one after the other");
    if (!core_) return Gone();
    auto received = [&](Bytes bytes) {
      const std::span<const T> values(reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T));
      return internal::AsStatus([&]() -> decltype(auto) { return on_run(values); });
    };
    if constexpr (std::is_same_v<std::remove_cvref_t<G>, std::nullptr_t>) {
      return internal::TakeRuns(*core_, received, nullptr, at_most);
    } else {
      auto completed = [&](const absl::Status& error) {
        return internal::AsStatus([&]() -> decltype(auto) { return on_complete(error); });
      };
      const internal::CompletedRef on_completed = completed;
      return internal::TakeRuns(*core_, received, &on_completed, at_most);
    }
  }

  // From now on the last `count` values of each publisher stay where they are, and references to them valid, until newer ones push them
  // out, Release, or the completion. They count against the capacity, of which one must remain, and come again to who subscribes next.
  absl::Status Hold(size_t count) {
    if (!core_) return Gone();
    return internal::Hold(*core_, count);
  }
  void Release() {
    if (core_) internal::Release(*core_);
  }

  absl::Status status() const { return core_ ? internal::StatusOf(*core_) : Gone(); }  // why it can't be used; each use says the same
  // Leaves. A second time only warns.
  void Close() {
    if (!core_) return;
    internal::End(*core_);
    closed_ = true;
  }

 private:
  static absl::Status Gone() { return FailedPrecondition("puma: this subscription has been moved from"); }
  void Leave() {
    if (core_ && !std::exchange(closed_, false)) internal::End(*core_);
    core_ = nullptr;
  }
  std::shared_ptr<internal::SubscriptionCore> core_;
  bool closed_ = false;
};

}  // namespace puma
#endif  // PUMA_SUBSCRIPTION_H_
