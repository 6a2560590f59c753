// InitLogging, and the way to libpuma_logging.so, which reads YAML.
#include <dlfcn.h>
#include <puma/logging.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "worker/logging/configuration.h"
#include "worker/logging/output.h"
#include "worker/platform/mutex.h"
#include "worker/platform/system.h"

namespace puma {
namespace logging {
namespace {

constexpr char kLibrary[] = "libpuma_logging.so";

// Beside what contains this code; where a build or an install has libraries, seen from programs; anywhere.
std::vector<std::string> Places() {
  std::vector<std::string> places;
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&Places), &info) != 0 && info.dli_fname != nullptr) {
    std::string folder = info.dli_fname;
    const size_t slash = folder.rfind('/');
    folder = slash == std::string::npos ? "." : folder.substr(0, slash);
    places.push_back(folder + "/" + kLibrary);
    places.push_back(folder + "/../lib/" + kLibrary);
  }
  places.push_back(kLibrary);
  return places;
}

absl::StatusOr<Parser> LoadParser() {
  std::string errors;
  for (const std::string& place : Places()) {
    if (void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) {  // stays
      if (void* const parser = dlsym(library, kParserSymbol)) return reinterpret_cast<Parser>(parser);
      dlclose(library);
      errors += place + ": of another version; ";
    } else if (const char* error = dlerror()) {
      errors += std::string(error) + "; ";
    }
  }
  return absl::FailedPreconditionError(fmt::format("can't load {}, which belongs beside libpuma: {}", kLibrary, errors));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (file == nullptr) return ErrnoStatus(errno, "logging configuration " + path);
  std::string text;
  char part[4096];
  size_t n;
  while ((n = std::fread(part, 1, sizeof(part), file.get())) > 0) text.append(part, n);
  if (std::ferror(file.get()) != 0) return ErrnoStatus(errno, "logging configuration " + path);
  return text;
}

}  // namespace

absl::StatusOr<Configuration> LoadConfiguration(std::string_view configuration) {
  const std::string name(configuration.empty() ? "development" : configuration);
  const bool ships = name == "development" || name == "production";
  std::string text;
  if (!ships) {
    auto read = ReadFile(name);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  auto parser = LoadParser();
  if (!parser.ok()) return parser.status();
  Configuration result;
  std::string error;
  if (!(*parser)(ships, name, text, &result, &error)) return absl::InvalidArgumentError(error);
  return result;
}

}  // namespace logging

absl::Status InitLogging(std::string_view configuration) {
  static auto* const one_at_a_time = new Mutex;
  MutexLock lock(*one_at_a_time);
  if (logging::SinkInstalled()) {
    return absl::FailedPreconditionError("InitLogging: the logging of this process is configured by its parent or by the host");
  }
  auto loaded = logging::LoadConfiguration(configuration);
  if (!loaded.ok()) return loaded.status();
  auto output = logging::Output::Open(*loaded);
  if (!output.ok()) return output.status();
  logging::SetConfiguredSink(*std::move(output));
  logging::ReplaceLevels(std::move(loaded->levels));
  return absl::OkStatus();
}

}  // namespace puma
