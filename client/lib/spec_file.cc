#include "client/lib/spec_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/lib/spec_walk.h"

namespace puma::client {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;  // what the host takes at most, too
constexpr size_t kMaxMistakes = 50;

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

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (!value) return std::nullopt;
  return value;
}

}  // namespace

absl::StatusOr<SpecFile> SpecFile::Parse(const std::string& file_name, const std::string& text, const Variables& variables) {
  if (text.size() > kMaxFileBytes) return absl::InvalidArgumentError(absl::StrCat(file_name, ": larger than 4 MiB"));
  const absl::StatusOr<YAML::Node> root = Load(file_name, text);
  if (!root.ok()) return root.status();
  if (root->IsNull()) return absl::InvalidArgumentError(At(file_name, Place{}, "the file is empty; a spec begins with \"pipeline: NAME\""));
  SpecFile file;
  SpecWalk walk(variables);
  if (absl::Status status = WalkAll(*root, walk, file.spec_); !status.ok()) return status;
  if (!walk.mistakes.empty()) return absl::InvalidArgumentError(AllOf(file_name, std::move(walk.mistakes)));
  file.file_name_ = file_name;
  file.places_ = std::move(walk.places);
  return file;
}

absl::StatusOr<SpecFile> SpecFile::Read(const std::string& path) {
  if (path == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    return Parse("<stdin>", text, Environment);
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in && in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (errno || in.bad() || !in.is_open()) return absl::ErrnoToStatus(errno ? errno : EIO, absl::StrCat("can't read ", path));
  return Parse(path, text.str(), Environment);
}

std::string SpecFile::Explain(const std::string& field, const std::string& description) const {
  std::string path(absl::StripPrefix(field, "spec."));
  const std::string text = path.empty() ? description : absl::StrCat(path, ": ", description);  // the place may only be the one around it
  for (;;) {
    if (const auto it = places_.find(path); it != places_.end()) return At(file_name_, it->second, text);
    const size_t dot = path.find_last_of(".[");
    if (dot == std::string::npos) return absl::StrCat(file_name_, ": ", text);
    path.resize(dot);
  }
}

}  // namespace puma::client
