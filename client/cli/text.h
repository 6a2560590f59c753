#ifndef PUMA_CLIENT_CLI_TEXT_H_
#define PUMA_CLIENT_CLI_TEXT_H_
// Words for people.
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace puma::client {

// Text from elsewhere, made harmless for a terminal: control characters, marks that change the direction of writing, and bytes that are not
// UTF-8 are shown as \n, \x1b, \u202e.
std::string Escape(const std::string& text);
// The same for text of several lines: each but the first begins with `indent`.
std::string EscapeLines(const std::string& text, const std::string& indent);

std::string Ago(const google::protobuf::Timestamp& time, absl::Time now);  // "12 s ago"
std::string For(absl::Duration duration);                                  // "0.2 s", "12 s", "5 min", "3 h", "2 d"
std::string Duration(const google::protobuf::Duration& duration);          // as spec files write it: "100ms"
std::string Bytes(uint64_t bytes);                                         // "64MiB", when it is whole; else "1.5 MiB"
std::string Rate(double per_second);                                       // "61.2"
absl::Time ToTime(const google::protobuf::Timestamp& time);
bool IsSet(const google::protobuf::Timestamp& time);

// Short form of an enum's value: TASK_STATE_RUNNING with "TASK_STATE_" -> RUNNING.
std::string Without(const std::string& prefix, const std::string& value);

// How many columns it takes on a terminal (one for each code point).
size_t Width(const std::string& text);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_TEXT_H_
