#ifndef PUMA_LOG_H_
#define PUMA_LOG_H_
// Logging. A disabled call is one load; below the level nothing is formatted. Arguments of the PUMA_LOG macros are then not even evaluated.
#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "puma/here.h"

namespace puma {

enum class Level : uint32_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };

template <class... A>
struct LogFormat {  // a checked format string that knows where it stands
  template <class S>
  consteval LogFormat(const S& s, Here w = Here::Now()) : format(s), where(w) {}  // NOLINT: implicit by design
  fmt::format_string<A...> format;
  Here where;
};

// Thread-safe; a cheap handle. Under the host records go to the host's log, elsewhere to stderr. Never throws, never blocks on a reader.
class Logger {
 public:
  explicit Logger(std::string_view name);  // "imaging.sobel"
  bool enabled(Level level) const { return static_cast<uint32_t>(level) >= level_->load(std::memory_order_relaxed); }
  template <class... A>
  void trace(LogFormat<std::type_identity_t<A>...> f, A&&... a) const {
    Log(Level::kTrace, f, a...);
  }
  template <class... A>
  void debug(LogFormat<std::type_identity_t<A>...> f, A&&... a) const {
    Log(Level::kDebug, f, a...);
  }
  template <class... A>
  void info(LogFormat<std::type_identity_t<A>...> f, A&&... a) const {
    Log(Level::kInfo, f, a...);
  }
  template <class... A>
  void warn(LogFormat<std::type_identity_t<A>...> f, A&&... a) const {
    Log(Level::kWarn, f, a...);
  }
  template <class... A>
  void error(LogFormat<std::type_identity_t<A>...> f, A&&... a) const {
    Log(Level::kError, f, a...);
  }
  const std::string& name() const { return *name_; }

  // For the runtime: a logger with a level word of its own. Both must outlive it.
  Logger(const std::string* name, const std::atomic<uint32_t>* level) : level_(level), name_(name) {}

 private:
  template <class F, class... A>
  void Log(Level level, const F& f, A&... a) const {
    if (enabled(level)) Write(level, f.where, fmt::string_view(f.format), fmt::make_format_args(a...));
  }
  void Write(Level level, const Here& where, fmt::string_view format, fmt::format_args args) const noexcept;
  const std::atomic<uint32_t>* level_;
  const std::string* name_;
};

const Logger& log();  // the runnable's logger on its thread, the process's elsewhere

}  // namespace puma

#define PUMA_LOG(severity, ...)                                                                \
  if (const auto& puma_log_ = ::puma::log(); !puma_log_.enabled(::puma::Level::k##severity)) { \
  } else /* NOLINT */                                                                          \
    puma_log_.PUMA_LOG_##severity(__VA_ARGS__)
#define PUMA_LOG_Trace trace
#define PUMA_LOG_Debug debug
#define PUMA_LOG_Info info
#define PUMA_LOG_Warn warn
#define PUMA_LOG_Error error
#endif  // PUMA_LOG_H_
