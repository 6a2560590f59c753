#include "server/config/yaml_reader.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/config/suggest.h"

namespace puma::server {
namespace {

absl::Status At(const std::string& file, const YAML::Mark& mark, const std::string& text) {
  const std::string place = mark.is_null() ? "" : absl::StrCat(mark.line + 1, ":", mark.column + 1, ":");
  return absl::InvalidArgumentError(absl::StrCat(file, ":", place, " ", text));
}

}  // namespace

absl::Status ReadYaml(const std::string& file, const std::string& text, const std::function<void(const YAML::Node&)>& read) {
  try {  // the door to yaml-cpp
    const YAML::Node root = YAML::Load(text);
    if (!root.IsNull()) read(root);
  } catch (const Mistake& mistake) {
    return At(file, mistake.mark, mistake.text);
  } catch (const YAML::Exception& e) {
    return At(file, e.mark, absl::StrCat("not valid YAML: ", e.msg));
  }
  return absl::OkStatus();
}

std::string Text(const YAML::Node& node, const std::string& what) {
  if (!node.IsScalar()) throw Mistake{node.Mark(), absl::StrCat(what, ": a text is expected")};
  return node.Scalar();
}

void ForEachKey(const YAML::Node& node, const std::string& what, const std::vector<std::string>& known,
                const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& set) {
  if (!node.IsMap()) throw Mistake{node.Mark(), absl::StrCat(what, ": a map is expected")};
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = Text(entry.first, absl::StrCat("a key of ", what));
    if (!known.empty() && std::find(known.begin(), known.end(), key) == known.end())
      throw Mistake{entry.first.Mark(), absl::StrCat("unknown key \"", key, "\" of ", what, DidYouMean(key, known))};
    if (!seen.insert(key).second) throw Mistake{entry.first.Mark(), absl::StrCat("\"", key, "\" stands there twice")};
    set(key, entry.second, entry.first);
  }
}

void ForEachItem(const YAML::Node& node, const std::string& what, const std::function<void(const std::string&, const YAML::Node&)>& add) {
  if (!node.IsSequence()) throw Mistake{node.Mark(), absl::StrCat(what, ": a list is expected")};
  for (const auto& item : node) add(Text(item, absl::StrCat("an item of ", what)), item);
}

}  // namespace puma::server
