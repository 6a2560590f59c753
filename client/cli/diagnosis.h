#ifndef PUMA_CLIENT_CLI_DIAGNOSIS_H_
#define PUMA_CLIENT_CLI_DIAGNOSIS_H_
// What is wrong, or could be better, with this machine and the host on it.
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "puma/v1/resources.pb.h"

namespace puma::client {

struct Finding {
  enum class Verdict {
    kGood,
    kBetter,  // it works; `advice` says what would be better
    kWrong,   // it does not, or will soon not
  };
  Verdict verdict = Verdict::kGood;
  std::string subject;  // "descriptors"
  std::string found;    // "1024 (hard limit)"
  std::string advice;   // what to do; "" when it is good
};

// What the machine says of itself. Zero and "" are "it doesn't say".
struct MachineFacts {
  int kernel_major = 0, kernel_minor = 0;
  uint64_t descriptors = 0;   // hard limit
  int64_t memory_bytes = -1;  // available
  std::string clock;          // "tsc"
  std::string governor;       // of processor 0: "powersave"
  int processors = 0;
};
// `root`: where /proc and /sys are, "" but in tests.
MachineFacts ReadMachine(const std::string& root);
std::vector<Finding> JudgeMachine(const MachineFacts& facts);

// `disk_bytes_free`: in its state directory, or -1 when that is on another machine.
std::vector<Finding> JudgeHost(const v1::Host& host, const std::string& own_version, int64_t disk_bytes_free);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_DIAGNOSIS_H_
