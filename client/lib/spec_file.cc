#include "client/lib/spec_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/lib/spec_walk.h"

namespace puma::client {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;  // what the host takes at most, too
constexpr size_t kMaxMistakes = 50;
constexpr int kMaxIncluded = 100;

std::string At(const std::string& file_name, const Place& place, const std::string& text) {
  return absl::StrCat(file_name, ":", place.line, ":", place.column, ": ", text);
}

std::string AllOf(const std::string& file_name, std::vector<SpecWalk::Mistake> mistakes) {
  std::stable_sort(mistakes.begin(), mistakes.end(), [](const auto& a, const auto& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  std::string text;
  for (size_t i = 0; i < mistakes.size() && i < kMaxMistakes; ++i) {
    absl::StrAppend(&text, i ? "\n" : "", At(file_name, mistakes[i].place, mistakes[i].text));
  }
  if (mistakes.size() > kMaxMistakes) absl::StrAppend(&text, "\n", file_name, ": ", mistakes.size() - kMaxMistakes, " more mistakes");
  return text;
}

// Sees where documents begin. YAML::LoadAll never ends where one begins with what can't begin one, as ", " (yaml-cpp 0.7).
class DocumentStarts final : public YAML::EventHandler {
 public:
  explicit DocumentStarts(const std::string& text) : text_(text), parser_(text_) {}
  // Throws.
  bool Next() { return parser_.HandleNextDocument(*this); }
  Place newest() const { return newest_; }

 private:
  void OnDocumentStart(const YAML::Mark& mark) override { newest_ = {mark.line + 1, mark.column + 1}; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  std::istringstream text_;
  YAML::Parser parser_;
  Place newest_;
};

// The door to yaml-cpp, which throws.
absl::StatusOr<YAML::Node> Load(const std::string& file_name, const std::string& text) {
  try {
    DocumentStarts starts(text);
    const bool some = starts.Next();
    const Place first = starts.newest();
    const bool more = some && starts.Next();
    if (more && starts.newest().line == first.line && starts.newest().column == first.column)
      return absl::InvalidArgumentError(At(file_name, first, "not valid YAML: a document can't begin like this"));
    if (more) return absl::InvalidArgumentError(At(file_name, starts.newest(), "a second document; a spec file has one pipeline"));
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    const Place place{e.mark.line + 1, e.mark.column + 1};
    return absl::InvalidArgumentError(At(file_name, e.mark.is_null() ? Place{} : place, absl::StrCat("not valid YAML: ", e.msg)));
  }
}

absl::Status WalkAll(const YAML::Node& root, SpecWalk& walk, v1::PipelineSpec& spec) {
  try {
    walk.Walk(root, spec);
    return absl::OkStatus();
  } catch (const YAML::Exception& e) {
    return absl::InternalError(absl::StrCat("can't read the spec: ", e.what()));
  }
}

struct Included {
  std::string path;
  Place place;
};

// The files that `include` names; it is taken out of the spec.
absl::StatusOr<std::vector<Included>> TakeIncludes(const std::string& file_name, YAML::Node& root, const Variables& variables) {
  std::vector<Included> included;
  try {
    if (!root.IsMap() || !root["include"]) return included;
    const YAML::Node include = root["include"];
    const auto add = [&](const YAML::Node& node) -> absl::Status {
      const Place place{node.Mark().line + 1, node.Mark().column + 1};
      if (!node.IsScalar() || node.Scalar().empty())
        return absl::InvalidArgumentError(At(file_name, place, "\"include\" must be a file, or a list of files"));
      const absl::StatusOr<std::string> path = Expand(node.Scalar(), variables);
      if (!path.ok()) return absl::InvalidArgumentError(At(file_name, place, std::string(path.status().message())));
      included.push_back({*path, place});
      return absl::OkStatus();
    };
    absl::Status status;
    if (include.IsSequence()) {
      for (const YAML::Node& item : include) status.Update(add(item));
    } else {
      status = add(include);
    }
    if (!status.ok()) return status;
    root.remove("include");
  } catch (const YAML::Exception& e) {
    return absl::InternalError(absl::StrCat("can't read the spec: ", e.what()));
  }
  return included;
}

absl::StatusOr<std::string> TextOf(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in && in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (errno || in.bad() || !in.is_open()) return absl::ErrnoToStatus(errno ? errno : EIO, absl::StrCat("can't read ", path));
  return text.str();
}

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (!value) return std::nullopt;
  return value;
}

}  // namespace

// What the files of one spec have in common.
struct SpecFile::Reading {
  const Variables& variables;
  const Files& files;
  std::vector<std::string> open;  // the files that are being read: each is included by the one before it
  int files_read = 0;
};

absl::StatusOr<SpecFile> SpecFile::Parse(const std::string& file_name, const std::string& text, const Variables& variables,
                                         const Files& files) {
  SpecFile file;
  file.file_name_ = file_name;
  Reading reading{variables, files, {}};
  if (absl::Status status = file.Take(file_name, text, reading); !status.ok()) return status;
  std::set<std::string> named;  // by several files, perhaps
  auto& modules = *file.spec_.mutable_modules();
  modules.erase(std::remove_if(modules.begin(), modules.end(), [&](const std::string& name) { return !named.insert(name).second; }),
                modules.end());
  return file;
}

// Puts a file, and before it what it includes, over what there is.
absl::Status SpecFile::Take(const std::string& file_name, const std::string& text, Reading& reading) {
  if (text.size() > kMaxFileBytes) return absl::InvalidArgumentError(absl::StrCat(file_name, ": larger than 4 MiB"));
  absl::StatusOr<YAML::Node> root = Load(file_name, text);
  if (!root.ok()) return root.status();
  if (root->IsNull()) return absl::InvalidArgumentError(At(file_name, Place{}, "the file is empty; a spec begins with \"pipeline: NAME\""));
  reading.open.push_back(file_name);
  const absl::StatusOr<std::vector<Included>> included = TakeIncludes(file_name, *root, reading.variables);
  if (!included.ok()) return included.status();
  for (const auto& [path, place] : *included) {
    if (absl::Status status = Include(file_name, path, place, reading); !status.ok()) return status;
  }
  reading.open.pop_back();

  SpecWalk walk(reading.variables);
  v1::PipelineSpec spec;
  if (absl::Status status = WalkAll(*root, walk, spec); !status.ok()) return status;
  if (!walk.mistakes.empty()) return absl::InvalidArgumentError(AllOf(file_name, std::move(walk.mistakes)));
  const auto replaces = [&](const char* field, const auto& entries) {
    for (const auto& [name, entry] : entries) {
      const std::string path = absl::StrCat(field, ".", name, ".");
      places_.erase(places_.lower_bound(path), places_.lower_bound(absl::StrCat(field, ".", name, "/")));  // "/" follows "."
    }
  };
  replaces("tasks", spec.tasks());
  replaces("buffers", spec.buffers());
  spec_.MergeFrom(spec);
  for (const auto& [path, place] : walk.places) places_[path] = {file_name, place};
  return absl::OkStatus();
}

absl::Status SpecFile::Include(const std::string& file_name, const std::string& path, const Place& place, Reading& reading) {
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(At(file_name, place, absl::StrCat("can't include ", path, ": ", why)));
  };
  if (!reading.files) return wrong("files can't be read here");
  const std::string full = (std::filesystem::path(file_name).parent_path() / path).lexically_normal().string();
  if (std::find(reading.open.begin(), reading.open.end(), full) != reading.open.end()) return wrong("it includes this file");
  if (++reading.files_read > kMaxIncluded) return wrong(absl::StrCat("more than ", kMaxIncluded, " files"));
  const absl::StatusOr<std::string> text = reading.files(full);
  if (!text.ok()) return wrong(std::string(text.status().message()));
  return Take(full, *text, reading);
}

absl::StatusOr<SpecFile> SpecFile::Read(const std::string& path) {
  if (path == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    return Parse("<stdin>", text, Environment, TextOf);
  }
  const std::string normal = std::filesystem::path(path).lexically_normal().string();
  const absl::StatusOr<std::string> text = TextOf(normal);
  return text.ok() ? Parse(normal, *text, Environment, TextOf) : text.status();
}

std::string SpecFile::Explain(const std::string& field, const std::string& description) const {
  std::string path(absl::StripPrefix(field, "spec."));
  const std::string text = path.empty() ? description : absl::StrCat(path, ": ", description);  // the place may only be the one around it
  for (;;) {
    if (const auto it = places_.find(path); it != places_.end()) return At(it->second.file, it->second.place, text);
    const size_t dot = path.find_last_of(".[");
    if (dot == std::string::npos) return absl::StrCat(file_name_, ": ", text);
    path.resize(dot);
  }
}

}  // namespace puma::client
