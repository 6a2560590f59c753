#ifndef PUMA_CLIENT_LIB_SPEC_WALK_H_
#define PUMA_CLIENT_LIB_SPEC_WALK_H_
// Fills a message from YAML nodes, guided by the message's descriptor. Finds all mistakes, not only the first.
#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <vector>

#include "client/lib/spec_file.h"
#include "client/lib/spec_scalar.h"

namespace puma::client {

class SpecWalk {
 public:
  struct Mistake {
    Place place;
    std::string text;
  };

  explicit SpecWalk(const Variables& variables) : variables_(variables) {}

  void Walk(const YAML::Node& root, google::protobuf::Message& message);

  std::vector<Mistake> mistakes;
  std::map<std::string, Place> places;

 private:
  using Field = google::protobuf::FieldDescriptor;
  // Where the walk is.
  struct Here {
    std::string path;  // "tasks.loader.restart"
    std::string what;  // "restart" of task "loader"; "" at the top
    int depth = 0;
  };

  void Message(const YAML::Node& node, google::protobuf::Message& message, const Here& here);
  void FieldOf(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here);
  void Map(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here);
  void List(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here);
  void Single(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here);
  void Scalar(const YAML::Node& node, google::protobuf::Message& message, const Field* field, const Here& here);
  void Enum(const YAML::Node& node, const std::string& text, google::protobuf::Message& message, const Field* field, const Here& here);
  // True: `message` is of a type that is written as one word (or here is), and was dealt with.
  bool WellKnown(const YAML::Node& node, google::protobuf::Message& message, const Here& here);
  void Value(const YAML::Node& node, google::protobuf::Value& value, const Here& here);

  // Calls f(key, key node, value node) for each entry; reports keys that are not words, and duplicates.
  template <class F>
  void ForEachEntry(const YAML::Node& node, const Here& here, F f);
  // The expanded text of a scalar; false (and a mistake) for anything else.
  bool Word(const YAML::Node& node, const Here& here, const char* wanted, std::string& text);
  // True when deeper nodes may be looked at; a mistake when the file is nested or repeated too much (anchors can make it endless).
  bool Enter(const YAML::Node& node, const Here& here);
  void Report(const YAML::Node& node, std::string text);

  const Variables& variables_;
  int visited_ = 0;
};

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_SPEC_WALK_H_
