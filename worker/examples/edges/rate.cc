#include "rate.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

namespace edges {

absl::StatusOr<absl::Duration> ParseRate(const std::string& text) {
  double hertz = 0;
  if (!absl::SimpleAtod(absl::StripSuffix(text, "Hz"), &hertz) || !(hertz >= 0 && hertz <= 1e6)) {
    return absl::InvalidArgumentError(
        absl::StrCat("rate \"", text, "\" is not a number of frames a second, as \"30Hz\"; \"0\": as fast as they are taken"));
  }
  return hertz == 0 ? absl::ZeroDuration() : absl::Seconds(1) / hertz;
}

}  // namespace edges
