#ifndef EDGES_TALLY_H_
#define EDGES_TALLY_H_
// What arrived: which frames, how often, found by whom.
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "image.h"

namespace edges {

// Thread-compatible.
class Tally {
 public:
  // True: this frame has not come before.
  bool Add(const EdgesHeader& header, uint64_t bytes, bool redelivered, absl::Time when);

  uint64_t distinct() const { return distinct_; }
  // The numbers below the expected total (or, where that is unknown, below the highest that came) that never came.
  std::vector<uint64_t> Missing() const;
  // For people and programs; complete: nothing more will come.
  std::string AsJson(bool complete, std::string_view picture) const;

 private:
  std::vector<bool> seen_;
  uint64_t expected_ = 0;
  uint64_t distinct_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t redelivered_ = 0;
  uint64_t bytes_ = 0;
  uint64_t copied_bytes_ = 0;
  std::map<std::string, uint64_t, std::less<>> by_detector_;
  std::map<double, uint64_t> by_threshold_;
  absl::Time first_ = absl::InfiniteFuture();
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace edges
#endif  // EDGES_TALLY_H_
