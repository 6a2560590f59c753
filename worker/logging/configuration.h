#ifndef PUMA_WORKER_LOGGING_CONFIGURATION_H_
#define PUMA_WORKER_LOGGING_CONFIGURATION_H_
// What a configuration file says. libpuma does not read YAML itself: that costs every start of a process some milliseconds of loading.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/logging/levels.h"

namespace puma::logging {

struct SinkConfiguration {
  enum class Kind { kStderr, kStdout, kFile };
  Kind kind = Kind::kStderr;
  Level level = Level::kTrace;  // what is below goes to the other sinks only
  // Files. `path` may contain {program}, {pid} and, in its last part, {time}: the moment of opening.
  std::string path;
  bool at_first_record = false;  // else opened at configuration
  uint64_t rotate_bytes = 0;     // a file that would grow beyond is followed by the next one; 0: never
  uint64_t rotate_files = 0;     // so many of this name are kept, the newest
};

struct Configuration {
  LevelTable levels;
  std::string format;
  std::vector<SinkConfiguration> sinks;
};

// The text of a file, or what ships under this name; then what it says. INVALID_ARGUMENT: "file:line:column: what is wrong".
absl::StatusOr<Configuration> LoadConfiguration(std::string_view configuration);

// What libpuma_logging.so exports, by this name. The text of `file`, or what ships as that if `shipped`. False: `error` says what is wrong.
inline constexpr char kParserSymbol[] = "puma_logging_parse_1";
using Parser = bool (*)(bool shipped, const std::string& file, const std::string& text, Configuration* result, std::string* error);

}  // namespace puma::logging
#endif  // PUMA_WORKER_LOGGING_CONFIGURATION_H_
