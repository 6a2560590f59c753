#include "client/lib/spec_scalar.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace puma::client {
namespace {

bool IsVariableName(const std::string& name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  }
  return true;
}

// The value of what stands between "${" and "}".
absl::StatusOr<std::string> Lookup(const std::string& reference, const Variables& variables) {
  const size_t dash = reference.find(":-");
  const std::string name = reference.substr(0, dash);
  if (!IsVariableName(name))
    return absl::InvalidArgumentError(absl::StrCat("\"${", reference, "}\" is neither ${NAME} nor ${NAME:-default}"));
  if (const auto value = variables(name); value && !(value->empty() && dash != std::string::npos)) return *value;
  if (dash != std::string::npos) return reference.substr(dash + 2);
  return absl::InvalidArgumentError(absl::StrCat("variable ", name, " is not set; set it, or give a default: ${", name, ":-value}"));
}

size_t SkipDigits(const std::string& text, size_t at) {
  while (at < text.size() && absl::ascii_isdigit(text[at])) ++at;
  return at;
}

struct Unit {
  const char* name;
  uint64_t bytes;
};
constexpr std::array<Unit, 10> kUnits = {{{"", 1},
                                          {"B", 1},
                                          {"kB", 1000},
                                          {"KiB", 1ull << 10},
                                          {"MB", 1000'000},
                                          {"MiB", 1ull << 20},
                                          {"GB", 1000'000'000},
                                          {"GiB", 1ull << 30},
                                          {"TB", 1000'000'000'000},
                                          {"TiB", 1ull << 40}}};

}  // namespace

absl::StatusOr<std::string> Expand(const std::string& text, const Variables& variables) {
  std::string expanded;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 3, "$${") == 0) {
      expanded += "${";
      at += 3;
      continue;
    }
    if (text.compare(at, 2, "${") != 0) {
      expanded += text[at++];
      continue;
    }
    const size_t end = text.find('}', at);
    if (end == std::string::npos) return absl::InvalidArgumentError("\"${\" without \"}\"; write $${ for a plain ${");
    const absl::StatusOr<std::string> value = Lookup(text.substr(at + 2, end - at - 2), variables);
    if (!value.ok()) return value.status();
    expanded += *value;
    at = end + 1;
  }
  return expanded;
}

absl::StatusOr<uint64_t> ParseBytes(const std::string& text) {
  const absl::Status wrong =
      absl::InvalidArgumentError(absl::StrCat("must be a size, as 64MiB, 100MB or 4096 (bytes), not \"", text, "\""));
  const size_t whole_end = SkipDigits(text, 0);
  size_t number_end = whole_end;
  if (number_end < text.size() && text[number_end] == '.') number_end = SkipDigits(text, number_end + 1);
  if (whole_end == 0 || (number_end != whole_end && number_end == whole_end + 1)) return wrong;
  for (const Unit& unit : kUnits) {
    if (text.substr(number_end) != unit.name) continue;
    const long double bytes = std::strtold(text.substr(0, number_end).c_str(), nullptr) * unit.bytes;  // 64 bits of mantissa: exact
    if (bytes > static_cast<long double>(std::numeric_limits<uint64_t>::max()))
      return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too large"));
    if (bytes != std::floor(bytes)) return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a whole number of bytes"));
    return static_cast<uint64_t>(bytes);
  }
  return wrong;
}

absl::StatusOr<google::protobuf::Duration> ParseDuration(const std::string& text) {
  absl::Duration duration;
  if (IsNumber(text) && text != "0") {
    return absl::InvalidArgumentError(
        absl::StrCat("must be a duration with a unit, as ", text[0] == '-' ? "5" : text, "s or 100ms, not \"", text, "\""));
  }
  if (!absl::ParseDuration(text, &duration) || duration == absl::InfiniteDuration() || duration == -absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("must be a duration, as 100ms, 5s or 2m, not \"", text, "\""));
  }
  if (duration < absl::ZeroDuration()) return absl::InvalidArgumentError(absl::StrCat("must not be negative, as \"", text, "\" is"));
  if (duration > absl::Hours(24 * 365 * 100))
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is more than a hundred years"));
  google::protobuf::Duration parsed;
  parsed.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  parsed.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return parsed;
}

bool IsUtf8(const std::string& text) {
  constexpr std::array<uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};  // of each length
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80 ? 1 : lead >> 5 == 0b110 ? 2 : lead >> 4 == 0b1110 ? 3 : lead >> 3 == 0b11110 ? 4 : 0;
    if (length == 0 || at + length > text.size()) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if (next >> 6 != 0b10) return false;
      code = code << 6 | (next & 0x3fu);
    }
    if (code < kSmallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    at += length;
  }
  return true;
}

bool IsNumber(const std::string& text) {
  size_t at = text[0] == '-' ? 1 : 0;
  const size_t whole_end = SkipDigits(text, at);
  if (whole_end == at || (text[at] == '0' && whole_end > at + 1)) return false;
  at = whole_end;
  if (at < text.size() && text[at] == '.') {
    const size_t end = SkipDigits(text, at + 1);
    if (end == at + 1) return false;
    at = end;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t end = SkipDigits(text, at);
    if (end == at) return false;
    at = end;
  }
  return at == text.size();
}

absl::StatusOr<google::protobuf::Value> ParseValue(const std::string& text) {
  google::protobuf::Value value;
  if (text.empty() || text == "null" || text == "~") {
    value.set_null_value(google::protobuf::NULL_VALUE);
  } else if (text == "true" || text == "false") {
    value.set_bool_value(text == "true");
  } else if (!IsNumber(text)) {
    value.set_string_value(text);
  } else {
    const double number = std::strtod(text.c_str(), nullptr);
    if (!std::isfinite(number))
      return absl::InvalidArgumentError(absl::StrCat(text, " is too large for a number; quote it to pass it as text"));
    const bool whole = text.find_first_of(".eE") == std::string::npos;
    if (whole && std::fabs(number) >= 9007199254740992.0) {
      // From 2^53 on only some whole numbers are doubles; the others would change silently.
      int64_t exact = 0;
      if (!absl::SimpleAtoi(text, &exact) || static_cast<__int128>(number) != exact) {
        return absl::InvalidArgumentError(absl::StrCat(text, " can't be passed exactly as a number; quote it to pass it as text"));
      }
    }
    value.set_number_value(number);
  }
  return value;
}

}  // namespace puma::client
