#include "server/telemetry/revision.h"

#include <charconv>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace puma::server {
namespace {

uint64_t RandomEpoch() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

bool ParseNumber(const std::string& text, int base, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Revisions::Revisions() : epoch_(RandomEpoch()) {}

std::string Revisions::Of(uint64_t counter) const { return absl::StrCat(absl::Hex(epoch_, absl::kZeroPad16), "-", counter); }

absl::StatusOr<uint64_t> Revisions::Find(const std::string& revision, uint64_t first, uint64_t end) const {
  const std::vector<std::string> parts = absl::StrSplit(revision, '-');
  uint64_t epoch = 0, counter = 0;
  if (parts.size() != 2 || parts[0].size() != 16 || !ParseNumber(parts[0], 16, epoch) || !ParseNumber(parts[1], 10, counter))
    return absl::InvalidArgumentError("revision: not one that a watch gave out; watch without one");
  if (epoch != epoch_) return absl::OutOfRangeError("revision: of another host process; watch without one to begin anew");
  if (counter < first) return absl::OutOfRangeError("revision: too old; watch without one to begin anew");
  if (counter > end) return absl::InvalidArgumentError("revision: not one that a watch gave out; watch without one");
  return counter;
}

}  // namespace puma::server
