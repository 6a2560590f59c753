#include <fmt/format.h>
#include <pthread.h>
#include <puma/log.h>

#include <cerrno>
#include <string>
#include <utility>

#include "worker/logging/record_sink.h"
#include "worker/platform/system.h"

namespace puma {
namespace logging {
namespace {

// Initial-exec: a signal handler reads them, and they cost one load.
__attribute__((tls_model("initial-exec"))) thread_local const Logger* thread_logger = nullptr;
__attribute__((tls_model("initial-exec"))) thread_local uint32_t thread_slot = 0;
__attribute__((tls_model("initial-exec"))) thread_local int64_t thread_id = 0;

std::atomic<const std::string*> the_process_name{nullptr};

}  // namespace

int64_t CachedThreadId() {
  if (thread_id == 0) {
    // The thread that forks is the only one that the child has.
    [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, ForgetThreadId);
    thread_id = ThreadId();
  }
  return thread_id;
}
void ForgetThreadId() { thread_id = 0; }

const std::string& ProcessName() {
  const std::string* name = the_process_name.load(std::memory_order_acquire);
  if (name == nullptr) the_process_name.store(name = InternName(program_invocation_short_name), std::memory_order_release);
  return *name;
}
void SetProcessName(std::string_view name) { the_process_name.store(InternName(name), std::memory_order_release); }

ThreadScope::ThreadScope(const Logger& logger, uint32_t slot) : previous_logger_(thread_logger), previous_slot_(thread_slot) {
  thread_logger = &logger;
  thread_slot = slot + 1;
}

ThreadScope::~ThreadScope() {
  thread_logger = previous_logger_;
  thread_slot = previous_slot_;
}

ThreadIdentity ExchangeThreadIdentity(ThreadIdentity identity) {
  return {std::exchange(thread_logger, identity.logger), std::exchange(thread_slot, identity.slot_plus_one)};
}

uint32_t CurrentSlotPlusOne() { return thread_slot; }

}  // namespace logging

namespace {

// A user's formatter may throw: logging never does.
void Format(fmt::string_view format, fmt::format_args args, fmt::memory_buffer& text) {
  try {
    fmt::vformat_to(fmt::appender(text), format, args);
  } catch (const std::exception& e) {
    constexpr size_t kMost = 400;  // no allocation: it may be what failed
    text.clear();
    fmt::format_to(fmt::appender(text), "<error: {}>", std::string_view(e.what()).substr(0, kMost));
  } catch (...) {
    text.clear();
    fmt::format_to(fmt::appender(text), "<error>");
  }
}

}  // namespace

Logger::Logger(std::string_view name) : level_(logging::LevelWord(name)), name_(logging::InternName(name)) {}

void Logger::Write(Level level, const Here& where, fmt::string_view format, fmt::format_args args) const noexcept {
  const int before = errno;
  try {
    fmt::memory_buffer text;  // on the stack, unless the text is long
    Format(format, args, text);
    logging::Record record;
    record.time_unix_ns = RealNanos();
    record.level = level;
    record.logger = *name_;
    record.where = where;
    record.thread = logging::CachedThreadId();
    record.slot_plus_one = logging::thread_slot;
    record.text = {text.data(), text.size()};
    record.only_for_captures = logging::OnlyForCaptures(*name_, level);
    logging::Dispatch(record);
  } catch (...) {  // no memory: the record is lost, the caller is not
  }
  errno = before;
}

const Logger& log() {
  static const Logger process("");
  return logging::thread_logger != nullptr ? *logging::thread_logger : process;
}

}  // namespace puma
