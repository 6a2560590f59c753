// puma::Error in two payloads of an absl::Status: the error itself, and the places it has passed, to which hops are put behind. Places
// are addresses as long as they stay in the process; they get names when somebody reads them.
#include <fmt/format.h>
#include <puma/status.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "absl/status/status_payload_printer.h"
#include "worker/runnable/stack.h"

namespace puma {
namespace {

constexpr char kErrorPayload[] = "type.puma/error";
constexpr char kPlacesPayload[] = "type.puma/places";
constexpr int kMaxCauses = 32;

class Writer {
 public:
  void Number(uint64_t v) { out_.append(reinterpret_cast<const char*>(&v), sizeof(v)); }
  void Text(const std::string& s) {
    Number(s.size());
    out_ += s;
  }
  void Texts(const std::vector<std::string>& list) {
    Number(list.size());
    for (const std::string& s : list) Text(s);
  }
  std::string& out() { return out_; }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  uint64_t Number() {
    uint64_t v = 0;
    if (in_.size() < sizeof(v)) return Bad();
    std::memcpy(&v, in_.data(), sizeof(v));
    in_.remove_prefix(sizeof(v));
    return v;
  }
  // A count of things that take at least a byte each.
  uint64_t Count() {
    uint64_t n = Number();
    return n <= in_.size() ? n : Bad();
  }
  std::string Text() {
    uint64_t n = Count();
    std::string s(in_.substr(0, n));
    in_.remove_prefix(n);
    return s;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> list;
    for (uint64_t n = Count(); n > 0 && ok_; --n) list.push_back(Text());
    return list;
  }
  bool ok() const { return ok_; }
  bool empty() const { return in_.empty(); }

