#include "tally.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace edges {

bool Tally::Add(const EdgesHeader& header, uint64_t bytes, bool redelivered, absl::Time when) {
  const uint64_t number = header.image.number;
  if (seen_.size() <= number) seen_.resize(number + 1);
  const bool is_new = !seen_[number];
  seen_[number] = true;
  expected_ = std::max(expected_, header.image.total);
  (is_new ? distinct_ : duplicates_) += 1;
  redelivered_ += redelivered ? 1 : 0;
  bytes_ += bytes;
  copied_bytes_ += header.image.copied_bytes;
  ++by_detector_[std::string(Detector(header))];
  ++by_threshold_[header.threshold];
  first_ = std::min(first_, when);
  last_ = std::max(last_, when);
  return is_new;
}

std::vector<uint64_t> Tally::Missing() const {
  std::vector<uint64_t> missing;
  const uint64_t end = std::max<uint64_t>(expected_, seen_.size());
  for (uint64_t number = 0; number < end; ++number) {
    if (number >= seen_.size() || !seen_[number]) missing.push_back(number);
  }
  return missing;
}

std::string Tally::AsJson(bool complete, std::string_view picture) const {
  const uint64_t frames = distinct_ + duplicates_;
  nlohmann::ordered_json json;
  json["complete"] = complete;
  json["frames_expected"] = expected_;
  json["frames_distinct"] = distinct_;
  json["frames_twice"] = duplicates_;
  json["frames_redelivered"] = redelivered_;
  json["frames_missing"] = Missing();
  json["bytes"] = bytes_;
  json["copied_bytes"] = copied_bytes_;
  json["copied_bytes_per_frame"] = frames == 0 ? 0.0 : static_cast<double>(copied_bytes_) / static_cast<double>(frames);
  json["seconds"] = frames == 0 ? 0.0 : absl::ToDoubleSeconds(last_ - first_);
  json["by_detector"] = by_detector_;
  for (const auto& [threshold, count] : by_threshold_) json["by_threshold"][absl::StrCat(threshold)] = count;
  json["picture"] = picture;
  return json.dump(2) + "\n";
}

}  // namespace edges
