#include "client/cli/contexts.h"

#include <fcntl.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/text.h"
#include "client/lib/suggest.h"

namespace puma::client {
namespace {

namespace fs = std::filesystem;

// The keys of a context, and whether it is a file.
struct Key {
  const char* name;
  std::string& (*at)(Context&);
  bool file;
};
constexpr Key kKeys[] = {
    {"host", [](Context& c) -> std::string& { return c.host; }, false},
    {"ca", [](Context& c) -> std::string& { return c.tls.ca; }, true},
    {"cert", [](Context& c) -> std::string& { return c.tls.certificate; }, true},
    {"key", [](Context& c) -> std::string& { return c.tls.key; }, true},
    {"server_name", [](Context& c) -> std::string& { return c.tls.server_name; }, false},
    {"token_file", [](Context& c) -> std::string& { return c.token_file; }, true},
};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  absl::StatusOr<Contexts> Read(const YAML::Node& document) {
    Contexts contexts;
    if (document.IsNull()) return contexts;
    if (!document.IsMap()) return Wrong(document, "write \"contexts:\" and \"current:\"");
    for (const auto& entry : document) {
      const std::string key = entry.first.Scalar();
      if (key == "current" && entry.second.IsScalar()) {
        contexts.current = entry.second.Scalar();
      } else if (key == "contexts" && entry.second.IsMap()) {
        for (const auto& context : entry.second) {
          if (absl::Status read = ReadOne(context.second, contexts.all[context.first.Scalar()]); !read.ok()) return read;
        }
      } else {
        return Wrong(entry.first, absl::StrCat("\"", Escape(key), "\": write \"current: NAME\" and \"contexts: {NAME: {...}}\""));
      }
    }
    return contexts;
  }

 private:
  absl::Status ReadOne(const YAML::Node& node, Context& context) {
    if (!node.IsMap()) return Wrong(node, "a context is written as {host: ADDRESS, ...}");
    for (const auto& entry : node) {
      const std::string name = entry.first.Scalar();
      const auto* key = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key& known) { return known.name == name; });
      if (key == std::end(kKeys)) {
        std::vector<std::string> known;
        for (const Key& each : kKeys) known.emplace_back(each.name);
        return Wrong(entry.first, absl::StrCat("unknown key \"", Escape(name), "\"", Suggest(name, known)));
      }
      if (!entry.second.IsScalar()) return Wrong(entry.second, absl::StrCat(name, " is a text"));
      std::string& value = key->at(context);
      value = entry.second.Scalar();
      if (key->file && !value.empty()) value = (fs::path(file_).parent_path() / value).string();  // an absolute one stays as it is
    }
    if (context.host.empty()) return Wrong(node, "a context needs a host");
    return absl::OkStatus();
  }
  absl::Status Wrong(const YAML::Node& where, const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(file_, ":", where.Mark().line + 1, ": ", what));
  }

  const std::string file_;
};

absl::Status Failed(const std::string& what) { return absl::UnknownError(absl::StrCat(what, ": ", std::strerror(errno))); }

}  // namespace

absl::StatusOr<Context> Contexts::Find(const std::string& name) const {
  if (const auto it = all.find(name); it != all.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& [known, context] : all) names.push_back(Escape(known));
  return absl::NotFoundError(absl::StrCat("there is no context \"", Escape(name), "\"",
                                          names.empty() ? "; make one: puma-ctl context set NAME --host ADDRESS" : Suggest(name, names)));
}

std::string ContextsFile() {
  if (std::string file = Variable("PUMA_CONFIG"); !file.empty()) return file;
  if (const std::string directory = Variable("XDG_CONFIG_HOME"); !directory.empty()) return directory + "/puma/config.yaml";
  const std::string home = Variable("HOME");
  return home.empty() ? "" : home + "/.config/puma/config.yaml";
}

absl::StatusOr<Contexts> ReadContexts(const std::string& file) {
  if (file.empty() || (access(file.c_str(), F_OK) != 0 && errno == ENOENT)) return Contexts();
  std::ifstream stream(file);
  if (!stream) return Failed(absl::StrCat(file, " can't be read"));
  try {
    return Reader(file).Read(YAML::Load(stream));
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(file, ":", e.mark.line + 1, ": ", e.msg));
  }
}

absl::Status WriteContexts(const std::string& file, const Contexts& contexts) {
  if (file.empty()) return absl::FailedPreconditionError("no place for contexts: set $PUMA_CONFIG or $HOME");
  YAML::Emitter out;
  out << YAML::BeginMap;
  if (!contexts.current.empty()) out << YAML::Key << "current" << YAML::Value << contexts.current;
  out << YAML::Key << "contexts" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, context] : contexts.all) {
    out << YAML::Key << name << YAML::Value << YAML::BeginMap;
    Context copy = context;
    for (const Key& key : kKeys) {
      if (!key.at(copy).empty()) out << YAML::Key << key.name << YAML::Value << key.at(copy);
    }
    out << YAML::EndMap;
  }
  out << YAML::EndMap << YAML::EndMap;

  std::error_code error;
  if (const fs::path directory = fs::path(file).parent_path(); !directory.empty()) fs::create_directories(directory, error);
  const std::string fresh = absl::StrCat(file, ".", getpid());
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(absl::StrCat(file, " can't be written"));
  const std::string text = absl::StrCat(out.c_str(), "\n");
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const bool closed = close(fd) == 0;
  if (written && closed && rename(fresh.c_str(), file.c_str()) == 0) return absl::OkStatus();
  const absl::Status failed = Failed(absl::StrCat(file, " can't be written"));
  unlink(fresh.c_str());
  return failed;
}

}  // namespace puma::client
