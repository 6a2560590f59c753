#ifndef PUMA_CLIENT_LIB_SPEC_SCALAR_H_
#define PUMA_CLIENT_LIB_SPEC_SCALAR_H_
// What single words of a spec file mean. Errors say what would be right; who calls adds the place.
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace puma::client {

// A variable's value; nothing: it is not set.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

// Replaces ${NAME} and ${NAME:-default} ("$${" is a plain "${"). A variable that is not set and has no default is an error.
absl::StatusOr<std::string> Expand(const std::string& text, const Variables& variables);

// "64MiB", "100MB", "4096". A unit is one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.
absl::StatusOr<uint64_t> ParseBytes(const std::string& text);

// "100ms", "5s", "1m30s"; the units are ns, us, ms, s, m, h. Not negative.
absl::StatusOr<google::protobuf::Duration> ParseDuration(const std::string& text);

// True: what protobuf takes as text: no overlong forms, no surrogates, nothing cut off.
bool IsUtf8(const std::string& text);

// True: a number as JSON writes them.
bool IsNumber(const std::string& text);

// An unquoted word as a JSON value: null, true, false, a number, else text. A whole number that a double can't hold exactly is an error.
absl::StatusOr<google::protobuf::Value> ParseValue(const std::string& text);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_SPEC_SCALAR_H_
