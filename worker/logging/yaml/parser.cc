// libpuma_logging.so: the text of a configuration file becomes a Configuration. Loaded by InitLogging only.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "worker/logging/configuration.h"
#include "worker/logging/yaml/shipped.h"

namespace puma::logging {
namespace {

struct Mistake {
  YAML::Mark mark;
  std::string text;
};

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

using Names = std::vector<std::string_view>;

[[noreturn]] void Unknown(const YAML::Node& node, std::string_view kind, std::string_view wrong, const Names& names) {
  std::string text = fmt::format("unknown {} \"{}\"", kind, wrong);
  const auto nearest =
      std::min_element(names.begin(), names.end(), [&](auto a, auto b) { return Distance(wrong, a) < Distance(wrong, b); });
  if (Distance(wrong, *nearest) <= std::max<size_t>(2, nearest->size() / 3)) text += fmt::format("; did you mean \"{}\"?", *nearest);
  throw Mistake{node.Mark(), fmt::format("{} (there are: {})", text, fmt::join(names, ", "))};
}

std::string Text(const YAML::Node& node, std::string_view what) {
  if (!node.IsScalar() || node.Scalar().empty()) throw Mistake{node.Mark(), fmt::format("{}: a text is expected", what)};
  return node.Scalar();
}

std::string OneOf(const YAML::Node& node, std::string_view what, const Names& names) {
  std::string text = Text(node, what);
  if (std::find(names.begin(), names.end(), text) == names.end()) Unknown(node, what, text, names);
  return text;
}

Level LevelAt(const YAML::Node& node) {
  static const Names kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  std::string text = Text(node, "level");
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (text == "warning") text = "warn";
  const auto at = std::find(kLevels.begin(), kLevels.end(), text);
  if (at == kLevels.end()) Unknown(node, "level", text, kLevels);
  return static_cast<Level>(at - kLevels.begin());
}

uint64_t Number(const YAML::Node& node, std::string_view what, bool bytes) {
  const std::string text = Text(node, what);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, text.data() + text.size());
  unsigned shift = 0;
  bool good = error == std::errc() && number > 0;
  if (bytes && unit == "KiB") {
    shift = 10;
  } else if (bytes && unit == "MiB") {
    shift = 20;
  } else if (bytes && unit == "GiB") {
    shift = 30;
  } else {
    good = good && unit.empty();
  }
  good = good && number <= (UINT64_MAX >> (shift + 1));
  if (!good)
    throw Mistake{node.Mark(),
                  fmt::format("{}: \"{}\" is no {}", what, text, bytes ? "size like 4096, 64KiB or 10MiB" : "number from 1 on")};
  return number << shift;
}

// Calls `set` for each key of a mapping whose keys stand in `names` (any, if there are none), each at most once.
template <class Set>
void ForEachKey(const YAML::Node& node, std::string_view what, const Names& names, Set set) {
  if (!node.IsMap()) throw Mistake{node.Mark(), fmt::format("{}: a mapping is expected", what)};
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const YAML::Node &key = entry.first, &value = entry.second;
    const std::string name = Text(key, fmt::format("a key of {}", what));
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end())
      Unknown(key, fmt::format("key of {}", what), name, names);
    if (!seen.insert(name).second) throw Mistake{key.Mark(), fmt::format("\"{}\" stands there twice", name)};
    set(name, value, key);
  }
}

void CheckPath(const YAML::Node& node, const std::string& path) {
  static const Names kNames = {"program", "pid", "time"};
  for (size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
    const size_t end = path.find('}', at);
    if (end == std::string::npos) throw Mistake{node.Mark(), "path: '{' without its partner"};
    const std::string name = path.substr(at + 1, end - at - 1);
    if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) Unknown(node, "placeholder", name, kNames);
    if (name == "time" && (path.find('/', end) != std::string::npos || path.find("{time}", end) != std::string::npos)) {
      throw Mistake{node.Mark(), "path: {time} may stand once, in the file's name"};
    }
  }
  if (path.back() == '/') throw Mistake{node.Mark(), "path: is a folder"};
}

