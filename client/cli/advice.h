#ifndef PUMA_CLIENT_CLI_ADVICE_H_
#define PUMA_CLIENT_CLI_ADVICE_H_
// What a buffer's high-water marks, drops and waits say about its capacity. Pure: the same buffer, the same advice.
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "puma/v1/resources.pb.h"

namespace puma::client {

struct Advice {
  enum class Verdict {
    kUnknown,     // too little has been seen
    kKeep,        // as it is
    kSmaller,     // `items` would do
    kLarger,      // `items` (or `bytes`) would absorb what did not fit
    kSlowReader,  // it is full for most of the time: no capacity helps
  };
  std::string buffer;  // full name
  Verdict verdict = Verdict::kUnknown;
  uint64_t items = 0;  // suggested capacity_items; 0: none
  uint64_t bytes = 0;  // suggested capacity; 0: none
  std::string why;
  uint64_t messages = 0;  // the evidence
  absl::Duration observed;
};

Advice AdviseOn(const v1::Buffer& buffer);
std::string VerdictName(Advice::Verdict verdict);  // "slow_reader"

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_ADVICE_H_
