#ifndef PUMA_STATUS_H_
#define PUMA_STATUS_H_
// Errors: absl::Status everywhere. A puma::Error rides in its payload, with type, stack, causes and the runnables that it passed through.
// All of this is thread-safe: statuses and errors are values.
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "puma/here.h"

namespace puma {

struct Frame {
  std::string module;    // path of the object file
  std::string function;  // demangled; "" if the object file doesn't say
  std::string file;      // "" unless the frame was written by Fail or one of the macros
  int line = 0;
  uint64_t offset = 0;  // in the module: what addr2line takes
};

// What happened, where it was thrown, and which runnables it passed through. A plain value.
struct Error {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string message;
  std::vector<std::string> types;  // the exception's type, then its bases; empty for an error made as a Status
  std::vector<Frame> stack;        // at the throw, or where the Status was made
  std::vector<std::string> path;   // runnables, the first one to fail first
  std::vector<Error> causes;       // nested exceptions, the outermost first
  int exit_code = 0;               // of a program that ended so and thereby made the error; 0: none
  int signal = 0;                  // that ended this program; 0: none
};

absl::Status ToStatus(const Error& error);                        // OK if its code is OK
Error ErrorOf(const absl::Status& status);                        // its payload, or one made from code and message
std::string Explain(const absl::Status& status);                  // several lines, for people
bool IsError(const absl::Status& status, std::string_view type);  // "std::runtime_error": the type itself or one of its bases

// Makes a Status that knows its place and its stack.
absl::Status Fail(absl::StatusCode code, std::string_view message, Here where = Here::Now());
inline absl::Status InvalidArgument(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kInvalidArgument, m, w); }
inline absl::Status FailedPrecondition(std::string_view m, Here w = Here::Now()) {
  return Fail(absl::StatusCode::kFailedPrecondition, m, w);
}
inline absl::Status NotFound(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kNotFound, m, w); }
inline absl::Status AlreadyExists(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kAlreadyExists, m, w); }
inline absl::Status OutOfRange(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kOutOfRange, m, w); }
inline absl::Status ResourceExhausted(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kResourceExhausted, m, w); }
inline absl::Status DeadlineExceeded(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kDeadlineExceeded, m, w); }
inline absl::Status Unavailable(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kUnavailable, m, w); }
inline absl::Status DataLoss(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kDataLoss, m, w); }
inline absl::Status Unimplemented(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kUnimplemented, m, w); }
inline absl::Status Internal(std::string_view m, Here w = Here::Now()) { return Fail(absl::StatusCode::kInternal, m, w); }

// An error as an exception, for code that prefers these. The only one that the SDK throws.
class Exception : public std::exception {
 public:
  explicit Exception(absl::Status status);
  const char* what() const noexcept override { return what_.c_str(); }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
  std::string what_;
};
[[noreturn]] void Throw(const absl::Status& status);

// How long a call may block: not at all, a duration above zero, for ever, or as the buffer's spec says.
class Timeout {
 public:
  static constexpr Timeout NoWait() { return Timeout(absl::ZeroDuration(), Kind::kFixed); }
  static constexpr Timeout Infinite() { return Timeout(absl::InfiniteDuration(), Kind::kFixed); }
  static constexpr Timeout AsSpec() { return Timeout(absl::ZeroDuration(), Kind::kAsSpec); }
  // NOLINTNEXTLINE(google-explicit-constructor): implicit by design
  constexpr Timeout(absl::Duration d) : Timeout(d, d > absl::ZeroDuration() ? Kind::kFixed : Kind::kInvalid) {}
  constexpr bool valid() const { return kind_ != Kind::kInvalid; }
  constexpr bool as_spec() const { return kind_ == Kind::kAsSpec; }
  constexpr absl::Duration duration() const { return duration_; }

 private:
  enum class Kind { kFixed, kAsSpec, kInvalid };
  constexpr Timeout(absl::Duration d, Kind kind) : duration_(d), kind_(kind) {}
  absl::Duration duration_;
  Kind kind_;
};
inline constexpr Timeout kNoWait = Timeout::NoWait();
inline constexpr Timeout kInfinite = Timeout::Infinite();
inline constexpr Timeout kAsSpec = Timeout::AsSpec();

namespace internal {
absl::Status AddPlace(absl::Status status, Here where = Here::Now());  // one more frame: a hop of the error on its way out
[[noreturn]] void Die(const absl::Status& status, const char* expression, Here where = Here::Now());
}  // namespace internal
}  // namespace puma

// Each adds its file and line to the error that it hands on.
#define PUMA_RETURN_IF_ERROR(expr)                             \
  if (absl::Status puma_status_ = (expr); puma_status_.ok()) { \
  } else /* NOLINT */                                          \
    return ::puma::internal::AddPlace(std::move(puma_status_))
#define PUMA_CONCAT_(a, b) a##b
#define PUMA_CONCAT(a, b) PUMA_CONCAT_(a, b)
#define PUMA_ASSIGN_OR_RETURN(lhs, expr) PUMA_ASSIGN_OR_RETURN_(PUMA_CONCAT(puma_or_, __LINE__), lhs, expr)
#define PUMA_ASSIGN_OR_RETURN_(tmp, lhs, expr)                               \
  auto tmp = (expr);                                                         \
  if (!tmp.ok()) return ::puma::internal::AddPlace(std::move(tmp).status()); \
  lhs = *std::move(tmp)
// Ends the process with the explained error.
#define PUMA_CHECK_OK(expr)                                    \
  if (absl::Status puma_status_ = (expr); puma_status_.ok()) { \
  } else /* NOLINT */                                          \
    ::puma::internal::Die(puma_status_, #expr)
#endif  // PUMA_STATUS_H_
