#ifndef PUMA_TESTS_CONFIG_SPEC_TEXT_H_
#define PUMA_TESTS_CONFIG_SPEC_TEXT_H_
// Specs as protobuf text, and mistakes as "field: description".
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "server/config/check_spec.h"
#include "server/config/error_details.h"

namespace puma::server {

template <class Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

inline std::vector<std::string> MistakesOf(const absl::Status& status) {
  std::vector<std::string> all;
  for (const auto& violation : FieldViolationsOf(status)) all.push_back(violation.field() + ": " + violation.description());
  EXPECT_EQ(status.ok(), all.empty()) << status;
  return all;
}

// loader -> frames -> detector, right in all.
inline constexpr char kGood[] = R"(
  pipeline: "edges" modules: "edges"
  buffers { key: "frames" value { capacity { bytes: 67108864 } } }
  tasks { key: "loader" value { type: "edges.ImageLoader" outputs { key: "frames" value: "frames" } } }
  tasks { key: "detector" value { type: "edges.EdgeDetector" inputs { key: "frames" value { buffer: "frames" } } } }
)";

}  // namespace puma::server
#endif  // PUMA_TESTS_CONFIG_SPEC_TEXT_H_
