#ifndef PUMA_MONITOR_H_
#define PUMA_MONITOR_H_
// A runnable that logs whatever arrives on a buffer, for a look at what goes on: CreateRunner<puma::Monitor<Frame>>("monitor", {.inputs =
// {{"values", frames}}}), or module.Add<puma::Monitor<Frame>>("FrameMonitor"). A buffer for many subscriptions lets it look beside others.
#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <typeinfo>

#include "puma/runnable.h"

namespace puma {

namespace internal {

// As fmt shows it, else as JSON, else its type and its first bytes.
template <class T>
std::string TextOf(const T& value) {
  if constexpr (fmt::is_formattable<T>::value) {
    return fmt::format("{}", value);
  } else if constexpr (Speakable<T>) {
    return Value::Of(value).ToJson();
  } else if constexpr (IsBlock<T>::value) {
    return fmt::format("{} and {} bytes", TextOf(value.header()), value.bytes().size());
  } else {
    std::string text = Demangle(typeid(T).name());
    if constexpr (std::is_trivially_copyable_v<T>) {
      const Bytes bytes = std::as_bytes(std::span(&value, 1));
      text += fmt::format(" of {} bytes:", bytes.size());
      for (std::byte each : bytes.first(std::min<size_t>(bytes.size(), 16))) text += fmt::format(" {:02x}", static_cast<uint8_t>(each));
    }
    return text;
  }
}

}  // namespace internal

template <class T>
class Monitor : public Runnable {
 public:
  explicit Monitor(Setup& setup) : at_most_(setup.Param("at_most", int64_t{0}, "how many values are logged; 0: all")) {
    setup.Input("values", &Monitor::OnValue, &Monitor::OnComplete);
  }

 private:
  void OnValue(const T& value, const Message& message) {
    if (at_most_ != 0 && count_++ >= at_most_) return;
    log().info("{}: {}", message.sequence, internal::TextOf(value));
  }
  void OnComplete(const absl::Status& error) { log().info("complete: {}", error.ok() ? "OK" : Explain(error)); }
  const int64_t at_most_;
  int64_t count_ = 0;
};

}  // namespace puma
#endif  // PUMA_MONITOR_H_