SinkConfiguration SinkAt(const YAML::Node& node) {
  SinkConfiguration sink;
  bool has_type = false;
  YAML::Node only_files;
  const auto set = [&](const std::string& name, const YAML::Node& value, const YAML::Node& key) {
    if (name == "type") {
      const std::string type = OneOf(value, "type of sink", {"stderr", "stdout", "file"});
      sink.kind = type == "file"     ? SinkConfiguration::Kind::kFile
                  : type == "stdout" ? SinkConfiguration::Kind::kStdout
                                     : SinkConfiguration::Kind::kStderr;
      has_type = true;
      return;
    }
    if (name == "level") {
      sink.level = LevelAt(value);
      return;
    }
    only_files.reset(key);
    if (name == "path") {
      CheckPath(value, sink.path = Text(value, "path"));
    } else if (name == "open") {
      sink.at_first_record = OneOf(value, "time to open", {"now", "first_record"}) == "first_record";
    } else {
      ForEachKey(value, "rotate", {"size", "files"}, [&](const std::string& part, const YAML::Node& at, const YAML::Node&) {
        (part == "size" ? sink.rotate_bytes : sink.rotate_files) = Number(at, part, part == "size");
      });
      if (sink.rotate_bytes == 0) throw Mistake{value.Mark(), "rotate: \"size\" is missing"};
    }
  };
  ForEachKey(node, "a sink", {"type", "level", "path", "open", "rotate"}, set);
  const bool file = sink.kind == SinkConfiguration::Kind::kFile;
  if (!has_type) throw Mistake{node.Mark(), "a sink without \"type\""};
  if (file && sink.path.empty()) throw Mistake{node.Mark(), "a file without \"path\""};
  if (!file && only_files.IsScalar()) throw Mistake{only_files.Mark(), fmt::format("\"{}\" is for files only", only_files.Scalar())};
  return sink;
}

void CheckFormat(const YAML::Node& node, const std::string& format) {
  static const Names kFields = {"time", "level", "process", "logger", "thread", "file", "path", "function", "line", "message"};
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '{' && format[at] != '}') continue;
    if (at + 1 < format.size() && format[at + 1] == format[at]) {
      ++at;
      continue;
    }
    const size_t end = format.find('}', at);
    if (format[at] == '}' || end == std::string::npos)
      throw Mistake{node.Mark(), "format: a brace without its partner (a brace itself is written twice)"};
    const std::string name = format.substr(at + 1, end - at - 1);
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) Unknown(node, "field", name, kFields);
    at = end;
  }
}

void LevelsAt(const YAML::Node& node, LevelTable& levels) {
  ForEachKey(node, "levels", {}, [&](const std::string& section, const YAML::Node& value, const YAML::Node& key) {
    if (section.front() == '.' || section.back() == '.' || section.find("..") != std::string::npos) {
      throw Mistake{key.Mark(), fmt::format("\"{}\" is no section", section)};
    }
    if (section == "root") {
      levels.root = LevelAt(value);
    } else {
      levels.sections[section] = LevelAt(value);
    }
  });
}

Configuration ConfigurationAt(const YAML::Node& root) {
  Configuration configuration;
  bool has_sinks = false;
  ForEachKey(root, "the configuration", {"levels", "format", "sinks"},
             [&](const std::string& name, const YAML::Node& value, const YAML::Node&) {
               if (name == "levels") {
                 LevelsAt(value, configuration.levels);
               } else if (name == "format") {
                 CheckFormat(value, configuration.format = Text(value, "format"));
               } else {
                 if (!value.IsSequence()) throw Mistake{value.Mark(), "sinks: a list is expected"};
                 for (const auto& sink : value) configuration.sinks.push_back(SinkAt(sink));
                 has_sinks = true;
               }
             });
  if (!has_sinks) configuration.sinks.emplace_back();  // the console
  return configuration;
}

bool Parse(bool shipped, const std::string& file, const std::string& text, Configuration* result, std::string* error) {
  const auto mistake = [&](const YAML::Mark& mark, std::string_view what) {
    *error = mark.is_null() ? fmt::format("{}: {}", file, what) : fmt::format("{}:{}:{}: {}", file, mark.line + 1, mark.column + 1, what);
    return false;
  };
  try {
    const YAML::Node root = YAML::Load(!shipped ? text : file == "production" ? kProduction : kDevelopment);
    if (root.IsNull()) return mistake(YAML::Mark(), "is empty");
    *result = ConfigurationAt(root);
    return true;
  } catch (const Mistake& m) {
    return mistake(m.mark, m.text);
  } catch (const YAML::Exception& e) {
    return mistake(e.mark, e.msg);
  } catch (const std::exception& e) {
    return mistake(YAML::Mark::null_mark(), e.what());
  }
}

}  // namespace
}  // namespace puma::logging

extern "C" __attribute__((visibility("default"))) bool puma_logging_parse_1(bool shipped, const std::string& file, const std::string& text,
                                                                            puma::logging::Configuration* result, std::string* error) {
  return puma::logging::Parse(shipped, file, text, result, error);
}