 private:
  uint64_t Bad() {
    ok_ = false;
    in_ = {};
    return 0;
  }
  std::string_view in_;
  bool ok_ = true;
};

void WriteFrame(Writer& out, uint64_t address, const Frame& f) {
  out.Number(address);
  out.Text(f.module);
  out.Text(f.function);
  out.Text(f.file);
  out.Number(static_cast<uint64_t>(f.line));
  out.Number(f.offset);
}

Frame ReadFrame(Reader& in) {
  uint64_t address = in.Number();
  Frame f;
  f.module = in.Text();
  f.function = in.Text();
  f.file = in.Text();
  f.line = static_cast<int>(in.Number());
  f.offset = in.Number();
  return address != 0 && in.ok() ? internal::Symbolise(address) : f;
}

void WriteError(Writer& out, const Error& e, int depth) {
  out.Number(static_cast<uint64_t>(e.code));
  out.Text(e.message);
  out.Texts(e.types);
  out.Texts(e.path);
  out.Number(depth < kMaxCauses ? e.causes.size() : 0);
  if (depth < kMaxCauses) {
    for (const Error& cause : e.causes) WriteError(out, cause, depth + 1);
  }
  out.Number(e.stack.size());
  for (const Frame& f : e.stack) WriteFrame(out, 0, f);
  out.Number(static_cast<uint64_t>(e.exit_code));
  out.Number(static_cast<uint64_t>(e.signal));
}

Error ReadError(Reader& in, int depth) {
  Error e;
  e.code = static_cast<absl::StatusCode>(in.Number());
  e.message = in.Text();
  e.types = in.Texts();
  e.path = in.Texts();
  for (uint64_t n = in.Count(); n > 0 && in.ok() && depth < kMaxCauses; --n) e.causes.push_back(ReadError(in, depth + 1));
  for (uint64_t n = in.Count(); n > 0 && in.ok(); --n) e.stack.push_back(ReadFrame(in));
  e.exit_code = static_cast<int>(in.Number());
  e.signal = static_cast<int>(in.Number());
  return e;
}

std::optional<std::string> PayloadOf(const absl::Status& status, const char* key) {
  auto cord = status.GetPayload(key);
  if (!cord.has_value()) return std::nullopt;
  return std::string(*cord);
}

Frame FrameOf(const Here& where) {
  Frame frame;
  frame.function = where.function;
  frame.file = where.file;
  frame.line = where.line;
  return frame;
}

// Frames that say nothing to the author of a runnable: ours, and how threads and programs begin.
bool SaysNothing(const Frame& f) {
  if (!f.file.empty()) return false;
  static constexpr std::string_view kOurs[] = {"puma::internal::", "puma::runner::", "puma::Runnable::",  "puma::Init(",
                                               "puma::Fail(",      "puma::Throw(",   "_ZN4puma8internal", "__cxa_throw"};
  if (f.function.empty() || f.function == "_start" || f.function == "__libc_start_main") return true;
  if (f.function.starts_with("std::") && f.function.find("puma::") != std::string::npos) return true;
  return std::any_of(std::begin(kOurs), std::end(kOurs), [&](std::string_view ours) { return f.function.starts_with(ours); });
}

void ExplainTo(const Error& e, const std::string& indent, std::string& out) {
  out += fmt::format("{}{}: {}\n", indent, e.types.empty() ? absl::StatusCodeToString(e.code) : e.types.front(), e.message);
  if (!e.path.empty()) out += fmt::format("{}  through {}\n", indent, fmt::join(e.path, ", "));
  const bool nothing = std::all_of(e.stack.begin(), e.stack.end(), SaysNothing);
  for (const Frame& f : e.stack) {
    if (!nothing && SaysNothing(f)) continue;
    std::string place = f.file.empty() ? fmt::format("{}+{:#x}", f.module, f.offset) : fmt::format("{}:{}", f.file, f.line);
    out += fmt::format("{}  at {} ({})\n", indent, f.function.empty() ? "?" : f.function, place);
  }
  for (const Error& cause : e.causes) {
    out += fmt::format("{}caused by\n", indent);
    ExplainTo(cause, indent + "  ", out);
  }
}

std::string StatusText(const absl::Status& status) { return std::string(status.message().data(), status.message().size()); }

}  // namespace

absl::Status ToStatus(const Error& error) {
  absl::Status status(error.code, error.message);
  if (status.ok()) return status;
  Writer out;
  WriteError(out, error, 0);
  status.SetPayload(kErrorPayload, absl::Cord(std::move(out.out())));
  return status;
}

Error ErrorOf(const absl::Status& status) {
  Error error;
  if (auto payload = PayloadOf(status, kErrorPayload)) {
    Reader in(*payload);
    error = ReadError(in, 0);
  }
  error.code = status.code();
  error.message = StatusText(status);
  if (auto places = PayloadOf(status, kPlacesPayload)) {
    Reader in(*places);
    while (!in.empty() && in.ok()) error.stack.push_back(ReadFrame(in));
  }
  return error;
}

// What Status::ToString shows of our payloads, instead of their bytes.
namespace {
absl::optional<std::string> PrintPayload(absl::string_view type, const absl::Cord& payload) {
  const bool error = type == kErrorPayload;
  if (!error && type != kPlacesPayload) return absl::nullopt;
  const std::string bytes(payload);
  Reader in(bytes);
  if (!error) {
    const Frame frame = ReadFrame(in);
    return frame.file.empty() ? "" : fmt::format("{}:{}", frame.file, frame.line);
  }
  const Error read = ReadError(in, 0);
  return fmt::format("{}{}{}", read.types.empty() ? "" : read.types.front(), read.types.empty() || read.path.empty() ? "" : ", ",
                     read.path.empty() ? "" : fmt::format("through {}", fmt::join(read.path, ", ")));
}
}  // namespace

namespace internal {
void PrintErrorsPlainly() { absl::status_internal::SetStatusPayloadPrinter(&PrintPayload); }
}  // namespace internal

std::string Explain(const absl::Status& status) {
  if (status.ok()) return "OK\n";
  std::string out;
  ExplainTo(ErrorOf(status), "", out);
  return out;
}

bool IsError(const absl::Status& status, std::string_view type) {
  for (const std::string& t : ErrorOf(status).types) {
    if (t == type) return true;
  }
  return false;
}

absl::Status Fail(absl::StatusCode code, std::string_view message, Here where) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  if (status.ok()) return status;
  Writer out;
  WriteFrame(out, 0, FrameOf(where));
  const auto stack = internal::CaptureStack(1);  // a view of a temporary would outlive it in the loop
  for (uintptr_t address : stack.view()) WriteFrame(out, address, {});
  status.SetPayload(kPlacesPayload, absl::Cord(std::move(out.out())));
  return status;
}

Exception::Exception(absl::Status status) : status_(std::move(status)), what_(StatusText(status_)) {}

void Throw(const absl::Status& status) { throw Exception(status); }

namespace internal {

absl::Status AddPlace(absl::Status status, Here where) {
  if (status.ok()) return status;
  Writer out;
  WriteFrame(out, 0, FrameOf(where));
  absl::Cord places = status.GetPayload(kPlacesPayload).value_or(absl::Cord());
  places.Append(std::move(out.out()));
  status.SetPayload(kPlacesPayload, std::move(places));
  return status;
}

void Die(const absl::Status& status, const char* expression, Here where) {
  std::fprintf(stderr, "%s:%d: %s failed:\n%s", where.file, where.line, expression, Explain(status).c_str());
  std::abort();
}

}  // namespace internal
}  // namespace puma
