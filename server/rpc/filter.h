#ifndef PUMA_SERVER_RPC_FILTER_H_
#define PUMA_SERVER_RPC_FILTER_H_
// Which resources of a list a client wants, as "state=failed AND spec.type:Loader". A part of the filters of https://google.aip.dev/160:
//   filter      = alternatives { ["AND"] alternatives }
//   alternatives = restriction { "OR" restriction }          OR binds tighter than AND; there are no parentheses
//   restriction = ["NOT" | "-"] field operator value
//   field       = names joined by dots; keys of maps are names. What the resource itself does not have is looked for in its `status`, then
//   in
//                 its `spec`.
//   operator    = "=" "!=" "<" "<=" ">" ">=", or ":" (a text contains; a message is there: "last_exit:*")
//   value       = up to the next space, or "quoted \" text". A "*" at the ends of a text stands for anything. Enums without their prefix,
//   in
//                 any case; times as 2026-05-01T12:00:00Z; durations as 1m30s.
// A restriction of a repeated field is met if one of its elements meets it; one of a message that is not there is not met.
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

namespace puma::server {

// Thread-compatible.
class Filter {
 public:
  // "": all match. INVALID_ARGUMENT says where the mistake is and what would be right. Time and memory grow with the text, which is at most
  // 2,000 bytes long.
  static absl::StatusOr<Filter> Parse(absl::string_view text, const google::protobuf::Descriptor& resource);

  bool empty() const { return all_.empty(); }
  // `resource`: of the type that the filter was parsed for.
  bool Matches(const google::protobuf::Message& resource) const;

 private:
  enum class Operator { kEqual, kUnequal, kLess, kAtMost, kGreater, kAtLeast, kHas };
  struct Step {
    const google::protobuf::FieldDescriptor* field;
    std::string key;  // of a map
  };
  struct Restriction {
    bool negated = false;
    std::vector<Step> path;
    Operator op = Operator::kEqual;
    // For a text without the "*" at its ends; a message and a presence have none.
    std::variant<std::monostate, bool, int64_t, double, std::string, absl::Time, absl::Duration> value;
    bool open_begin = false, open_end = false;  // there was a "*"
  };
  class Parser;

  static bool Meets(const Restriction& wanted, const google::protobuf::Message& message, size_t step);
  static bool Meets(const Restriction& wanted, const google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                    int index);

  std::vector<std::vector<Restriction>> all_;  // one of each
};

}  // namespace puma::server
#endif  // PUMA_SERVER_RPC_FILTER_H_
