#include "client/lib/suggest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace puma::client {
namespace {

// Insertions, deletions, replacements, and exchanges of neighbours that make `b` of `a`.
size_t Distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string Suggest(const std::string& word, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  if (word.size() <= 100) {
    const auto best =
        std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) { return Distance(word, a) < Distance(word, b); });
    if (Distance(word, *best) <= std::max<size_t>(1, std::max(word.size(), best->size()) / 3))
      return absl::StrCat("; did you mean \"", *best, "\"?");
  }
  return absl::StrCat("; known are: ", absl::StrJoin(known, ", "));
}

}  // namespace puma::client
