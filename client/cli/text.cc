#include "client/cli/text.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace puma::client {
namespace {

// The code point at `at` and its length; length 0: not UTF-8.
struct CodePoint {
  uint32_t value = 0;
  size_t length = 0;
};

CodePoint Decode(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first >= 0xf5 || at + length > text.size()) return {};
  uint32_t value = first & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(at + i) & 0x3f);
  }
  constexpr std::array<uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {value, length};
}

bool Harmful(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
         c == 0x200f || c == 0x2028 || c == 0x2029 || c == 0xfeff;
}

std::string EscapeOne(uint32_t c) {
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  if (c == '\r') return "\\r";
  return c < 0x80 ? absl::StrFormat("\\x%02x", c) : absl::StrFormat("\\u%04x", c);
}

}  // namespace

std::string Escape(const std::string& text) {
  std::string escaped;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = Decode(text, at);
    if (c.length == 0) {
      absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<unsigned char>(text[at++]));
    } else {
      if (Harmful(c.value)) {
        escaped += EscapeOne(c.value);
      } else {
        escaped.append(text, at, c.length);
      }
      at += c.length;
    }
  }
  return escaped;
}

std::string EscapeLines(const std::string& text, const std::string& indent) {
  std::string all;
  for (const auto line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    absl::StrAppend(&all, all.empty() ? "" : absl::StrCat("\n", indent), Escape(std::string(line)));
  }
  return all;
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

bool IsSet(const google::protobuf::Timestamp& time) { return time.seconds() != 0 || time.nanos() != 0; }

std::string For(absl::Duration duration) {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(duration));
  if (seconds < 9.95) return absl::StrFormat("%.1f s", seconds);
  if (seconds < 120) return absl::StrFormat("%.0f s", seconds);
  if (seconds < 120 * 60) return absl::StrFormat("%.0f min", std::floor(seconds / 60));
  if (seconds < 48 * 3600) return absl::StrFormat("%.0f h", std::floor(seconds / 3600));
  return absl::StrFormat("%.0f d", std::floor(seconds / 86400));
}

std::string Ago(const google::protobuf::Timestamp& time, absl::Time now) {
  return absl::StrCat(For(absl::Floor(std::max(absl::ZeroDuration(), now - ToTime(time)), absl::Milliseconds(100))), " ago");
}

std::string Duration(const google::protobuf::Duration& duration) {
  return absl::FormatDuration(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
}

std::string Bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  double size = static_cast<double>(bytes);
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  if (size == std::floor(size)) return absl::StrFormat("%.0f%s", size, kUnits[unit]);
  return absl::StrFormat("%.1f %s", size, kUnits[unit]);
}

std::string Rate(double per_second) { return absl::StrFormat("%.1f", per_second); }

std::string Without(const std::string& prefix, const std::string& value) { return std::string(absl::StripPrefix(value, prefix)); }

size_t Width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

}  // namespace puma::client
