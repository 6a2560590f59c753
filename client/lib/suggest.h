#ifndef PUMA_CLIENT_LIB_SUGGEST_H_
#define PUMA_CLIENT_LIB_SUGGEST_H_
#include <string>
#include <vector>

namespace puma::client {

// `; did you mean "placement"?` when one of `known` is close to `word`, else `; known are: a, b, c`. "" when nothing is known.
std::string Suggest(const std::string& word, const std::vector<std::string>& known);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_SUGGEST_H_
