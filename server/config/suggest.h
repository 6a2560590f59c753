#ifndef PUMA_SERVER_CONFIG_SUGGEST_H_
#define PUMA_SERVER_CONFIG_SUGGEST_H_
// "Did you mean": the likeliest of a few names for one that is unknown.
#include <string>
#include <vector>

namespace puma::server {

// How many insertions, deletions, substitutions and swaps of neighbours lead from `a` to `b` (optimal string alignment; letters compared
// without case).
size_t EditDistance(const std::string& a, const std::string& b);

// The candidate nearest to `word`, or "" when none is near enough to be a slip of the keyboard (a third of its length).
std::string Suggest(const std::string& word, const std::vector<std::string>& candidates);

// What to append to "unknown thing x": "; did you mean y?", or "; there are: a, b, c", or "; there are none".
std::string DidYouMean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_SUGGEST_H_
