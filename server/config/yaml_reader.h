#ifndef PUMA_SERVER_CONFIG_YAML_READER_H_
#define PUMA_SERVER_CONFIG_YAML_READER_H_
// Files that the host's administrator writes: small YAML documents whose mistakes are told with file, line and column.
#include <yaml-cpp/yaml.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace puma::server {

// Thrown within ReadYaml only.
struct Mistake {
  YAML::Mark mark;
  std::string text;
};

// Reads `text` and calls `read` with its root, unless it is empty. INVALID_ARGUMENT: the first Mistake that was thrown, or what is no
// YAML, as "FILE:line:column: what is wrong".
absl::Status ReadYaml(const std::string& file, const std::string& text, const std::function<void(const YAML::Node&)>& read);

// A node's text. `what` begins the message of a Mistake, here and below.
std::string Text(const YAML::Node& node, const std::string& what);

// Calls `set` with each key of a map, its value and where the key stands. A key stands there once, and in `known`, unless that is empty.
void ForEachKey(const YAML::Node& node, const std::string& what, const std::vector<std::string>& known,
                const std::function<void(const std::string& key, const YAML::Node& value, const YAML::Node& at)>& set);

// Calls `add` with each text of a list.
void ForEachItem(const YAML::Node& node, const std::string& what,
                 const std::function<void(const std::string& item, const YAML::Node& at)>& add);

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_YAML_READER_H_
